"""Deciding a job: which subjects to run, and what came of each.

Nothing here runs the target's code. A verdict of `refuted` carries a counterexample, one of `unverified`
what stopped the harness; only what was compared and found equal counts.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from .frames import Message
from .initialising import INITIALISATION
from .keeping import prove_keeps
from .preserving import prove_preserves
from .repairing import prove_repairs
from .trial import Trial
from .verdicts import CannotBuild, Refuted, Target, Unverified

if TYPE_CHECKING:
    from .jobs import RunStage

    Prove = Callable[[Trial], "tuple[str, str]"]

_PROOFS: dict[str, Prove] = {
    "preserves": prove_preserves,
    "repairs": prove_repairs,
    "keeps": prove_keeps,
}


def conduct(job: Message, run_stage: RunStage) -> Message:
    """Verify one job; ``{"verdict", "reason", "evidence"}``."""
    started = time.monotonic()
    subjects = _subjects(job["contract"])
    prove = _PROOFS[job["contract"]["promise"]]
    reasons: list[str] = []
    evidence: Message = {}
    unbuilt: list[list[Target]] = []
    for targets in chain(subjects, unbuilt):  # hosts come last: they show less
        named = targets[0].name
        evidence = {
            "subject": named,
            "torch": str(torch.__version__),
            "seed": job["seed"],
            "seeds": job["seeds"],
            "steps": job["steps"],
        }
        try:
            verdict, reason = _decided(job, run_stage, targets, prove, evidence)
        except Refuted as refuted:
            verdict, reason = "refuted", str(refuted)
            evidence["counterexample"] = refuted.counterexample
        except Unverified as unverified:
            verdict, reason = "unverified", str(unverified)
            if isinstance(unverified, CannotBuild) and unverified.in_constructor and not targets[0].hosted:
                unbuilt.append([target._replace(hosted=True) for target in targets])
        evidence["wall_ms"] = round(1000 * (time.monotonic() - started))
        if verdict != "unverified":
            return {"verdict": verdict, "reason": reason, "evidence": _plain(evidence)}
        reasons.append(f"{named}: {reason}" if len(subjects) > 1 else reason)
    if not reasons:
        reasons.append("the contract names nothing that could be run")
    return {
        "verdict": "unverified",
        "reason": "; ".join(dict.fromkeys(reasons)),
        "evidence": _plain(evidence),
    }


def _subjects(contract: Message) -> list[list[Target]]:
    """What to try, one after the other; each is everything that has to hold.

    For a projection that is every model whose optimizer is wired, not only the constrained class.
    """
    subjects = contract["subjects"]
    if contract["projection"] is None or not contract["wiring"] or not subjects:
        return [[Target(subject, [], stand_in=False)] for subject in subjects]
    own = (subjects[0]["path"], subjects[0]["class_name"])
    groups: dict[tuple[Any, ...], list[int]] = {}
    wirings = list(enumerate(contract["wiring"]))
    for index, wiring in wirings:
        if wiring["kind"] != INITIALISATION:
            groups.setdefault(tuple(wiring["model_class"] or ()), []).append(index)
    for index, wiring in wirings:  # on a model that is run anyway, or on what stands for one
        if wiring["kind"] == INITIALISATION:
            key = tuple(wiring["model_class"] or ())
            groups.setdefault(key if key in groups else (), []).append(index)
    targets = []
    for key, indices in groups.items():
        path, name = key or own
        subject = {"path": path, "class_name": name, "function": None, "was": None}
        targets.append(Target(subject, indices, stand_in=not key))
    return [targets]


def _decided(
    job: Message, run_stage: RunStage, targets: list[Target], prove: Prove, evidence: Message
) -> tuple[str, str]:
    """The verdict on all targets together; raises `Refuted` or `Unverified`."""
    own = job["contract"]["subjects"][0]
    verdicts, reasons = [], []
    for index, target in enumerate(targets):
        try:
            verdict, reason = _proved(job, run_stage, target, prove, evidence, f"{index}")
        except CannotBuild as failure:
            stand_in = target._replace(subject=own, stand_in=True)
            if target.subject["class_name"] == own["class_name"]:
                raise
            note = f"{target.name} could not be built ({failure}); {stand_in.name} stood for it"
            evidence.setdefault("notes", []).append(note)
            verdict, reason = _proved(job, run_stage, stand_in, prove, evidence, f"{index}-stand-in")
        verdicts.append(verdict)
        reasons.append(reason)
    return ("repaired" if "repaired" in verdicts else "equivalent"), "; ".join(reasons)


def _proved(
    job: Message, run_stage: RunStage, target: Target, prove: Prove, evidence: Message, name: str
) -> tuple[str, str]:
    """The verdict on one target, from brief records if they agree; what differs is told from whole ones."""
    known = copy.deepcopy(evidence)
    projection = job["contract"]["projection"]
    if job["contract"]["promise"] != "keeps" and (projection is None or projection["exact"]):
        try:
            return prove(Trial(job, run_stage, target, evidence, name, brief=True))
        except Refuted:
            evidence.clear()
            evidence.update(known)
    return prove(Trial(job, run_stage, target, evidence, f"{name}-whole"))


def _plain(value: Any) -> Any:
    """The same data in strict JSON, which has no infinity and no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
