"""The one or two sentences that close a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fixer.outcome import Outcome, Plan, Status
from fixer.report.model import Report
from fixer.rule import Applicability

_LEFT = {
    Status.NO_FIX: "without a fix",
    Status.UNSAFE: "with an unsafe fix (`--unsafe-fixes`)",
    Status.UNVERIFIED: "unproven",
    Status.REFUTED: "refuted",
    Status.WITHDRAWN: "withdrawn",
}


def on_check(report: Report, files: int) -> str:
    """What `check` found."""
    if not report.outcomes:
        return f"Nothing found in {_count(files, 'file')}."
    fixable = sum(report.fixable(outcome) for outcome in report.outcomes)
    unsafe = sum(
        outcome.fix is not None
        and outcome.fix.applicability is Applicability.UNSAFE
        and not report.fixable(outcome)
        for outcome in report.outcomes
    )
    parts = [f"Found {_count(len(report.outcomes), 'finding')} in {_count(files, 'file')}."]
    if fixable:
        parts.append(f"[*] `fixer apply` would verify and fix {fixable}.")
    if unsafe:
        parts.append(f"{unsafe} more {_has(unsafe)} an unsafe fix (`--unsafe-fixes`).")
    return " ".join(parts)


def on_apply(plan: Plan, *, dry_run: bool) -> str:
    """What `apply` wrote or would write, and what is left."""
    parts = []
    if plan.written:
        proven = sum(bool(item.verification and item.verification.verdict.proven) for item in plan.written)
        done = "Would fix" if dry_run else "Fixed"
        fixed, files = _count(len(plan.written), "finding"), _count(len(plan.changed), "file")
        parts.append(f"{done} {fixed} in {files}, {_proven(proven, len(plan.written))}.")
    if plan.remaining:
        counts = Counter(outcome.status for outcome in plan.remaining)
        why = ", ".join(f"{counts[status]} {word}" for status, word in _LEFT.items() if counts[status])
        parts.append(f"{_count(len(plan.remaining), 'finding')} left: {why}.")
    return " ".join(parts) or f"Nothing to fix in {_count(plan.files, 'file')}."


def on_verify(outcomes: Sequence[Outcome]) -> str:
    """How many fixes are proven."""
    verdicts = Counter(item.verification.verdict.value for item in outcomes if item.verification)
    if not verdicts:
        return "There are no fixes to verify."
    counts = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
    return f"Verified {_count(verdicts.total(), 'fix', 'fixes')}: {counts}."


def _proven(proven: int, total: int) -> str:
    if proven == total:
        return "verified" if total == 1 else "all verified"
    return f"{proven} of them verified, {total - proven} NOT VERIFIED" if proven else "NOT VERIFIED"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _has(number: int) -> str:
    return "has" if number == 1 else "have"
