"""The one or two sentences that close a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fixer.against import Compared
from fixer.outcome import Outcome, Plan, Status
from fixer.report.model import Report
from fixer.rule import Applicability

_LEFT = {
    Status.NO_FIX: "without a fix",
    Status.UNSAFE: "with an unsafe fix (`--unsafe-fixes`)",
    Status.UNVERIFIED: "unproven",
    Status.REFUTED: "refuted",
    Status.WITHDRAWN: "with a fix that cannot go in",
}


@dataclass(frozen=True)
class Scope:
    """What a run was about: a clean tree is something else than one that nobody looked at."""

    rules: int
    files: int
    """Files that were looked at; those with an error do not count."""
    errors: int = 0


def on_check(report: Report, scope: Scope) -> str:
    """What `check` found."""
    if not report.outcomes:
        return _closing(scope, _nothing("found", scope))
    fixable = sum(report.fixable(outcome) for outcome in report.outcomes)
    unsafe = sum(
        outcome.fix is not None
        and outcome.fix.applicability is Applicability.UNSAFE
        and not report.unsafe_fixes
        for outcome in report.outcomes
    )
    having = len({outcome.finding.path for outcome in report.outcomes})
    where = f"{having} of {scope.files} files" if scope.files > having else _count(having, "file")
    parts = [f"Found {_count(len(report.outcomes), 'finding')} in {where}."]
    if fixable:
        judged = all(outcome.verification for outcome in report.outcomes if report.fixable(outcome))
        parts.append(f"[*] `fixer apply` would {'fix' if judged else 'verify and fix'} {fixable}.")
    if unsafe:
        parts.append(f"{unsafe} more {_has(unsafe)} an unsafe fix (`--unsafe-fixes`).")
    return _closing(scope, *parts)


def on_apply(plan: Plan, scope: Scope, *, dry_run: bool) -> str:
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
    return _closing(scope, *(parts or [_nothing("to fix", scope)]))


def on_verify(outcomes: Sequence[Outcome], scope: Scope) -> str:
    """How many fixes are proven."""
    verdicts = Counter(item.verification.verdict.value for item in outcomes if item.verification)
    if not verdicts:
        return _closing(scope, _nothing("to verify", scope))
    counts = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
    return _closing(scope, f"Tried {_count(verdicts.total(), 'fix', 'fixes')}: {counts}.")


def on_against(classes: Sequence[Compared], revision: str, files: int, errors: int) -> str:
    """How many of the classes that changed by hand are as good as before; `files` of the paths differ."""
    failed = (f"{_count(errors, 'error')}, see above.",) if errors else ()
    if not classes:
        nothing = f"Nothing changed since {revision}."
        unused = f"{_count(files, 'file')} changed since {revision}; nothing that an nn.Module uses did."
        return " ".join([unused if files else nothing, *failed])
    verdicts = Counter(item.verification.verdict.value for item in classes if item.verification)
    counts = [f"{number} {verdict}" for verdict, number in sorted(verdicts.items())]
    others = Counter(item.status.value for item in classes if item.verification is None)
    counts += [f"{number} {status}" for status, number in sorted(others.items())]
    return " ".join(
        [
            f"{_count(len(classes), 'class', 'classes')} changed since {revision}: {', '.join(counts)}.",
            *failed,
        ]
    )


def _nothing(what: str, scope: Scope) -> str:
    if not scope.rules:
        return "No rule ran: those that are selected are ignored."
    if scope.files:
        return f"Nothing {what} in {_count(scope.files, 'file')}."
    if scope.errors:
        return "No file could be looked at."
    return "No Python files found; check the paths, `include`, `exclude` and .gitignore."


def _closing(scope: Scope, *parts: str) -> str:
    errors = (f"{_count(scope.errors, 'error')}, see above.",) if scope.errors else ()
    return " ".join(parts + errors)


def _proven(proven: int, total: int) -> str:
    if proven == total:
        return "verified" if total == 1 else "all verified"
    return f"{proven} of them verified, {total - proven} NOT VERIFIED" if proven else "NOT VERIFIED"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _has(number: int) -> str:
    return "has" if number == 1 else "have"
