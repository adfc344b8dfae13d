"""Several jobs at the same time: their answers, their order, and what one that dies costs the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fixer.contract import Verdict, Verification
from fixer.policy import Policy
from fixer.proving import Prover
from fixer.rounds import candidates
from fixer.source import Source
from fixer.verify import Job, VerifySettings
from tests.fakes import Opinion, Word, Words
from tests.verify_support import CageVerifier, job


@pytest.fixture
def verifier(tmp_path: Path) -> Iterator[CageVerifier]:
    with CageVerifier(VerifySettings(timeout=20, at_once=2), tmp_path) as verifier:
        yield verifier


def target(folder: Path, name: str, body: str) -> Job:
    path = folder / f"{name}.py"
    path.write_text(f"import os\n\ndef go():\n    {body}\n")
    return job(path)


def result(verification: Verification) -> object:
    outcome = verification.evidence["before"]
    return outcome["value"]["result"] if outcome["ok"] else outcome["died"]


def test_answers_are_in_order_and_a_death_costs_one_verdict(verifier: CageVerifier, tmp_path: Path) -> None:
    bodies = ["return 1", "os._exit(3)", "return os.getpid()", "return os.getpid()", "return 5"]
    jobs = [target(tmp_path, f"m{number}", body) for number, body in enumerate(bodies)]
    found = [result(verification) for verification in verifier.verify_all(jobs)]
    assert [found[0], found[1], found[4]] == [1, "exit status 3", 5]
    assert found[2] != found[3], "each job is a process of its own"


def test_a_worker_that_is_gone_is_started_again(verifier: CageVerifier, tmp_path: Path) -> None:
    first = target(tmp_path, "first", "return 1")
    assert [result(verification) for verification in verifier.verify_all([first])] == [1]
    process = verifier._process
    assert process is not None
    assert process._popen is not None
    process._popen.kill()
    process._popen.wait()
    found = verifier.verify_all([first, target(tmp_path, "second", "return 2")])
    assert [result(v) if v.evidence else v.reason for v in found][-1] == 2


class Together(Opinion):
    """Counts the questions that come together."""

    at_once = 4

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.batches: list[int] = []

    def verify_all(self, jobs: Sequence[Job]) -> list[Verification]:
        self.batches.append(len(jobs))
        return super().verify_all(jobs)


def rulings(judge: Together) -> list[bool]:
    """Whether each of three fixes of a file is accepted."""
    rules = (Word("TOY001", "a", "x"), Word("TOY002", "b", "bad"), Word("TOY003", "c", "z"))
    path = Path("/tree/net.py")
    sources = {path: Source(path, b"a = b = c = 0\n")}
    found = Words(rules).analyse(sources, sources).findings
    prover = Prover(judge, Policy(), sources)
    return [ruling.accepted for ruling in prover.rule(sources, list(candidates(found, Policy())))]


def test_questions_of_a_round_are_asked_together() -> None:
    judge = Together()
    assert rulings(judge) == [True, True, True]
    assert judge.batches == [3]
    assert len(judge.jobs) == 3


def test_what_turns_out_otherwise_is_asked_again() -> None:
    judge = Together(verdicts={"bad": Verdict.REFUTED})
    assert rulings(judge) == [True, False, True]
    assert judge.batches == [3]
    assert len(judge.jobs) == 4, "the last fix once more, without the refuted one"
