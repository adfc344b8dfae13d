"""Where statements lie in their lines: what stands before, behind and above them.

The lines are read off a LibCST tree, which is parsed only here, and so only for files that get a fix.
"""

from __future__ import annotations

import ast
import re
import tokenize
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from fixer.facts.file import File
from fixer.source import Source

_FORM_FEED = re.compile(rb"(?:\A|(?<=[\r\n]))[ \t\f]*\f")
_HEADER = re.compile(r"#!|#.*?coding[:=]")
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_TO_END_OF_LINE = re.compile(rb"[^\r\n]*")
_NEWLINE = re.compile(rb"\r\n|\r|\n")


class CannotRewriteError(Exception):
    """A fix cannot be written into this file; the message says what is in the way."""


class CannotImportError(CannotRewriteError):
    """A file has no way to name a definition of the tree."""


@dataclass(frozen=True)
class _Place:
    """A statement's line in the concrete syntax."""

    line: cst.SimpleStatementLine | cst.SimpleStatementSuite | cst.BaseCompoundStatement
    neighbours: int
    """How many simple statements share the line, this one included."""

    @property
    def is_whole_line(self) -> bool:
        """Whether the statement has its line to itself."""
        return self.neighbours == 1 and not isinstance(self.line, cst.SimpleStatementSuite)


class _Places(cst.CSTVisitor):
    """Finds the statements of a module by where they start, in bytes of the text that LibCST was given."""

    METADATA_DEPENDENCIES = (ByteSpanPositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, _Place] = {}

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Note statements; expressions hold none and are not entered."""
        if isinstance(node, (cst.SimpleStatementLine, cst.SimpleStatementSuite)):
            for small in node.body:
                self.found[self._start(small)] = _Place(node, len(node.body))
            return False
        if isinstance(node, cst.BaseCompoundStatement):
            self.found[self._start(node)] = _Place(node, 1)
        return not isinstance(node, cst.BaseExpression)

    def _start(self, node: cst.CSTNode) -> int:
        start: int = self.get_metadata(ByteSpanPositionProvider, node).start
        return start


class Layout:
    """The lines of one file, asked for by statement."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.source: Source = file.source

    def indentation(self, statement: ast.stmt) -> str:
        """The white space before a statement's line."""
        start = self.line_start(statement)
        return _white_space_before(self.source.slice(start, self.source.span(statement)[0]))

    @cached_property
    def indent_unit(self) -> str:
        """One step of the file's own indentation."""
        return str(self._module.default_indent)

    def start(self, statement: ast.stmt) -> int:
        """First byte of a statement, decorators included."""
        first, _ = self.source.span(statement)
        decorators = getattr(statement, "decorator_list", None)
        if not decorators:
            return first
        return self.source.data.rindex(b"@", 0, self.source.span(decorators[0])[0])

    def line_start(self, statement: ast.stmt) -> int:
        """First byte of a statement's first line, decorators included."""
        return self.source.offset(self._first_row(statement), 0)

    def line_end(self, statement: ast.stmt) -> int:
        """The end of a statement's last line, trailing comment included, before its newline."""
        data, offset = self.source.data, self.source.span(statement)[1]
        while True:
            end = _TO_END_OF_LINE.match(data, offset).end()  # type: ignore[union-attr] # it always matches
            if not data[offset:end].endswith(b"\\") or b"#" in data[offset:end]:
                return end
            offset = self.behind_newline(end)  # a backslash joins the next line, which must be empty

    def block_end(self, statement: ast.stmt) -> int:
        """The end of a statement's last line, or of the last comment behind it that its block indents."""
        end = self.line_end(statement)
        if not hasattr(statement, "body"):
            return end
        depth = len(self.indentation(statement).expandtabs())
        first, last = self.source.location(end)[0] + 1, self.source.location(len(self.source.data))[0]
        for row in range(first, last + 1):
            line = self.source.line(row)
            if not line.strip():
                continue
            if not line.strip().startswith("#") or len(_white_space_before(line).expandtabs()) <= depth:
                break
            end = _TO_END_OF_LINE.match(self.source.data, self.source.offset(row, 0)).end()  # type: ignore[union-attr]
        return end

    def behind_newline(self, offset: int) -> int:
        """The first byte behind a newline at `offset`, or the offset itself at the end of the file."""
        newline = _NEWLINE.match(self.source.data, offset)
        return newline.end() if newline else offset

    def above(self, statement: ast.stmt) -> int:
        """First byte of the block of comment lines right above a statement, or of its own first line."""
        return self.source.offset(self._first_row(statement) - len(self.comments_above(statement)), 0)

    def comments_above(self, statement: ast.stmt) -> list[str]:
        """The block of comment lines right above a statement, without their indentation."""
        row = self._first_row(statement)
        before = self.source.slice(self.source.offset(row, 0), self.start(statement))
        if before.strip():
            return []  # what is above belongs to something else that begins in the line
        indent = self.indentation(statement)
        highest = self._last_row_before(row)
        found: list[str] = []
        while row - 1 > highest:
            line = self.source.line(row - 1)
            text = line.strip()
            if not text.startswith("#") or _white_space_before(line) != indent or _HEADER.match(text):
                break
            found.append(text)
            row -= 1
        return found[::-1]

    def trailing_comment(self, statement: ast.stmt) -> str:
        """The comment behind a statement on its last line, or nothing."""
        rest = self.source.slice(self.source.span(statement)[1], self.line_end(statement))
        rest = rest.strip().removeprefix(";").strip()
        return rest if rest.startswith("#") else ""

    # For the editor

    def own_line(self, statement: ast.stmt) -> str:
        """The indentation of a statement that has its line to itself; raises where it has not."""
        if self.is_elif(statement):
            raise CannotRewriteError(f"line {statement.lineno} of {self.file.path.name} is an `elif`")
        if not self._place(statement).is_whole_line:
            raise CannotRewriteError(
                f"line {statement.lineno} of {self.file.path.name} holds several statements"
            )
        return self.indentation(statement)

    def is_elif(self, statement: ast.stmt) -> bool:
        """Whether a statement is written as the `elif` of another."""
        start = self.source.span(statement)[0]
        return isinstance(statement, ast.If) and self.source.data[start : start + 2] == b"el"

    def line_mates(self, statement: ast.stmt, block: Sequence[ast.stmt]) -> list[ast.stmt]:
        """The statements of a block that share a line, this one included."""
        line = self._place(statement).line
        return [other for other in block if self._place(other).line is line]

    def is_suite(self, statement: ast.stmt) -> bool:
        """Whether a statement stands behind the colon that opens its block."""
        return isinstance(self._place(statement).line, cst.SimpleStatementSuite)

    def blank_lines_above(self, offset: int) -> int:
        """Where the blank lines above a line begin; one that ends a continued line is kept."""
        row = self.source.location(offset)[0]
        while row > 1 and not self.source.line(row - 1).strip():
            row -= 1
        if row > 1 and self.source.line(row - 1).endswith("\\"):
            row = min(row + 1, self.source.location(offset)[0])
        return self.source.offset(row, 0)

    def _first_row(self, statement: ast.stmt) -> int:
        return self.source.location(self.start(statement))[0]

    def _last_row_before(self, row: int) -> int:
        """The last row above `row` at which something ends that is no comment."""
        position = bisect_left(self._last_rows, row)
        return self._last_rows[position - 1] if position else 0

    @cached_property
    def _last_rows(self) -> list[int]:
        return sorted({getattr(node, "end_lineno", None) or 0 for node in ast.walk(self.file.tree)})

    # Concrete syntax

    @cached_property
    def _cleared(self) -> tuple[str, list[tuple[int, int]]]:
        """The text without form feeds that begin a line, which LibCST loses, and where they were.

        Nor does it know the newlines of old Macs.
        """
        data = _LONE_RETURN.sub(b"\n", self.source.text.encode())
        gaps = [match.span() for match in _FORM_FEED.finditer(data)]
        return _FORM_FEED.sub(b"", data).decode(), gaps

    @cached_property
    def _module(self) -> cst.Module:
        try:
            module = cst.parse_module(self._cleared[0])
        except (cst.ParserSyntaxError, RecursionError) as error:
            reason = error.message if isinstance(error, cst.ParserSyntaxError) else "nested too deeply"
            raise CannotRewriteError(f"LibCST cannot parse {self.file.path.name} ({reason})") from None
        if module.code != self._cleared[0]:
            raise CannotRewriteError(f"LibCST cannot represent {self.file.path.name} exactly")
        return module

    @cached_property
    def _places(self) -> dict[int, _Place]:
        visitor = _Places()
        MetadataWrapper(self._module, unsafe_skip_copy=True).visit(visitor)
        return visitor.found

    def _place(self, statement: ast.stmt) -> _Place:
        offset = self.source.utf8_offset(self.source.span(statement)[0])
        offset -= sum(end - start for start, end in self._cleared[1] if start < offset)
        place = self._places.get(offset)
        if place is None:
            raise CannotRewriteError(f"line {statement.lineno} of {self.file.path.name} cannot be located")
        return place


def _white_space_before(line: str) -> str:
    """What a line is indented by; a form feed sets Python's count of columns to zero."""
    return line[: len(line) - len(line.lstrip(" \t\f"))].rpartition("\f")[2]


def indented(code: str, indent: str) -> str:
    """Code with its lines moved right, but for blank ones and those that begin inside a string."""
    if "\n" not in code:
        return indent + code
    fixed = set(_rows_inside_strings(code))
    lines = enumerate(code.split("\n"), 1)
    return "\n".join(indent + line if line.strip() and row not in fixed else line for row, line in lines)


def _rows_inside_strings(code: str) -> Iterator[int]:
    """The rows of a piece of code that begin inside a string."""
    lines = iter(code.splitlines(keepends=True))
    opened: list[int] = []
    try:
        for token in tokenize.generate_tokens(lambda: next(lines, "")):
            kind = tokenize.tok_name[token.type]
            if kind.endswith("STRING_START"):  # an f-string, from Python 3.12 on
                opened.append(token.start[0])
            elif kind.endswith("STRING_END"):
                yield from range(opened.pop() + 1, token.end[0] + 1)
            elif kind == "STRING":
                yield from range(token.start[0] + 1, token.end[0] + 1)
    except (tokenize.TokenError, SyntaxError) as error:
        raise CannotRewriteError(f"the new code cannot be indented ({error.args[0]})") from None
