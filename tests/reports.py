"""Findings for tests of reports, without any rule or file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fixer.contract import Contract, Promise, Subject, Verification
from fixer.edits import Edit, EditSet
from fixer.engine import FileError
from fixer.outcome import Outcome, Status
from fixer.report.model import Report
from fixer.rule import Applicability, Finding, Fix
from fixer.source import Source

BASE = Path("/project")


def outcome(
    text: str | bytes,
    *,
    name: str = "net.py",
    status: Status = Status.FOUND,
    verification: Verification | None = None,
    applicability: Applicability = Applicability.SAFE,
    alternative: str | None = None,
    help: str | None = None,  # noqa: A002 - the finding's own name for it
    until: str | None = None,
    also: Mapping[str, str] | None = None,
    fixable: bool = True,
) -> Outcome:
    """What became of the word `bad` in a file, up to the word `until` if given."""
    path = BASE / name
    source = Source(path, text if isinstance(text, bytes) else text.encode())
    start = source.data.index(b"bad")
    end = source.data.index(until.encode()) + 1 if until else start + 3
    others = {BASE / other: Source(BASE / other, content.encode()) for other, content in (also or {}).items()}
    insertions = {other: (Edit(0, 0, "z\n"),) for other in others}
    contract = Contract(Promise.PRESERVES, (Subject(path),))
    fixes = tuple(
        Fix(
            f"Write `{word}`",
            applicability,
            EditSet({path: (Edit(start, end, word),), **insertions}),
            contract,
        )
        for word in ("good", alternative)
        if word and fixable
    )
    finding = Finding("AAA001", "bad-word", "`bad` is wrong", path, start, end, fixes, help)
    return Outcome(finding, {path: source, **others}, status, finding.fix, verification)


def report(
    *outcomes: Outcome, errors: tuple[FileError, ...] = (), base: Path = BASE, **given: bool
) -> Report:
    """A report of outcomes."""
    return Report(outcomes, errors, base, **given)  # type: ignore[arg-type]
