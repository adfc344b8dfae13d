"""Positions, edits and decoding of arbitrary files agree with slow references."""

import ast
import string
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fixer.edits import Edit
from fixer.source import Source, SourceError

BOM = b"\xef\xbb\xbf"
NEWLINES = ("\n", "\r\n", "\r")
ODD = "\t\x0c\x0b\x1c\x1e\x85\u2028\u00a0"
LETTERS = {
    "utf-8": string.ascii_letters + ODD + "éßд日😀\ufeff",
    "latin-1": string.ascii_letters + "\t\x0c\x85\u00a0éßÿ",
    "cp1251": string.ascii_letters + "\t\x0cдЖё",
    "gb18030": string.ascii_letters + "\t\x0cд日😀",
}


@st.composite
def sources(draw: st.DrawFn, lines: Callable[[str], st.SearchStrategy[str]]) -> Source:
    """A file in any encoding, with any mixture of newlines, with or without an end of the last line."""
    encoding = draw(st.sampled_from(sorted(LETTERS)))
    mark = draw(st.sampled_from([b"", BOM])) if encoding == "utf-8" else b""
    newlines = draw(st.sampled_from([*((newline,) for newline in NEWLINES), NEWLINES]))
    cookie = [] if encoding == "utf-8" else [f"# coding: {encoding}"]
    rows = [*cookie, *draw(st.lists(lines(LETTERS[encoding]), max_size=8))]
    text = "".join(row + draw(st.sampled_from(newlines)) for row in rows) + draw(st.sampled_from(["", "#x"]))
    return Source(Path("net.py"), mark + text.encode(encoding))


def any_line(letters: str) -> st.SearchStrategy[str]:
    """Anything but a newline or another cookie."""
    return st.text(letters + " =()'\"#", max_size=12)


def valid_line(letters: str) -> st.SearchStrategy[str]:
    """Statements whose strings hold every letter, also over several lines."""
    words = st.text(letters, max_size=4)
    shapes = [
        "a = '{0}'",
        "a = '{0}'; b = '{1}'",
        "\x0cf('{0}',  '{1}' )  # {0}",
        "'''{0}\n{1}'''; c = 1",
        "",
    ]
    return st.builds(lambda shape, one, two: shape.format(one, two), st.sampled_from(shapes), words, words)


def slow_rows(source: Source) -> list[tuple[int, str]]:
    """Where each line starts on disk and its text with its newline, found one character after the other."""
    offset = len(source.bom)
    rows = [(offset, "")]
    text = source.data[offset:].decode(source.encoding)
    for character, following in zip(text, text[1:] + " ", strict=False):
        offset += len(character.encode(source.encoding))
        rows[-1] = (rows[-1][0], rows[-1][1] + character)
        if character == "\n" or (character == "\r" and following != "\n"):
            rows.append((offset, ""))
    return rows


@given(sources(any_line))
def test_location_of_every_character(source: Source) -> None:
    for number, (start, row) in enumerate(slow_rows(source), 1):
        offset = start
        for column, character in enumerate(row, 1):
            assert source.location(offset) == (number, column)
            offset += len(character.encode(source.encoding))
        assert source.line(number) == row.rstrip("\r\n")


@given(sources(any_line))
def test_offset_of_every_column(source: Source) -> None:
    for number, (start, row) in enumerate(slow_rows(source), 1):
        for column in range(len(row) + 1):
            before = row[:column]
            assert source.offset(number, len(before.encode())) == start + len(before.encode(source.encoding))


@given(sources(any_line))
def test_utf8_offset_of_every_character(source: Source) -> None:
    for index in range(len(source.text) + 1):
        before = source.text[:index]
        offset = len(source.bom) + len(before.encode(source.encoding))
        assert source.utf8_offset(offset) == len(before.encode())
        assert source.from_utf8_offset(len(before.encode())) == offset


@given(sources(valid_line))
def test_every_node_is_its_own_text(source: Source) -> None:
    text = source.text.replace("\r\n", "\n").replace("\r", "\n")
    expected = [ast.get_source_segment(text, node) for node in placed_nodes(ast.parse(text))]
    assert list(map(source.segment, placed_nodes(source.tree))) == expected


@given(sources(valid_line))
def test_node_that_is_replaced_by_itself_changes_nothing_but_mixed_newlines(source: Source) -> None:
    edits = [Edit(*source.span(node), source.segment(node)) for node in source.tree.body]
    new = source.apply(edits)
    assert new.text.splitlines() == source.text.splitlines()
    assert (
        new.data == source.data or len({row[len(row.rstrip("\r\n")) :] for _, row in slow_rows(source)}) > 2
    )


def placed_nodes(tree: ast.AST) -> list[ast.expr | ast.stmt]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.stmt))]


@st.composite
def edited(draw: st.DrawFn) -> tuple[Source, list[Edit]]:
    """A file and edits at the borders of its characters that do not overlap."""
    source = draw(sources(any_line))
    places = [
        len(source.bom) + len(source.text[:index].encode(source.encoding))
        for index in range(len(source.text) + 1)
    ]
    borders = sorted(draw(st.lists(st.sampled_from(places), max_size=8, unique=True)))
    texts = st.text(string.ascii_letters + "é\n" if source.encoding != "cp1251" else "aд\n", max_size=5)
    return source, [
        Edit(start, end, draw(texts)) for start, end in zip(borders[::2], borders[1::2], strict=False)
    ]


@given(edited())
def test_bytes_outside_edits_stay(case: tuple[Source, list[Edit]]) -> None:
    source, edits = case
    new = source.apply(edits).data
    position = place = 0
    for edit in edits:
        kept = source.data[position : edit.start]
        assert new[place : place + len(kept)] == kept
        place += len(kept)
        inserted = edit.text.replace("\n", source.newline).encode(source.encoding)
        assert new[place : place + len(inserted)] == inserted
        place += len(inserted)
        position = edit.end
    assert new[place:] == source.data[position:]


@given(st.binary(max_size=60).map(lambda data: Source(Path("net.py"), data)))
@settings(max_examples=300)
def test_bytes_are_decoded_exactly_or_refused_in_one_line(source: Source) -> None:
    try:
        text = source.text
    except SourceError as refusal:
        (line,) = str(refusal).splitlines()
        assert line.startswith("net.py")
    else:
        assert source.bom + text.encode(source.encoding) == source.data
