"""One round of fixes: which go in together, and what they must not do to the rest of the code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from fixer.contract import Verification
from fixer.edits import EditSet, origin
from fixer.engine import Analysis
from fixer.outcome import Outcome, Status
from fixer.policy import Policy
from fixer.proving import Candidate, Prover, Ruling, Sources
from fixer.rule import Applicability, Finding
from fixer.source import Source, SourceError


class Analyser(Protocol):
    """What finds things: `fixer.engine.Engine`."""

    def analyse(self, sources: Mapping[Path, Source], targets: Collection[Path]) -> Analysis:
        """Findings in the targets, sorted by path, place and code."""
        ...


class Refusal(NamedTuple):
    """Why a fix that is allowed does not go in."""

    status: Status
    reason: str = ""
    verification: Verification | None = None


_FIGHT = Refusal(Status.WITHDRAWN, "the rules still disagree after the last round")


@dataclass(frozen=True)
class Round:
    """What one round accepted and refused, and the texts that came of it."""

    accepted: Sequence[Ruling]
    refused: Mapping[int, Refusal]
    """By the identity of the finding."""
    sources: Sources
    analysis: Analysis

    @property
    def edits(self) -> EditSet:
        """Everything the round writes; offsets count in the texts before it."""
        return edits_of(self.accepted)


@dataclass(frozen=True)
class Work:
    """The parts of a plan that stay the same in all rounds."""

    analyser: Analyser
    prover: Prover
    targets: Collection[Path]
    policy: Policy
    writable: Collection[Path] | None

    def round(self, sources: Sources, analysis: Analysis) -> Round:
        """Accept as many fixes as go together; where none does, try those that they stood in the way of."""
        refused: dict[int, Refusal] = {}
        pool: list[Candidate] = []
        for candidate in candidates(analysis.findings, self.policy):
            if not self.policy.allows(candidate.fix):
                continue
            objection = objection_to(sources, candidate, self.writable)
            if objection:
                refused[id(candidate.finding)] = Refusal(Status.WITHDRAWN, objection)
            else:
                pool.append(candidate)
        while pool:
            picked, pool = disjoint(pool)
            settled = self._settle(sources, analysis, picked, refused)
            if settled.accepted:
                return settled
        return Round((), refused, sources, analysis)

    def outcome(self, finding: Finding, sources: Sources, last: Round, number: int) -> Outcome:
        """Why a finding is still there after the last round."""
        fix = self.policy.choice(finding)
        if fix is None or fix.applicability is Applicability.DISPLAY:
            return Outcome(finding, sources, Status.NO_FIX, fix, round=number)
        if not self.policy.allows(fix):
            return Outcome(finding, sources, Status.UNSAFE, fix, round=number)
        status, reason, verification = last.refused.get(id(finding), _FIGHT)
        return Outcome(finding, sources, status, fix, verification, reason, number)

    def _settle(
        self, sources: Sources, analysis: Analysis, picked: list[Candidate], refused: dict[int, Refusal]
    ) -> Round:
        """Rule on candidates, withdrawing one after another of those whose result does harm."""
        while True:
            rulings = list(self.prover.rule(sources, picked))
            accepted = [ruling for ruling in rulings if ruling.accepted]
            after = composed(sources, edits_of(accepted))
            later = self.analyser.analyse(after, self.targets) if accepted else analysis
            harm = self._harm(sources, analysis, accepted, after, later)
            if harm is None:
                break
            culprit, reason = harm
            refused[id(culprit.finding)] = Refusal(Status.WITHDRAWN, reason)
            picked = [candidate for candidate in picked if candidate is not culprit]
        for ruling in rulings:
            if not ruling.accepted:
                refused[id(ruling.candidate.finding)] = Refusal(ruling.status, "", ruling.verification)
        return Round(accepted, refused, after, later)

    def _harm(
        self, sources: Sources, analysis: Analysis, accepted: list[Ruling], after: Sources, later: Analysis
    ) -> tuple[Candidate, str] | None:
        """The fix to withdraw because the result does not parse, or shows another rule's finding, and why."""
        fixes = [ruling.candidate for ruling in accepted]
        for path in edits_of(accepted).files:
            error = syntax_error(after[path])
            if error:
                culprit = next(fix for fix in reversed(fixes) if path in fix.fix.edits.files)
                return culprit, f"with the other fixes of the file the result is {error}"
        for finding in appeared(analysis, later, after, edits_of(accepted)):
            suspects = [fix for fix in fixes if fix.finding.code != finding.code]
            if suspects:
                row, _ = after[finding.path].location(finding.start)
                reason = f"it would cause {finding.code} ({finding.message}) in line {row} of the result"
                return self._culprit(sources, analysis, fixes, suspects, finding), reason
        return None

    def _culprit(
        self,
        sources: Sources,
        analysis: Analysis,
        fixes: list[Candidate],
        suspects: list[Candidate],
        finding: Finding,
    ) -> Candidate:
        """The suspect without which the finding does not appear; the last one if it is not one alone."""
        for suspect in suspects:
            edits = EditSet.union(fix.fix.edits for fix in fixes if fix is not suspect)
            after = composed(sources, edits)
            later = self.analyser.analyse(after, self.targets)
            if not any(same_kind(finding, other) for other in appeared(analysis, later, after, edits)):
                return suspect
        return suspects[-1]


def candidates(findings: Iterable[Finding], policy: Policy) -> Iterator[Candidate]:
    """The chosen fix of each finding that has one which may ever be written."""
    for finding in findings:
        fix = policy.choice(finding)
        if fix and fix.applicability is not Applicability.DISPLAY:
            yield Candidate(finding, fix)


def objection_to(
    sources: Sources, candidate: Candidate, writable: Collection[Path] | None = None
) -> str | None:
    """What is wrong with a fix on its own, before anything is run."""
    edits = candidate.fix.edits
    report_it = f"please report this defect of {candidate.finding.code}"
    barred = sorted(path for path in edits.files if path not in (sources if writable is None else writable))
    if barred:
        return f"it also changes {', '.join(map(str, barred))}, which may not be written here"
    try:
        after = composed(sources, edits)
    except SourceError as error:
        return error.message
    except ValueError as error:
        return f"its edits contradict each other ({error}); {report_it}"
    if all(after[path].data == sources[path].data for path in edits.files):
        return f"it changes nothing; {report_it}"
    errors = (syntax_error(after[path]) for path in edits.files)
    return next((f"its result is {error}" for error in errors if error), None)


def disjoint(pool: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """The candidates that can go in together, first come first served, and those they stand in the way of."""
    picked: list[Candidate] = []
    rest: list[Candidate] = []
    taken: dict[Path, list[EditSet]] = defaultdict(list)
    for candidate in pool:
        edits = candidate.fix.edits
        if any(edits.overlaps(other) for path in edits.files for other in taken[path]):
            rest.append(candidate)
            continue
        picked.append(candidate)
        for path in edits.files:
            taken[path].append(edits)
    return picked, rest


def edits_of(rulings: Iterable[Ruling]) -> EditSet:
    """The edits of all rulings in one set."""
    return EditSet.union(ruling.candidate.fix.edits for ruling in rulings)


def composed(sources: Sources, edits: EditSet) -> Sources:
    """The texts with `edits` in them."""
    return {**sources, **{path: sources[path].apply(new) for path, new in edits.files.items()}}


def syntax_error(source: Source) -> str | None:
    """What keeps the source from being parsed."""
    try:
        source.tree  # noqa: B018 - parses
    except SourceError as error:
        return error.message.partition(";")[0]
    return None


def appeared(before: Analysis, after: Analysis, sources: Sources, edits: EditSet) -> Iterator[Finding]:
    """The findings of `after` at places where `before` had none of their rule's.

    `sources` are the texts after `edits`.
    """
    known: dict[tuple[Path, str], list[Finding]] = defaultdict(list)
    for old in before.findings:
        known[old.path, old.code].append(old)
    for finding in after.findings:
        encode = sources[finding.path].encoder
        start, end = origin(finding.start, finding.end, edits.files.get(finding.path, ()), encode)
        if not any(old.start <= end and start <= old.end for old in known[finding.path, finding.code]):
            yield finding


def same_kind(one: Finding, other: Finding) -> bool:
    """Whether two findings of slightly different texts say the same about the same file."""
    return (one.code, one.path, one.message) == (other.code, other.path, other.message)
