"""The code around a finding: line numbers, carets below a span, a bar beside one of several lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rich.cells import cell_len, set_cell_size

from fixer.outcome import Outcome
from fixer.report.model import Place

Paint = Callable[[str, str], str]
"""Puts a text into a style."""

_TAB = "    "
_LONGEST = 200
"""Cells of a line that are shown where no terminal sets a limit."""
_HALF = 3
"""Lines shown of either end of a tall span; its middle is left out."""
_INVISIBLE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]"
)


def visible(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey or hide."""
    return _INVISIBLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", _TAB))


def excerpt(outcome: Outcome, where: Place, gutter: int, paint: Paint, width: int | None) -> Iterator[str]:
    """The lines of the span with one line of its surroundings on either side."""
    source = outcome.source
    room = max((width or _LONGEST) - gutter - 5, 30)
    last_row = source.location(len(source.data))[0]
    border = paint(f"{'':{gutter}} |", "blue")
    tall = where.end_row > where.row
    yield border
    for row in range(max(where.row - 1, 1), min(where.end_row + 1, last_row) + 1):
        inside = where.row <= row <= where.end_row
        line = source.line(row)
        if not inside and not line.strip():
            continue
        if where.row + _HALF <= row <= where.end_row - _HALF:
            if row == where.row + _HALF:
                yield f"{border} {paint('|', 'bold red')} ..."
            continue
        number = paint(f"{row:{gutter}} |", "blue")
        if tall:
            bar = paint("|", "bold red") if inside else " "
            yield f"{number} {bar} {_cropped(line, 0, room - 2)[0]}".rstrip()
            continue
        start = _cells(line[: where.column - 1]) if inside else 0
        shown, left_out = _cropped(line, start, room)
        yield f"{number} {shown}".rstrip()
        if inside:
            length = max(_cells(line[where.column - 1 : where.end_column - 1]), 1)
            carets = "^" * min(length, max(room - start + left_out, 1))
            yield f"{border} {' ' * (start - left_out)}{paint(carets, 'bold red')}"
    yield border


def _cells(text: str) -> int:
    return cell_len(visible(text))


def _cropped(line: str, start: int, room: int) -> tuple[str, int]:
    """As much of the line as has room, with the cell `start` in it, and how many cells are cut off before."""
    text = visible(line.rstrip())
    total = cell_len(text)
    if total <= room:
        return text, 0
    left_out = min(max(start - room // 3, 0), total - room)
    text = _without(text, left_out)
    return (set_cell_size(text, room - 3) + "..." if cell_len(text) > room else text), left_out


def _without(text: str, cells: int) -> str:
    """The text without its first cells; half of a wide character becomes a space."""
    width = 0
    for index, character in enumerate(text):
        if width >= cells:
            return " " * (width - cells) + text[index:]
        width += cell_len(character)
    return ""
