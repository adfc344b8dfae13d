"""A Python file as bytes, and how positions of its text, its syntax tree and its bytes relate.

Everything is derived on demand from the bytes, so that what no edit touches cannot change. Python counts
lines by ``\\n``, ``\\r\\n`` and ``\\r`` only, and columns in UTF-8 bytes of the decoded text; editors and
reports count characters; edits count bytes on disk. In UTF-8 files the conversions cost an addition.
"""

from __future__ import annotations

import ast
import codecs
import errno
import re
import stat
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, Protocol

from fixer.edits import Edit, Encoder, splice

MAX_BYTES = 10 * 1024 * 1024
"""Larger files are data, not code."""

_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_FIRST_LINES = re.compile(rb"([^\r\n]*(?:\r\n?|\n)?)([^\r\n]*(?:\r\n?|\n)?)")
_PLAIN_ENCODINGS = {"utf-8", "ascii", "iso8859-1"}  # characters and bytes correspond one by one
_REASONS = {
    errno.ENOENT: "there is no such file; check the path",
    errno.ENOTDIR: "there is no such file; check the path",
    errno.EACCES: "permission denied; change its permissions or exclude it",
    errno.EPERM: "permission denied; change its permissions or exclude it",
    errno.ELOOP: "its symbolic links form a circle; remove them or exclude it",
    errno.ENAMETOOLONG: "the name is too long; check the path",
    errno.EISDIR: "this is a folder, not a file; name a file",
}


class SourceError(Exception):
    """A file cannot be used. The message is one line that says why and what to do about it."""

    def __init__(self, path: Path, message: str, row: int | None = None) -> None:
        super().__init__(path, message, row)  # all of them, so that the error survives pickling
        self.path = path
        self.message = message
        self.row = row

    def __str__(self) -> str:
        place = f"{self.path}:{self.row}" if self.row else str(self.path)
        return f"{place}: {self.message}"


class Positioned(Protocol):
    """A node of `ast` that has a place in the file: a statement, an expression, an argument..."""

    lineno: int
    col_offset: int
    end_lineno: int | None
    end_col_offset: int | None


@dataclass(frozen=True)
class Source:
    """One file's bytes; the properties are computed once, when first asked for."""

    path: Path
    data: bytes

    @classmethod
    def read(cls, path: Path) -> Source:
        """Read a regular file, following symbolic links; whatever else lies there is a `SourceError`."""
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise SourceError(path, f"this is {_kind(status.st_mode)}, not a file; name a Python file")
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            raise SourceError(path, reason_of(error)) from None
        if len(data) > MAX_BYTES:
            raise SourceError(path, f"larger than {MAX_BYTES // 1024**2} MB; exclude it")
        return cls(path, data)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the bytes only: a tree costs more to send than to parse again."""
        return (Source, (self.path, self.data))

    @cached_property
    def bom(self) -> bytes:
        """The byte-order mark, or nothing."""
        return codecs.BOM_UTF8 if self.data.startswith(codecs.BOM_UTF8) else b""

    @cached_property
    def encoding(self) -> str:
        """The codec of everything behind the byte-order mark, from the mark or a PEP 263 comment."""
        first_lines = _FIRST_LINES.match(self.data, len(self.bom))
        # Other characters may share the line of the comment that says how to read them.
        lines = iter([_NOT_ASCII.sub(b"?", line) for line in (first_lines.groups() if first_lines else ())])
        try:
            declared, _ = tokenize.detect_encoding(chain([self.bom + next(lines, b"")], lines).__next__)
        except SyntaxError as error:
            message = f"cannot be decoded ({error.msg}); correct its comment `# coding: NAME`"
            if self.bom:
                message = (
                    "has the mark of UTF-8 and names another encoding; remove its comment `# coding: NAME`"
                )
            raise SourceError(self.path, message) from None
        name = codecs.lookup(declared).name
        return "utf-8" if name == "utf-8-sig" else name

    @cached_property
    def text(self) -> str:
        """The decoded text without the byte-order mark, with the newlines of the file."""
        data = self.data[len(self.bom) :]
        try:
            text = data.decode(self.encoding)
            exact = self.encoding in _PLAIN_ENCODINGS or _encoded_one_by_one(text, self.encoding) == data
        except UnicodeDecodeError as error:
            row = len((data[: error.start] + b".").splitlines())
            message = f"not {self.encoding} ({error.reason}); save it as UTF-8 or declare its encoding"
            raise SourceError(self.path, message, row) from None
        except (UnicodeError, LookupError):
            exact = False
        if not exact:
            message = f"cannot be written back unchanged in its encoding {self.encoding}; save it as UTF-8"
            raise SourceError(self.path, message)
        return text

    @cached_property
    def newline(self) -> str:
        """The newline that the file uses most, ``\\n`` if it has none."""
        if b"\r" not in self.data:
            return "\n"
        crlf = self.data.count(b"\r\n")
        counts = {"\n": self.data.count(b"\n") - crlf, "\r\n": crlf, "\r": self.data.count(b"\r") - crlf}
        return max(counts, key=lambda newline: counts[newline])

    @cached_property
    def encoder(self) -> Encoder:
        """Turns an edit's text into this file's bytes."""
        return Encoder(self.encoding, self.newline)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; a file that is not valid Python is a `SourceError`."""
        null = self.data.find(b"\0")
        if null >= 0:  # which errors Python raises for it, and where, depends on its version
            message = "holds null bytes, as binary and UTF-16 files do; save it as UTF-8 or exclude it"
            raise SourceError(self.path, message, len((self.data[:null] + b".").splitlines()))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an invalid escape is for its author's linter to report
                return ast.parse(self.text)
        except SyntaxError as error:
            message = f"not valid Python: {error.msg}; correct it or exclude the file"
            raise SourceError(self.path, message, error.lineno) from None
        except (RecursionError, MemoryError):
            message = "nested too deeply, or too long a chain, to be parsed; split it or exclude the file"
            raise SourceError(self.path, message) from None

    def offset(self, lineno: int, utf8_col: int) -> int:
        """The byte that a position of `ast` stands for; both its numbers are as `ast` gives them."""
        start = self._line_starts[lineno - 1]
        if self._utf8:
            return start + utf8_col
        line = self.data[start : self._line_starts[lineno]].decode(self.encoding)
        return start + len(line.encode()[:utf8_col].decode().encode(self.encoding))

    def span(self, node: Positioned) -> tuple[int, int]:
        """First byte of a node and first byte behind it; decorators and parentheses around it lie outside.

        Before Python 3.12 the places of nodes inside an f-string are not reliable.
        """
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def segment(self, node: Positioned) -> str:
        """The node's own text; newlines in it are ``\\n``, so that it can go into an edit."""
        start, end = self.span(node)
        return self.slice(start, end)

    def slice(self, start: int, end: int) -> str:
        """The text of a span of bytes; newlines in it are ``\\n``, so that it can go into an edit."""
        return self.data[start:end].decode(self.encoding).replace("\r\n", "\n").replace("\r", "\n")

    def location(self, offset: int) -> tuple[int, int]:
        """Row and column of a byte, both from 1, the column in characters."""
        row = max(bisect_right(self._line_starts, offset, hi=len(self._line_starts) - 1), 1)
        before = self.data[self._line_starts[row - 1] : offset]
        return row, 1 + len(before if before.isascii() else before.decode(self.encoding))

    def line(self, row: int) -> str:
        """The text of a line, counted from 1, without its newline."""
        return self.slice(self._line_starts[row - 1], self._line_starts[row]).rstrip("\n")

    def apply(self, edits: Iterable[Edit]) -> Source:
        """The file with `edits` in it; the bytes outside their spans are the same."""
        try:
            return Source(self.path, splice(self.data, edits, self.encoder))
        except UnicodeEncodeError as error:
            missing = error.object[error.start : error.end]
            message = f"{self.encoding} cannot write {missing!r}, which a fix needs; save the file as UTF-8"
            raise SourceError(self.path, message) from None

    def utf8_offset(self, offset: int) -> int:
        """Where a byte of the file lies in the UTF-8 encoding of `text`: what LibCST counts."""
        if self._utf8:
            return offset - len(self.bom)
        return len(self.data[len(self.bom) : offset].decode(self.encoding).encode())

    def from_utf8_offset(self, utf8_offset: int) -> int:
        """The byte of the file that lies at `utf8_offset` in the UTF-8 encoding of `text`."""
        if self._utf8:
            return utf8_offset + len(self.bom)
        return len(self.bom) + len(self.text.encode()[:utf8_offset].decode().encode(self.encoding))

    @cached_property
    def _utf8(self) -> bool:
        """Whether the bytes behind the mark are the UTF-8 encoding of `text`."""
        return self.encoding == "utf-8" or self.text.isascii()

    @cached_property
    def _line_starts(self) -> list[int]:
        """The first byte of every line; the last entry is the end of the file.

        `bytes.splitlines` knows exactly the newlines of Python's tokenizer, unlike `str.splitlines`.
        """
        lengths = map(len, self.data[len(self.bom) :].splitlines(keepends=True))
        starts = list(accumulate(lengths, initial=len(self.bom)))
        has_empty_last_line = len(starts) == 1 or self.data.endswith((b"\n", b"\r"))
        return [*starts, len(self.data)] if has_empty_last_line else starts


def _encoded_one_by_one(text: str, encoding: str) -> bytes:
    """Encode each character for itself: the same bytes as the file's, unless the codec keeps a state."""
    table = {character: character.encode(encoding) for character in set(text)}
    return b"".join(map(table.__getitem__, text))


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a device or socket"


def reason_of(error: OSError | ValueError) -> str:
    """Why a path cannot be read and what to do about it."""
    if not isinstance(error, OSError):
        return "not a file name; check the path"
    known = _REASONS.get(error.errno or 0)
    return known or f"cannot be read ({error.strerror}); check it or exclude it"
