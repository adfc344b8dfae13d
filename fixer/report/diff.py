"""A unified diff in bytes, as `git apply` and `patch -p1` take it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fixer.outcome import Plan
from fixer.report.model import relative

_NO_NEWLINE = b"\n\\ No newline at end of file\n"


def render(plan: Plan, base: Path) -> bytes:
    """The change of every file, sorted by path; names count from `base`, those outside it from the root."""
    return b"".join(
        piece
        for path in plan.changed
        for piece in _file(relative(path, base), plan.originals[path].data, plan.finals[path].data)
    )


def _file(name: str, old: bytes, new: bytes) -> Iterator[bytes]:
    name = name.lstrip("/")
    hunks = difflib.diff_bytes(
        difflib.unified_diff,
        _lines(old),
        _lines(new),
        _name(f"a/{name}"),
        _name(f"b/{name}"),
    )
    for line in hunks:
        yield line if line.endswith(b"\n") else line + _NO_NEWLINE


def _lines(data: bytes) -> list[bytes]:
    """Lines as git counts them: a lone carriage return ends none."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def _name(name: str) -> bytes:
    r"""A file name in a header: quoted as git does where it must be, a tab behind it if it holds a space."""
    raw = name.encode("utf-8", "surrogateescape")
    if any(byte < 0x20 or byte > 0x7E or byte in b'"\\' for byte in raw):
        return b'"' + b"".join(_quoted(raw)) + b'"'
    return raw + b"\t" if b" " in raw else raw


def _quoted(raw: bytes) -> Iterable[bytes]:
    for byte in raw:
        if byte in b'"\\':
            yield b"\\" + bytes([byte])
        elif 0x20 <= byte <= 0x7E:
            yield bytes([byte])
        else:
            yield b"\\%03o" % byte
