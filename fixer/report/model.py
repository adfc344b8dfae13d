"""What every report is made from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fixer.contract import Verdict
from fixer.engine import FileError
from fixer.outcome import Outcome, Status
from fixer.rule import Applicability, Fix, Rule


@dataclass(frozen=True)
class Report:
    """Outcomes and errors of a run, and how to name their files."""

    outcomes: Sequence[Outcome]
    errors: Sequence[FileError]
    base: Path
    """The folder that paths are shown relative to; absolute."""
    rules: Sequence[type[Rule]] = ()
    unsafe_fixes: bool = False
    dry_run: bool = False

    def relative(self, path: Path) -> str:
        """The path as people and tools near `base` name it."""
        return relative(path, self.base)

    def gone(self, outcome: Outcome) -> bool:
        """Whether the finding is no longer in the files."""
        return outcome.status is Status.FIXED and not self.dry_run

    def fixable(self, outcome: Outcome) -> bool:
        """Whether `fixer apply` with the same options would write the fix, as far as is known."""
        if outcome.fix is None or outcome.status is not Status.FOUND or not self._promising(outcome):
            return False
        allowed = (Applicability.SAFE, Applicability.UNSAFE) if self.unsafe_fixes else (Applicability.SAFE,)
        return outcome.fix.applicability in allowed

    def _promising(self, outcome: Outcome) -> bool:
        """Whether what is known of the fix does not keep it from being written."""
        if outcome.verification is None or outcome.verification.verdict.proven:
            return True
        return self.unsafe_fixes and outcome.verification.verdict is Verdict.UNVERIFIED


def relative(path: Path, base: Path) -> str:
    """The path below `base` with forward slashes, absolute if it lies elsewhere."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links are kept
    return (absolute.relative_to(base) if absolute.is_relative_to(base) else absolute).as_posix()


@dataclass(frozen=True)
class Place:
    """Where a finding lies, rows and columns from 1, columns in characters."""

    row: int
    column: int
    end_row: int
    end_column: int


def place(outcome: Outcome) -> Place:
    """Where the outcome's finding lies."""
    source, finding = outcome.source, outcome.finding
    return Place(*source.location(finding.start), *source.location(finding.end))


def alternatives(outcome: Outcome) -> tuple[Fix, ...]:
    """The finding's other fixes."""
    chosen = outcome.finding.fixes.index(outcome.fix) if outcome.fix in outcome.finding.fixes else 0
    return tuple(fix for number, fix in enumerate(outcome.finding.fixes) if number != chosen)


def remark(outcome: Outcome) -> str | None:
    """One sentence on why a finding's fix was not written, if it was not."""
    explained = {
        Status.UNSAFE: "the fix may change behaviour; `--unsafe-fixes` writes it",
        Status.REFUTED: "the fix was run and is wrong here, so nothing was changed",
        Status.UNVERIFIED: "the fix could not be proven, so nothing was changed",
    }
    return outcome.reason or explained.get(outcome.status)
