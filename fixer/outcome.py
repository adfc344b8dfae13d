"""What became of each finding: the plain data that `fixer.apply` produces and every report renders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from fixer.contract import Verification
from fixer.edits import EditSet, origin
from fixer.engine import FileError
from fixer.rule import Finding, Fix
from fixer.source import Source


class Status(str, Enum):
    """What became of a finding."""

    FOUND = "found"
    """Reported; nobody asked for its fix to be written."""
    FIXED = "fixed"
    NO_FIX = "no-fix"
    UNSAFE = "unsafe"
    """Its fix needs `--unsafe-fixes`."""
    UNVERIFIED = "unverified"
    """Its fix could not be proven."""
    REFUTED = "refuted"
    """Its fix was run and found to be wrong."""
    WITHDRAWN = "withdrawn"
    """Its fix would harm: break the syntax, cause another finding, touch a file that may not be written."""


@dataclass(frozen=True)
class Outcome:
    """A finding, the fix that was meant for it, and what became of both."""

    finding: Finding
    sources: Mapping[Path, Source]
    """The files as the finding and its fix saw them: their offsets count in these."""
    status: Status
    fix: Fix | None = None
    verification: Verification | None = None
    reason: str = ""
    """Why a fix was not written, where the status does not say it all."""
    round: int = 0
    """How many rounds of fixes had gone in before."""

    @property
    def source(self) -> Source:
        """The file of the finding."""
        return self.sources[self.finding.path]


@dataclass(frozen=True)
class Plan:
    """Everything that is to be written, and everything that is not, with the reasons."""

    originals: Mapping[Path, Source]
    finals: Mapping[Path, Source]
    found: tuple[Outcome, ...]
    """What there was before anything was done."""
    written: tuple[Outcome, ...]
    remaining: tuple[Outcome, ...]
    errors: tuple[FileError, ...]
    rounds: tuple[EditSet, ...]
    """The edits of each round; those of round n count in the text that round n - 1 left."""
    files: int
    """How many files were looked at."""

    @property
    def changed(self) -> tuple[Path, ...]:
        """The files whose bytes differ, sorted."""
        return tuple(
            sorted(path for path, new in self.finals.items() if new.data != self.originals[path].data)
        )

    @property
    def groups(self) -> tuple[tuple[Path, ...], ...]:
        """The changed files; those that one fix joins stand together, to be written all or none."""
        changed = set(self.changed)
        touched = (outcome.fix.edits.files.keys() for outcome in self.written if outcome.fix)
        return tuple(
            tuple(sorted(group)) for group in connected(changed.intersection(paths) for paths in touched)
        )

    def retrace(self, outcome: Outcome) -> Outcome:
        """The outcome with its offsets in the originals, for as long as these are what lies on disk.

        A fix of a file that an earlier round has changed keeps its message and loses its edits: they count
        in a text that was never on disk.
        """
        history = self.rounds[: outcome.round]
        finding, fix = outcome.finding, outcome.fix
        span = finding.start, finding.end
        for edits in reversed(history):
            span = origin(*span, edits.files.get(finding.path, ()), outcome.source.encoder)
        if fix and any(fix.edits.files.keys() & edits.files.keys() for edits in history):
            fix = replace(fix, edits=EditSet())
        finding = replace(finding, start=span[0], end=span[1])
        return replace(outcome, finding=finding, fix=fix, sources=self.originals, round=0)


def connected(sets: Iterable[Collection[Path]]) -> list[set[Path]]:
    """Join sets that share a member until none do."""
    groups: list[set[Path]] = []
    for item in sets:
        meeting = [group for group in groups if not group.isdisjoint(item)]
        groups = [group for group in groups if group.isdisjoint(item)]
        joined = set(item).union(*meeting)
        if joined:
            groups.append(joined)
    return groups
