"""In which company each fix of a round is verified, so that the written ones are proven together.

A fix that keeps behaviour is compared with the text just before it, all accepted fixes included: such
proofs chain. A fix that repairs needs its neighbours: a file that raises at line 10 never reaches the fix
at line 20, so the repairs of a file are first verified in each other's company, on both sides.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fixer.contract import Promise, Verdict, Verification
from fixer.edits import EditSet
from fixer.outcome import Status, connected
from fixer.policy import Policy, VerifyMode
from fixer.rule import Finding, Fix
from fixer.source import Source
from fixer.verify import Job

Sources = Mapping[Path, Source]


class Judge(Protocol):
    """What is asked for a verdict: `fixer.verify.Verifier`."""

    def verify(self, job: Job) -> Verification:
        """Run the code before and after a fix."""
        ...

    @property
    def at_once(self) -> int:
        """How many questions are worth asking together."""
        ...

    def verify_all(self, jobs: Sequence[Job]) -> list[Verification]:
        """Answer questions that do not depend on each other."""
        ...


@dataclass(frozen=True)
class Candidate:
    """A fix that may be written, of a finding in the texts of this round."""

    finding: Finding
    fix: Fix

    def overlaps(self, other: Candidate) -> bool:
        """Whether only one of the two can be applied to these texts."""
        return self.fix.edits.overlaps(other.fix.edits)


@dataclass(frozen=True)
class Ruling:
    """What verification and policy say of a candidate."""

    candidate: Candidate
    verification: Verification | None
    accepted: bool

    @property
    def status(self) -> Status:
        """The outcome's status that the ruling amounts to."""
        if self.accepted:
            return Status.FIXED
        refuted = self.verification and self.verification.verdict is Verdict.REFUTED
        return Status.REFUTED if refuted else Status.UNVERIFIED


class Prover:
    """Asks for verdicts, each question once; what was refuted stays so while the files of the fix do."""

    def __init__(
        self, judge: Judge | None, policy: Policy, originals: Sources, unsaved: Collection[Path] = ()
    ) -> None:
        self._judge = None if policy.verify is VerifyMode.OFF else judge
        self._policy = policy
        self._originals = originals
        self._unsaved = frozenset(unsaved)
        self._verdicts: dict[Hashable, Verification] = {}

    def rule(
        self, sources: Sources, candidates: Sequence[Candidate], base: EditSet | None = None
    ) -> Iterator[Ruling]:
        """Rule on candidates that do not overlap, each on top of `base` and of those accepted before it."""
        if self._judge is None:
            for candidate in candidates:
                yield Ruling(candidate, None, self._policy.accepts(None))
            return
        accepted = base or EditSet()
        repairs = (item for item in candidates if item.fix.contract.promise is Promise.REPAIRS)
        groups = _neighbours(repairs)
        preserving = [item for item in candidates if item.fix.contract.promise is Promise.PRESERVES]
        self._ask_ahead(sources, accepted, groups, preserving)
        fallen: list[Ruling] = []
        for group in groups:
            together, apart = self._in_company(sources, accepted, group)
            accepted = EditSet.union([accepted, *(ruling.candidate.fix.edits for ruling in together)])
            yield from together
            fallen += apart
        one_by_one = [
            *((ruling.candidate, ruling.verification) for ruling in fallen),
            *((item, None) for item in preserving),
        ]
        for candidate, doubt in one_by_one:
            ruling = _doubted(self._ruling(sources, accepted, candidate), doubt)
            if ruling.accepted:
                accepted = EditSet.union([accepted, candidate.fix.edits])
            yield ruling

    def _ask_ahead(
        self,
        sources: Sources,
        accepted: EditSet,
        groups: Sequence[list[Candidate]],
        preserving: Sequence[Candidate],
    ) -> None:
        """Ask together what will be asked one by one if every fix is accepted, as most are."""
        assert self._judge is not None
        if self._judge.at_once == 1:
            return
        asked: list[_Question] = []
        for group in groups:
            for candidate in group:
                before = EditSet.union([accepted, *_others(group, candidate)])
                asked.append(self._question(sources, before, candidate.fix))
            accepted = EditSet.union([accepted, *(candidate.fix.edits for candidate in group)])
        for candidate in preserving:
            asked.append(self._question(sources, accepted, candidate.fix))
            accepted = EditSet.union([accepted, candidate.fix.edits])
        new = list({question.whole: question for question in asked if not self._known(question)}.values())
        if len(new) > 1:
            answers = self._judge.verify_all([question.job for question in new])
            for question, verification in zip(new, answers, strict=True):
                self._remember(question, verification)

    def _in_company(
        self, sources: Sources, accepted: EditSet, group: list[Candidate]
    ) -> tuple[list[Ruling], list[Ruling]]:
        """The largest company found in which every fix holds, and those that fell out of it on the way.

        A wrong fix may keep the others from running at all. Where it is refuted, they go on without it;
        where no fix holds and it does not show which is to blame, each half of them is tried on its own, so
        one wrong fix among many is found in as many rounds as they can be halved.
        """
        fallen: list[Ruling] = []
        while group:
            rulings = [
                self._ruling(sources, EditSet.union([accepted, *_others(group, candidate)]), candidate)
                for candidate in group
            ]
            if all(ruling.accepted for ruling in rulings):
                return rulings, fallen
            refuted = [ruling for ruling in rulings if ruling.status is Status.REFUTED]
            left = [ruling for ruling in rulings if ruling.accepted]
            if not left and 0 < len(refuted) < len(rulings):
                left = [ruling for ruling in rulings if ruling.status is not Status.REFUTED]
            if not left and len(group) > 1:
                return self._in_halves(sources, accepted, group, fallen)
            fallen += [ruling for ruling in rulings if ruling not in left]
            group = [ruling.candidate for ruling in left]
        return [], fallen

    def _in_halves(
        self, sources: Sources, accepted: EditSet, group: list[Candidate], fallen: list[Ruling]
    ) -> tuple[list[Ruling], list[Ruling]]:
        """What holds in either half, the second on top of what holds in the first."""
        middle = len(group) // 2
        together, apart = self._in_company(sources, accepted, group[:middle])
        accepted = EditSet.union([accepted, *(ruling.candidate.fix.edits for ruling in together)])
        others, more = self._in_company(sources, accepted, group[middle:])
        return [*together, *others], [*fallen, *apart, *more]

    def _ruling(self, sources: Sources, before: EditSet, candidate: Candidate) -> Ruling:
        """Verify one fix with `before` in the text on both sides."""
        verification = self._verify(sources, before, candidate.fix)
        return Ruling(candidate, verification, self._policy.accepts(verification))

    def _verify(self, sources: Sources, before: EditSet, fix: Fix) -> Verification:
        question = self._question(sources, before, fix)
        known = self._known(question)
        if known is None:
            assert self._judge is not None
            known = self._judge.verify(question.job)
            self._remember(question, known)
        return known

    def _question(self, sources: Sources, before: EditSet, fix: Fix) -> _Question:
        after = EditSet.union([before, fix.edits])
        differing = {path for path in sources if sources[path].data != self._originals[path].data}
        shown = {path: sources[path] for path in sorted(differing | self._unsaved | after.files.keys())}
        own = {path: sources[path] for path in sorted(fix.edits.files)}
        job = Job(fix.contract, shown, before, after)
        return _Question(job, _key(job, shown), _key(job, own))

    def _known(self, question: _Question) -> Verification | None:
        return self._verdicts.get(question.whole) or self._verdicts.get(question.narrow)

    def _remember(self, question: _Question, verification: Verification) -> None:
        """Other files may help what could not be shown so far; a counterexample needs no second run."""
        refuted = verification.verdict is Verdict.REFUTED
        self._verdicts[question.narrow if refuted else question.whole] = verification


@dataclass(frozen=True)
class _Question:
    """A job, and what its verdict depends on: all of the texts, or those of the fix alone."""

    job: Job
    whole: Hashable
    narrow: Hashable


def _key(job: Job, sources: Sources) -> Hashable:
    """What a verdict depends on, as far as it lies in `sources`."""
    texts = tuple((path, source.data) for path, source in sources.items())
    sides = tuple(
        tuple((path, edit) for path, edit in side if path in sources) for side in (job.before, job.after)
    )
    return job.contract, texts, sides


def _doubted(ruling: Ruling, earlier: Verification | None) -> Ruling:
    """A fix refuted among others counts as refuted, unless it is proven without them."""
    proven = ruling.verification and ruling.verification.verdict.proven
    if earlier and earlier.verdict is Verdict.REFUTED and not proven:
        return Ruling(ruling.candidate, earlier, accepted=False)
    return ruling


def _others(group: list[Candidate], candidate: Candidate) -> list[EditSet]:
    return [other.fix.edits for other in group if other is not candidate]


def _neighbours(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """The candidates in groups that share files, each group in the given order."""
    listed = list(candidates)
    groups = connected(candidate.fix.edits.files.keys() for candidate in listed)
    return [[item for item in listed if not group.isdisjoint(item.fix.edits.files)] for group in groups]
