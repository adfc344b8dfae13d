"""From findings to files: plan in memory, round by round, until nothing is left to fix; then write.

`survey` and `plan` are pure but for the verdicts they ask for. `execute` is the only place that writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fixer.contract import Verdict, Verification
from fixer.edits import EditSet
from fixer.engine import Analysis, FileError
from fixer.outcome import Outcome, Plan, Status
from fixer.policy import Policy, VerifyMode
from fixer.proving import Judge, Prover, Sources
from fixer.rounds import Analyser, Round, Work, candidates, disjoint, objection_to
from fixer.rule import Applicability, Finding
from fixer.source import SourceError
from fixer.write import write_all

ROUNDS = 10
"""Rules whose findings do not become fewer in as many rounds fight each other."""


def survey(
    analyser: Analyser,
    sources: Sources,
    targets: Collection[Path],
    policy: Policy,
    judge: Judge | None = None,
    *,
    unsaved: Collection[Path] = (),
) -> Plan:
    """Report what there is and write nothing; a `judge` is asked about every fix, unsafe ones included."""
    analysis = analyser.analyse(sources, targets)
    verifications: dict[int, Verification | None] = {}
    if judge is not None:
        prover = Prover(judge, replace(policy, verify=VerifyMode.REQUIRE), sources, unsaved)
        verifications = dict(_verdicts(prover, sources, analysis.findings, policy))
    found = tuple(
        replace(outcome, verification=verifications.get(id(outcome.finding)))
        for outcome in _found(sources, analysis, policy)
    )
    return Plan(sources, sources, found, (), found, analysis.errors, (), analysis.files)


def plan(
    analyser: Analyser,
    sources: Sources,
    targets: Collection[Path],
    policy: Policy,
    judge: Judge | None = None,
    *,
    unsaved: Collection[Path] = (),
    writable: Collection[Path] | None = None,
) -> Plan:
    """Fix what may be fixed, round by round, and account for the rest.

    `unsaved` names sources whose bytes are not those on disk, `writable` the files that a fix may touch
    (None: every source).
    """
    work = Work(analyser, Prover(judge, policy, sources, unsaved), targets, policy, writable)
    first = analyser.analyse(sources, targets)
    current, analysis = sources, first
    written: list[Outcome] = []
    rounds: list[Round] = []
    fewest, idle = len(first.findings), 0
    while True:
        now = work.round(current, analysis)
        if not now.accepted or idle == ROUNDS:
            break
        for ruling in now.accepted:
            candidate = ruling.candidate
            fixed = Outcome(candidate.finding, current, Status.FIXED, candidate.fix, ruling.verification)
            written.append(replace(fixed, round=len(rounds)))
        rounds.append(now)
        current, analysis = now.sources, now.analysis
        idle = 0 if len(analysis.findings) < fewest else idle + 1
        fewest = min(fewest, len(analysis.findings))
    errors = dict.fromkeys(error for done in [first, *(r.analysis for r in rounds)] for error in done.errors)
    result = Plan(
        originals=sources,
        finals=current,
        found=tuple(_found(sources, first, policy)),
        written=tuple(written),
        remaining=tuple(work.outcome(finding, current, now, len(rounds)) for finding in analysis.findings),
        errors=tuple(errors),
        rounds=tuple(done.edits for done in rounds),
        files=first.files,
    )
    return _peaceful(result, now, rounds[-1]) if now.accepted else result


def execute(plan: Plan) -> Plan:
    """Write the changed files; a file that cannot be written stays as it was, and so do those it is tied to.

    The answer is what really happened.
    """
    for group in plan.groups:
        plan = _written(plan, group)
    return plan


def _written(plan: Plan, group: Collection[Path]) -> Plan:
    try:
        write_all([(plan.originals[path], plan.finals[path]) for path in group])
    except SourceError as error:
        return _left(plan, group, FileError(error.path, error.message))
    return plan


def _found(sources: Sources, analysis: Analysis, policy: Policy) -> Iterator[Outcome]:
    for finding in analysis.findings:
        yield Outcome(finding, sources, Status.FOUND, policy.choice(finding))


def _verdicts(
    prover: Prover, sources: Sources, findings: Iterable[Finding], policy: Policy
) -> Iterator[tuple[int, Verification | None]]:
    """What verification says of each fix, by the identity of its finding.

    A safe fix does not lean on an unsafe one.
    """
    proven: list[EditSet] = []
    for applicability in (Applicability.SAFE, Applicability.UNSAFE):
        pool = []
        for candidate in candidates(findings, policy):
            if candidate.fix.applicability is not applicability:
                continue
            objection = objection_to(sources, candidate)
            if objection:
                yield id(candidate.finding), Verification(Verdict.UNVERIFIED, objection)
            else:
                pool.append(candidate)
        while pool:
            picked, pool = disjoint(pool)
            clear = [edits for edits in proven if not any(edits.overlaps(item.fix.edits) for item in picked)]
            for ruling in prover.rule(sources, picked, EditSet.union(clear)):
                yield id(ruling.candidate.finding), ruling.verification
                edits = ruling.candidate.fix.edits
                if ruling.accepted and not any(edits.overlaps(other) for other in proven):
                    proven.append(edits)


def _peaceful(plan: Plan, now: Round, last: Round) -> Plan:
    """The plan without the files in which the rules go on undoing each other's fixes."""
    for group in plan.groups:
        fighting = [
            ruling.candidate.finding.code
            for ruling in [*last.accepted, *now.accepted]
            if not ruling.candidate.fix.edits.files.keys().isdisjoint(group)
        ]
        if not now.edits.files.keys().isdisjoint(group):
            codes = " and ".join(dict.fromkeys(fighting))
            message = (
                f"the fixes of {codes} never come to an end; ignore one of them here, and please report it"
            )
            plan = _left(plan, group, FileError(group[0], message))
    return plan


def _left(plan: Plan, group: Collection[Path], error: FileError) -> Plan:
    """The plan with the files of `group` left as they lie on disk, because of `error`."""

    def touches(outcome: Outcome) -> bool:
        paths = {outcome.finding.path, *(outcome.fix.edits.files if outcome.fix else ())}
        return not paths.isdisjoint(group)

    still_there = (
        replace(outcome, status=Status.WITHDRAWN, reason=f"{error.path.name}: {error.message}")
        for outcome in plan.found
        if touches(outcome)
    )
    remaining = [*still_there, *(outcome for outcome in plan.remaining if outcome.finding.path not in group)]
    return replace(
        plan,
        finals={**plan.finals, **{path: plan.originals[path] for path in group}},
        written=tuple(outcome for outcome in plan.written if not touches(outcome)),
        remaining=tuple(sorted(remaining, key=lambda outcome: (outcome.finding.path, outcome.finding.start))),
        errors=(*plan.errors, error),
    )
