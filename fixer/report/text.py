"""Text for people: one line a finding, or also its code, what the fix does and what it rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from fixer.contract import Verdict
from fixer.outcome import Outcome, Status
from fixer.report.evidence import summary
from fixer.report.excerpt import Paint, excerpt, visible
from fixer.report.model import Report, alternatives, place, remark
from fixer.rule import Fix

VERDICT_STYLE = {
    Verdict.EQUIVALENT: "green",
    Verdict.REPAIRED: "green",
    Verdict.REFUTED: "bold red",
    Verdict.UNVERIFIED: "yellow",
}


_NARROW = 20
"""Columns that a message must have beside what stands before it; with fewer it goes below."""


class Note(NamedTuple):
    """A remark below a finding."""

    label: str
    text: str
    style: str = "bold"


def render(report: Report, *, concise: bool, colour: bool, width: int | None) -> str:
    """One line or one block a finding; nothing where nothing was found."""
    paint = painter(colour)
    if concise:
        return "".join(f"{_line(report, outcome, paint)}\n" for outcome in report.outcomes)
    blocks = ("\n".join(_block(report, outcome, paint, width)) for outcome in report.outcomes)
    return "".join(f"{block}\n\n" for block in blocks)


def painter(colour: bool) -> Paint:
    """What gives text a style, where there is colour."""
    return _coloured if colour else _plain


def _plain(text: str, _: str) -> str:
    return text


def _coloured(text: str, style: str) -> str:
    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def _line(report: Report, outcome: Outcome, paint: Paint, width: int | None = None) -> str:
    """Place, code and message; on a terminal that has room, the message goes on below itself."""
    finding, where = outcome.finding, place(outcome)
    name, mark = visible(report.relative(finding.path)), _mark(report, outcome)
    parts = [
        (name, "bold"),
        (f":{where.row}:{where.column}: ", ""),
        (finding.code, "bold red"),
        (f" {finding.name} ", ""),
        *([(mark, "bold cyan"), (" ", "")] if mark else []),
    ]
    lead = "".join(paint(text, style) if style else text for text, style in parts)
    message, taken = visible(finding.message), cell_len("".join(text for text, _ in parts))
    if width is None:
        return lead + message
    if taken > width - _NARROW:
        below = textwrap.wrap(
            message, max(width, 2 * _NARROW), initial_indent="    ", subsequent_indent="    "
        )
        return "\n".join([lead.rstrip(), *below])
    lines = textwrap.wrap(message, width, initial_indent=" " * taken, subsequent_indent="    ")
    return "\n".join([lead + lines[0][taken:], *lines[1:]])


def _mark(report: Report, outcome: Outcome) -> str:
    if outcome.status is Status.FIXED:
        return "[would be fixed]" if report.dry_run else "[fixed]"
    return "[*]" if report.fixable(outcome) else ""


def _block(report: Report, outcome: Outcome, paint: Paint, width: int | None) -> Iterator[str]:
    yield _line(report, outcome, paint, width)
    where = place(outcome)
    gutter = len(str(where.end_row + 1))
    if outcome.status is not Status.FIXED:
        yield from excerpt(outcome, where, gutter, paint, width)
    yield from notes_of(_notes(report, outcome), gutter, report.base, paint, width)


def notes_of(
    notes: Iterable[Note], gutter: int, base: Path, paint: Paint, width: int | None
) -> Iterator[str]:
    """Remarks as lines that hang below each other."""
    for note in notes:
        lead = f"{'':{gutter}} = "
        indent = " " * (len(lead) + len(note.label) + 2)
        text = f"{lead}{note.label}: {visible(note.text).replace(f'{base}/', '')}"
        lines = textwrap.wrap(text, width or 10**9, subsequent_indent=indent, break_on_hyphens=False)
        label = f"{paint('=', 'blue')} {paint(f'{note.label}:', note.style)}"
        yield lines[0].replace(f"= {note.label}:", label, 1)
        yield from lines[1:]


def _notes(report: Report, outcome: Outcome) -> Iterator[Note]:
    if outcome.finding.help:
        yield Note("help", outcome.finding.help, "bold cyan")
    if outcome.fix:
        yield Note("fix", _described(report, outcome, outcome.fix), "bold cyan")
    for fix in alternatives(outcome):
        yield Note("or", _described(report, outcome, fix), "bold cyan")
    verification = outcome.verification
    if verification:
        unproven = outcome.status is Status.FIXED and not verification.verdict.proven
        verdict, *facts = summary(verification)
        word, _, rest = verdict.partition(": ")
        label = "WRITTEN UNPROVEN" if unproven and not report.dry_run else word
        yield Note(label, rest, VERDICT_STYLE[verification.verdict])
        for fact in facts:
            yield Note("evidence", fact)
    elif outcome.status is Status.FIXED:
        yield Note("not verified", "`--verify=off`: nothing was run", "yellow")
    why = remark(outcome)
    if why:
        yield Note("left", why, "bold yellow")


def _described(report: Report, outcome: Outcome, fix: Fix) -> str:
    others = sorted(path for path in fix.edits.files if path != outcome.finding.path)
    also = f"; also changes {_listed(report, others)}" if others else ""
    return f"{fix.message} ({fix.applicability.value}{also})"


def _listed(report: Report, paths: list[Path]) -> str:
    return ", ".join(report.relative(path) for path in paths)
