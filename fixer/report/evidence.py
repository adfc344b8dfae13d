"""What verification found, in one or two lines for people; the data itself goes into the JSON report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fixer.contract import Verdict, Verification


def summary(verification: Verification) -> list[str]:
    """The verdict with its reason, then what it rests on."""
    verdict = verification.verdict
    word = "verified" if verdict.proven else verdict.value
    lines = [f"{word}: {verification.reason or verdict.value}"]
    if verdict is not Verdict.UNVERIFIED:
        facts = "; ".join(_facts(verification.evidence))
        lines += [facts] if facts else []
    return lines


def _facts(evidence: Mapping[str, Any]) -> Iterator[str]:
    """The parts of the evidence that people ask for first; a part that is missing is left out."""
    trajectories = evidence.get("trajectories") or []
    identical = [run for run in trajectories if run.get("losses_bit_identical")]
    if identical:
        names = " and ".join(dict.fromkeys(str(run.get("optimizer")) for run in identical))
        yield f"{identical[0].get('steps')} steps of {names} bit-identical"
    elif evidence.get("steps"):
        yield f"{evidence['steps']} training steps"
