"""What became of the classes that a person has changed since a commit, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixer.against import Compared, Status
from fixer.contract import Verdict
from fixer.engine import FileError
from fixer.report import Format
from fixer.report.evidence import summary, verification_data
from fixer.report.excerpt import Paint, visible
from fixer.report.model import relative
from fixer.report.text import VERDICT_STYLE, Note, notes_of, painter

_GUTTER = 2
_MOST_ROWS = 12


@dataclass(frozen=True)
class AgainstReport:
    """The classes and errors of a run, and how to name their files."""

    classes: Sequence[Compared]
    errors: Sequence[FileError]
    base: Path
    """The folder that paths are shown relative to; absolute."""


def render(report: AgainstReport, style: Format, *, colour: bool = False, width: int | None = None) -> str:
    """The report in one of the formats `full`, `concise` and `json`."""
    if style is Format.JSON:
        return json.dumps([_entry(item) for item in report.classes], indent=2, default=str) + "\n"
    paint = painter(colour)
    if style is Format.CONCISE:
        return "".join(f"{_line(report, item, paint)}\n" for item in report.classes)
    return "".join("\n".join(_block(report, item, paint, width)) + "\n\n" for item in report.classes)


def _entry(item: Compared) -> dict[str, Any]:
    return {
        "filename": str(item.path),
        "class": item.name,
        "location": {"row": item.row, "column": 1},
        "status": item.status.value,
        "was": item.was and {"filename": str(item.was[0]), "class": item.was[1]},
        "changed": [{"filename": str(path), "name": name or None} for path, name in item.because],
        "verification": item.verification and verification_data(item.verification),
    }


def _line(report: AgainstReport, item: Compared, paint: Paint) -> str:
    verification = item.verification
    place = f"{paint(visible(relative(item.path, report.base)), 'bold')}:{item.row}: {visible(item.name)}"
    if verification is None:
        return f"{place} {item.status.value}"
    word = paint(verification.verdict.value, VERDICT_STYLE[verification.verdict])
    reason = "" if verification.verdict.proven else f": {visible(_near(report, verification.reason))}"
    return f"{place} {word}{reason}"


def _block(report: AgainstReport, item: Compared, paint: Paint, width: int | None) -> Iterator[str]:
    name = paint(visible(relative(item.path, report.base)), "bold")
    yield f"{name}:{item.row}: {paint(visible(item.name), 'bold')} {_what(report, item)}"
    verification = item.verification
    if verification is None:
        return
    verdict, *facts = summary(verification, counterexample=False)
    word, _, rest = verdict.partition(": ")
    notes = [Note(word, rest, VERDICT_STYLE[verification.verdict])]
    notes += [Note("evidence", fact) for fact in facts]
    yield from notes_of(notes, _GUTTER, report.base, paint, width)
    shown = verification.evidence.get("counterexample") or {"max_abs": None}
    if verification.verdict is not Verdict.EQUIVALENT and "max_abs" in shown:
        yield from _table(verification.evidence.get("differences") or ())


def _what(report: AgainstReport, item: Compared) -> str:
    """What happened to a class, in words."""
    if item.status is Status.ADDED:
        return "is new: there is nothing to compare it with"
    if item.status is Status.REMOVED:
        return "is gone"
    parts = []
    if item.was is not None:
        path, name = item.was
        where = f"{visible(relative(path, report.base))}:" if path != item.path else ""
        parts.append(f"was {where}{visible(name)}")
    own = item.name.split(".")[0]
    others = [unit for unit in item.because if unit.name != own]
    if len(others) < len(item.because):
        parts.append("changed")
    if others:
        named = ", ".join(_unit(report, unit.path, unit.name) for unit in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        parts.append(f"uses what changed: {named}{more}")
    return "; ".join(parts)


def _unit(report: AgainstReport, path: Path, name: str) -> str:
    where = visible(relative(path, report.base))
    return f"`{visible(name)}` ({where})" if name else f"what {where} does when it is imported"


def _near(report: AgainstReport, text: str) -> str:
    return text.replace(f"{report.base}/", "")


def _table(differences: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The numbers that differ in the first call, or other check, in which any do."""
    numbers = [entry for entry in differences if "max_abs" in entry]
    if not numbers:
        return
    check, call = numbers[0]["check"], _call_of(numbers[0])
    rows = [entry for entry in numbers if entry["check"] == check and _call_of(entry) == call]
    names = [visible(str(entry["where"]).removeprefix(call).strip()) for entry in rows[:_MOST_ROWS]]
    check = ", ".join(filter(None, [check, call]))
    wide = max(map(len, [check, *names]))
    indent = " " * (_GUTTER + 3)
    yield f"{indent}{check:{wide}}    max abs   relative"
    for name, entry in zip(names, rows, strict=False):
        yield f"{indent}{name:{wide}}  {_number(entry['max_abs'])}  {_number(entry['of_size'])}"
    if len(rows) > len(names):
        yield f"{indent}and {len(rows) - len(names)} more"


def _call_of(entry: Mapping[str, Any]) -> str:
    """``call 1`` of the entries that stand in one."""
    words = str(entry["where"]).split()
    return " ".join(words[:2]) if words[:1] == ["call"] else ""


def _number(value: Any) -> str:
    return f"{float(value):9.2e}"
