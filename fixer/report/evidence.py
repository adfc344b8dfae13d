"""What verification found, in one or two lines for people; the data itself goes into the JSON report."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from fixer.contract import Verdict, Verification


def verification_data(verification: Verification) -> dict[str, Any]:
    """A verdict as JSON."""
    return {
        "verdict": verification.verdict.value,
        "reason": verification.reason,
        "evidence": verification.evidence,
    }


def summary(verification: Verification, *, counterexample: bool = True) -> list[str]:
    """The verdict with its reason, then what it rests on; facts that the evidence lacks are left out."""
    verdict, evidence = verification.verdict, verification.evidence
    word = "verified" if verdict.proven else verdict.value
    lines = [
        f"{word}: {verdict.value}; {verification.reason}"
        if verdict.proven
        else f"{word}: {verification.reason}"
    ]
    facts = [*_proof(evidence)] if verdict.proven else []
    if counterexample and not verdict.proven:
        facts += _counterexample(evidence)
    if evidence.get("built") and verdict is not Verdict.UNVERIFIED:
        facts.append(f"ran {evidence['built']}")
    if facts:
        lines.append("; ".join(facts))
    return lines


def _proof(evidence: Mapping[str, Any]) -> Iterator[str]:
    trajectories = [run for run in evidence.get("trajectories") or () if run.get("steps")]
    if trajectories:
        names: dict[int, dict[str, None]] = {}
        for run in trajectories:
            names.setdefault(run["steps"], {})[str(run.get("optimizer")).partition(" at ")[0]] = None
        identical = all(run.get("losses_bit_identical") for run in trajectories)
        taken = " and ".join(f"{steps} steps of {_listed(list(run))}" for steps, run in names.items())
        yield f"{taken} bit-identical" if identical else taken
    constraint = evidence.get("constraint")
    if constraint:
        steps, binding = constraint["steps"], constraint["binding_steps"]
        yield f"the constraint held after {steps} updates and was needed at {binding}"
    parameters = [name for name in evidence.get("reached") or () if not str(name).startswith("input ")]
    if parameters:
        yield f"gradients reach {len(parameters)} parameter{'' if len(parameters) == 1 else 's'}"
    oracle = evidence.get("oracle") or {}
    if oracle.get("ran") and oracle.get("agrees"):
        yield "directional derivative agrees " + " and ".join(_agreements(oracle))
    if evidence.get("max_rel"):
        yield f"largest difference {evidence['max_abs']:.1e} (relative {evidence['max_rel']:.1e})"
    yield from map(str, evidence.get("notes") or ())


def _agreements(oracle: Mapping[str, Any]) -> Iterator[str]:
    """Each oracle that ran, and the relative difference from what reverse mode says."""
    forward = oracle.get("forward_mode") or {}
    slopes = {"forward mode": forward.get("slope"), "finite differences": oracle["numeric"]}
    for name, slope in slopes.items():
        if slope is not None:
            apart = abs(slope - oracle["autograd"])
            relative = apart / max(abs(slope), abs(oracle["autograd"]), 1e-300)
            yield f"with {name} to {max(relative, sys.float_info.epsilon):.0e}"


def _counterexample(evidence: Mapping[str, Any]) -> Iterator[str]:
    shown = evidence.get("counterexample")
    if shown:
        place = f"{shown['check']}: {str(shown['where']).strip()}" if "where" in shown else shown["check"]
        yield f"{place} was {_number(shown['before'])}, would be {_number(shown['after'])}"


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
