"""What became of each finding: the plain data that `fixer.apply` produces and every report renders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from fixer.contract import Verdict, Verification
from fixer.edits import EditSet, origin
from fixer.engine import FileError
from fixer.rule import Applicability, Finding, Fix
from fixer.source import Source


class VerifyMode(str, Enum):
    """How much proof a fix needs before it is written."""

    AUTO = "auto"
    """Proven safe fixes are written; a fix that nothing could be shown of counts as unsafe."""
    REQUIRE = "require"
    """Only proven fixes are written, whatever else is given."""
    OFF = "off"
    """Nothing is run; fixes are written by their applicability alone."""


@dataclass(frozen=True)
class Policy:
    """What the user allows."""

    unsafe_fixes: bool = False
    verify: VerifyMode = VerifyMode.AUTO
    prefer: Mapping[str, str] = field(default_factory=dict)
    """For a rule's code, words of the message of the fix to take instead of the first."""

    def choice(self, finding: Finding) -> Fix | None:
        """The fix that is meant when nobody asks which."""
        words = self.prefer.get(finding.code, "").casefold()
        wanted = (fix for fix in finding.fixes if words in fix.message.casefold())
        return next(wanted, finding.fix)

    def allows(self, fix: Fix) -> bool:
        """Whether the fix may be written at all, before anything is run."""
        if fix.applicability is Applicability.UNSAFE:
            return self.unsafe_fixes
        return fix.applicability is Applicability.SAFE

    def accepts(self, verification: Verification | None) -> bool:
        """Whether what verification said (None: it was not asked) is enough to write an allowed fix."""
        if verification is None:
            return self.verify is VerifyMode.OFF
        if verification.verdict is Verdict.UNVERIFIED:
            return self.verify is VerifyMode.AUTO and self.unsafe_fixes
        return verification.verdict.proven


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
