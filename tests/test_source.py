import ast
import os
import pickle
import socket
from pathlib import Path

import pytest

from fixer.edits import Edit
from fixer.source import MAX_BYTES, Source, SourceError

PATH = Path("net.py")
BOM = b"\xef\xbb\xbf"


def source(data: bytes | str) -> Source:
    return Source(PATH, data.encode() if isinstance(data, str) else data)


def error_of(data: bytes, part: str) -> str:
    with pytest.raises(SourceError) as caught:
        getattr(source(data), part)
    message = str(caught.value)
    assert "\n" not in message
    return message


def segments(subject: Source) -> list[str]:
    """The text of every statement, found through offsets only."""
    return [subject.segment(node) for node in ast.walk(subject.tree) if isinstance(node, ast.stmt)]


class TestRead:
    def test_bytes_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "net.py"
        path.write_bytes(b"a = 1\r\n\xff")
        assert Source.read(path) == Source(path, b"a = 1\r\n\xff")

    def test_symbolic_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "net.py").write_bytes(b"a = 1")
        (tmp_path / "link.py").symlink_to("net.py")
        assert Source.read(tmp_path / "link.py").data == b"a = 1"

    def test_largest_file(self, tmp_path: Path) -> None:
        path = tmp_path / "net.py"
        path.write_bytes(b"#" * MAX_BYTES)
        assert len(Source.read(path).data) == MAX_BYTES

    def test_too_large_file(self, tmp_path: Path) -> None:
        path = tmp_path / "net.py"
        path.write_bytes(b"#" * (MAX_BYTES + 1))
        with pytest.raises(SourceError, match=r"net\.py: larger than 10 MB; exclude it$"):
            Source.read(path)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"gone\.py: there is no such file; check the path$"):
            Source.read(tmp_path / "gone.py")

    def test_file_as_folder(self, tmp_path: Path) -> None:
        (tmp_path / "net.py").touch()
        with pytest.raises(SourceError, match="there is no such file"):
            Source.read(tmp_path / "net.py" / "net.py")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="a folder, not a file"):
            Source.read(tmp_path)

    def test_pipe_without_a_writer_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "net.py")
        with pytest.raises(SourceError, match="a pipe, not a file"):
            Source.read(tmp_path / "net.py")

    def test_device(self) -> None:
        with pytest.raises(SourceError, match="a device or socket, not a file"):
            Source.read(Path(os.devnull))

    def test_socket(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("net.py")
            with pytest.raises(SourceError, match="a device or socket, not a file"):
                Source.read(PATH)

    def test_links_in_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "a.py").symlink_to("b.py")
        (tmp_path / "b.py").symlink_to("a.py")
        with pytest.raises(SourceError, match="circle"):
            Source.read(tmp_path / "a.py")

    def test_permission_denied(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def deny(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        (tmp_path / "net.py").touch()
        monkeypatch.setattr(Path, "open", deny)
        with pytest.raises(SourceError, match="permission denied; change its permissions or exclude it"):
            Source.read(tmp_path / "net.py")

    def test_name_with_a_null_byte(self) -> None:
        with pytest.raises(SourceError, match="not a file name"):
            Source.read(Path("net\0.py"))

    def test_name_too_long(self) -> None:
        with pytest.raises(SourceError, match="name is too long"):
            Source.read(Path("n" * 300))

    def test_unforeseen_failure_names_its_cause(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        (tmp_path / "net.py").touch()
        monkeypatch.setattr(Path, "open", fail)
        with pytest.raises(SourceError, match=r"cannot be read \(Input/output error\); check it"):
            Source.read(tmp_path / "net.py")


class TestEncoding:
    @pytest.mark.parametrize(
        ("data", "encoding"),
        [
            (b"", "utf-8"),
            (b"a = 1\n", "utf-8"),
            (BOM + b"a = 1\n", "utf-8"),
            (BOM + b"# coding: utf-8\n", "utf-8"),
            (b"# coding: utf8\n", "utf-8"),
            (b"# -*- coding: latin-1 -*-\n", "iso8859-1"),
            (b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n", "cp1252"),
            (b"#!/usr/bin/python\r# coding: cp1252\r", "cp1252"),
            (b"# one\r# two\r# coding: cp1252\r", "utf-8"),
            (b"a = 1\n# coding: cp1252\n", "utf-8"),
            (b"\n\n# coding: cp1252\n", "utf-8"),
            (b"a = '# coding: cp1252'\n", "utf-8"),
        ],
    )
    def test_declared(self, data: bytes, encoding: str) -> None:
        assert source(data).encoding == encoding

    def test_text_has_no_mark_and_its_own_newlines(self) -> None:
        assert source(BOM + b"a\r\nb\rc\n").text == "a\r\nb\rc\n"

    def test_latin_1_text(self) -> None:
        assert source("# coding: latin-1\na = 'é'".encode("latin-1")).text.endswith("a = 'é'")

    def test_unknown(self) -> None:
        message = error_of(b"# coding: klingon\n", "encoding")
        assert message == (
            "net.py: cannot be decoded (unknown encoding: klingon); correct its comment `# coding: NAME`"
        )

    def test_mark_and_comment_disagree(self) -> None:
        message = error_of(BOM + b"# coding: latin-1\n", "encoding")
        assert "has the mark of UTF-8 and names another encoding; remove its comment" in message

    @pytest.mark.parametrize("data", [b"# coding: latin-1 \xe9\n", b"# \xe9\n# coding: latin-1\n"])
    def test_other_characters_beside_the_comment(self, data: bytes) -> None:
        assert "é" in source(data).text

    def test_wrong_byte_names_its_line(self) -> None:
        assert error_of(b"a\r\nb\rc\nd = '\xff'\n", "text").startswith(
            "net.py:4: not utf-8 (invalid start byte)"
        )

    def test_wrong_byte_at_the_start_of_a_line_names_that_line(self) -> None:
        assert error_of(b"a\nb\nc\n\xff\n", "text").startswith("net.py:4: ")

    @pytest.mark.parametrize("encoding", ["rot13", "hex", "utf-7", "unicode_escape", "utf-16", "undefined"])
    def test_not_an_encoding_for_files_edited_in_place(self, encoding: str) -> None:
        message = error_of(f"# coding: {encoding}\na = '+AGEAYg-' '\\x41' 1\n".encode(), "text")
        assert "save it as UTF-8" in message

    def test_codec_with_a_state(self) -> None:
        data = "# coding: iso2022_jp\na = '日本'\n".encode("iso2022_jp")
        assert "cannot be written back unchanged in its encoding iso2022_jp" in error_of(data, "text")


class TestNewline:
    @pytest.mark.parametrize(
        ("data", "newline"),
        [
            (b"", "\n"),
            (b"a", "\n"),
            (b"a\n", "\n"),
            (b"a\r\nb", "\r\n"),
            (b"a\rb", "\r"),
            (b"a\r\nb\r\nc\n", "\r\n"),
            (b"a\r\nb\nc\n", "\n"),
            (b"a\rb\rc\r\n", "\r"),
            (b"a\r\nb\n", "\n"),
            (b"a\x0cb\x0bc\x1cd\x85", "\n"),
        ],
    )
    def test_dominant(self, data: bytes, newline: str) -> None:
        assert source(data).newline == newline


class TestTree:
    def test_is_parsed_once(self) -> None:
        subject = source("a = 1")
        assert subject.tree is subject.tree

    def test_mark_and_encoding(self) -> None:
        assert ast.unparse(source(BOM + "a = 'é'".encode()).tree) == "a = 'é'"
        assert ast.unparse(source("# coding: latin-1\na = 'é'".encode("latin-1")).tree) == "a = 'é'"

    def test_invalid_escape_is_no_warning(self) -> None:
        assert source(r"a = '\d'").tree.body

    def test_syntax_error_names_file_line_and_remedy(self) -> None:
        message = error_of(b"a = 1\r\nb = (\r\n", "tree")
        assert message == "net.py:2: not valid Python: '(' was never closed; correct it or exclude the file"

    def test_null_byte(self) -> None:
        message = error_of(b"a = 1\nb = 2\0\n", "tree")
        wanted = "holds null bytes, as binary and UTF-16 files do; save it as UTF-8 or exclude it"
        assert message == f"net.py:2: {wanted}"

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
    def test_wide_encodings_are_named(self, encoding: str) -> None:
        assert "UTF-16" in error_of("a = 1\n".encode(encoding), "tree")

    def test_python_2(self) -> None:
        assert error_of(b"print 'a'\n", "tree").startswith("net.py:1: not valid Python: ")

    @pytest.mark.parametrize("data", [b"a" + b".b" * 100_000, b"-" * 100_000 + b"1", b"(" * 100_000])
    def test_deep_nesting(self, data: bytes) -> None:
        message = error_of(data, "tree")
        assert message.startswith(
            ("net.py: nested too deeply", "net.py:1: not valid Python: too many nested")
        )
        assert "exclude the file" in message

    def test_only_bytes_are_pickled(self) -> None:
        subject = source("a = 1")
        size = len(pickle.dumps(subject))
        assert subject.tree.body
        assert len(pickle.dumps(subject)) == size
        assert pickle.loads(pickle.dumps(subject)) == subject

    def test_error_survives_pickling(self) -> None:
        error = SourceError(PATH, "broken", 3)
        assert str(pickle.loads(pickle.dumps(error))) == str(error) == "net.py:3: broken"


STATEMENTS = [
    "a = '😀é'; b = 2",
    "if a:",
    "\tb = a  # é",
    "\x0cc = (",
    "\t'é', a,",
    ")",
    "d = '''é",
    "x'''; e = d",
]
EXPECTED = {"a = '😀é'", "b = 2", "c = (\n\t'é', a,\n)", "d = '''é\nx'''", "e = d", "b = a", "if a:\n\tb = a"}


class TestPositions:
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("final", [True, False])
    @pytest.mark.parametrize("mark", [b"", BOM])
    def test_utf_8(self, newline: str, final: bool, mark: bytes) -> None:
        data = mark + (newline.join(STATEMENTS) + newline * final).encode()
        assert set(segments(source(data))) == EXPECTED

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "gb18030"])
    def test_other_encodings(self, newline: str, encoding: str) -> None:
        emoji = "😀" if encoding == "gb18030" else "ß"
        lines = [f"# coding: {encoding}", *(line.replace("😀", emoji) for line in STATEMENTS)]
        subject = source(newline.join(lines).encode(encoding))
        assert set(segments(subject)) == {text.replace("😀", emoji) for text in EXPECTED}

    @pytest.mark.parametrize(
        "separator", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
    )
    def test_not_a_newline_for_python(self, separator: str) -> None:
        assert segments(source(f"a = '{separator}'; b = 1\nc = 2\n"))[1:] == ["b = 1", "c = 2"]

    def test_decorators_lie_outside(self) -> None:
        assert (
            source("@d\ndef f(): pass").segment(source("@d\ndef f(): pass").tree.body[0]) == "def f(): pass"
        )

    def test_location_counts_characters(self) -> None:
        subject = source(BOM + "a = '😀'; b\r\n\tc".encode())
        data = subject.data
        assert subject.location(0) == (1, 1)
        assert subject.location(data.index(b"a")) == (1, 1)
        assert subject.location(data.index(b"b")) == (1, 10)
        assert subject.location(data.index(b"\n")) == (1, 12)
        assert subject.location(data.index(b"c")) == (2, 2)
        assert subject.location(len(data)) == (2, 3)

    def test_location_at_the_end_of_the_last_line(self) -> None:
        assert source("a\n").location(2) == (2, 1)
        assert source("").location(0) == (1, 1)

    def test_location_in_latin_1(self) -> None:
        subject = source("# coding: latin-1\rx = 'éé'; y".encode("latin-1"))
        assert subject.location(subject.data.index(b"y")) == (2, 11)

    def test_line(self) -> None:
        subject = source(BOM + b"a\r\n\rb\nc")
        assert [subject.line(row) for row in range(1, 5)] == ["a", "", "b", "c"]

    @pytest.mark.parametrize(
        "data", [BOM + "é = 1\r\nz".encode(), "# coding: latin-1\né = 1\rz".encode("latin-1")]
    )
    def test_utf8_offsets_of_the_text(self, data: bytes) -> None:
        subject = source(data)
        place = data.index(b"z")
        assert subject.utf8_offset(place) == subject.text.encode().index(b"z")
        assert subject.from_utf8_offset(subject.utf8_offset(place)) == place


class TestApply:
    def test_nothing(self) -> None:
        data = BOM + b"a\t= 1 \r\n\x0cb\rc\n  "
        assert source(data).apply([]).data == data

    def test_text_gets_the_newline_of_the_file(self) -> None:
        assert source(b"a\r\nb\r\n").apply([Edit(3, 3, "x\ny\n")]).data == b"a\r\nx\r\ny\r\nb\r\n"

    def test_no_second_mark(self) -> None:
        assert source(BOM + b"a\n").apply([Edit(3, 3, "é\n")]).data == BOM + "é\na\n".encode()

    def test_segment_of_a_crlf_file_goes_back_unchanged(self) -> None:
        subject = source(b"a = [\r\n1]\r\n")
        start, end = subject.span(subject.tree.body[0])
        assert subject.apply([Edit(start, end, subject.segment(subject.tree.body[0]))]).data == subject.data

    def test_encoding_of_the_file(self) -> None:
        data = "# coding: latin-1\né".encode("latin-1")
        assert source(data).apply([Edit(18, 18, "ü")]).data == data[:18] + b"\xfc" + data[18:]

    def test_text_that_the_encoding_cannot_write(self) -> None:
        with pytest.raises(
            SourceError, match="iso8859-1 cannot write '😀', which a fix needs; save the file as"
        ):
            source(b"# coding: latin-1\n").apply([Edit(18, 18, "😀")])

    def test_emoji_before_the_edit(self) -> None:
        subject = source("a = '😀'; b = 1")
        assert subject.apply([Edit(*subject.span(subject.tree.body[1]), "c")]).text == "a = '😀'; c"
