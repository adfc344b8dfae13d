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
from .verdicts import CannotBuild, Refuted, Target, Unreached, Unverified

if TYPE_CHECKING:
    from .jobs import RunStage

    Prove = Callable[[Trial], "tuple[str, str]"]

_SHORT = 0.25
"""The part of a job's time after which what one process did not show is not tried again in several."""
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
    """The verdict on one target, from brief records of one process if they agree.

    What differs is told from whole ones, and whatever is not proven from a process for each.
    """
    known = copy.deepcopy(evidence)
    attempts = _attempts(job["contract"])
    while True:
        brief, together = attempts.pop(0)
        label = f"{name}-{len(attempts)}"
        trial = Trial(job, run_stage, target, evidence, label, brief=brief, together=together)
        begun = time.monotonic()
        try:
            return prove(trial)
        except Refuted:
            if not attempts:
                raise
            del attempts[:-1]
        except Unverified as unverified:
            is_late = time.monotonic() - begun > _SHORT * job["timeout"]
            if not trial.ran_together or is_late or _stays_so(unverified):
                raise
        evidence.clear()
        evidence.update(copy.deepcopy(known))


def _stays_so(unverified: Unverified) -> bool:
    """Whether it would be the same in another process, in all likelihood: to ask again takes as long."""
    return isinstance(unverified, Unreached) or (
        isinstance(unverified, CannotBuild) and unverified.in_constructor
    )


def _attempts(contract: Message) -> list[tuple[bool, bool]]:
    """How to go about it: with brief records or whole ones, and in one process or in one for each stage."""
    if contract["promise"] == "keeps":
        return [(False, False)]
    if contract["projection"] is not None and not contract["projection"]["exact"]:
        return [(False, True), (False, False)]
    return [(True, True), (True, False), (False, False)]


def _plain(value: Any) -> Any:
    """The same data in strict JSON, which has no infinity and no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
