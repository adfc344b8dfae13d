"""Proving that a fix repairs the code: the original's symptom, and a result that does what was meant."""

from __future__ import annotations

from .compare import chosen, compare
from .preserving import refute, require_same_errors
from .repair import blame, is_another, require_oracle, require_postcondition, require_symptom
from .trial import BUILDING, Trial
from .verdicts import CannotBuild, Refuted, Side, Unverified, shown, told

_RUNNING = {"gradient": ("oracle",), "never-updated": ("trajectories",)}
"""Symptoms of an original that runs, and what it is asked for."""
_EVERYTHING = ("trajectories", "oracle")
_BASIC = (BUILDING, "construction", "eval forward", "train forward")
"""What is run on both sides whatever is asked for."""
_WITHIN = tuple(f"{mode} forward within the constraint" for mode in ("eval", "train"))


def prove_repairs(trial: Trial) -> tuple[str, str]:
    """The verdict and its reason; raises `Refuted` or `Unverified`."""
    prove = _prove_running if trial.contract["symptom"] in _RUNNING else _prove_raising
    before, after, symptom, compared = prove(trial)
    if trial.target.is_model:
        require_oracle(trial.contract, after, compared)
    if trial.projection is not None:
        trial.require_constraint(before, after)
    return "repaired", f"{symptom}; the fixed code does not"


def _prove_running(trial: Trial) -> tuple[Side, Side, str, bool]:
    """The original runs and does the wrong thing: both sides, the symptom, and whether they were compared."""
    before = trial.stage("before", None, _RUNNING[trial.contract["symptom"]])
    _require_built(before, "the original")
    after = trial.stage("after", before, _EVERYTHING)
    require_same_errors(trial, before, after, phases=_BASIC)
    _require_fixed(trial, after)
    trial.describe(before, after)
    symptom = require_symptom(trial.contract, before, after)
    trial.require_reached(("after", after))
    if trial.projection is not None:
        _require_same_construction(trial, before, after)
        _require_same_within(trial, before, after)
        return before, after, symptom, True
    _require_same_values(trial, before, after)
    return before, after, symptom, False


def _prove_raising(trial: Trial) -> tuple[Side, Side, str, bool]:
    """The original raises: it is compared as far as it can be run as if its assignments did what they say.

    A copy into a parameter can, without the fix: so the recipe is found there. Found on the fixed side, it
    would suit what the fix gets wrong.
    """
    contract, is_model = trial.contract, trial.target.is_model
    copies = contract["parameter"] is not None or trial.projection is not None or not is_model
    meant = _meant(trial, None, "copy") if copies else None
    after = trial.stage("after", meant, _EVERYTHING)
    for error in after.facts["errors"]:
        if is_another(contract, error):
            raise Unverified(f"the fixed code fails elsewhere: {told(error)}")
    if meant is not None:
        require_same_errors(trial, meant, after, "the original, run as it was meant,")
    _require_fixed(trial, after)
    if not copies:
        meant = _meant(trial, after, "local")
    before = trial.stage("before", after)
    trial.describe(before, after)
    symptom = require_symptom(contract, before, after)
    trial.require_reached(("after", after))
    if contract["parameter"] is not None:
        trial.evidence["postcondition"] = require_postcondition(before, after)
    if meant is not None:
        _require_intent(trial, meant, after, "copy" if copies else "local")
    elif not is_model and contract["parameter"] is None:
        raise Unverified(trial.evidence["notes"][-1])  # that the fixed code runs is not enough
    return before, after, symptom, meant is not None


def _meant(trial: Trial, known: Side | None, kind: str) -> Side | None:
    """The original as its author meant it; None where it cannot be run like that."""
    meant = trial.stage("before", known, ("trajectories",), reference=kind)
    failed = trial.blocking(meant)
    if failed is None:
        return meant
    trial.note(f"no reference to compare with: {told(failed)}")
    return None


def _require_built(side: Side, words: str) -> None:
    error = side.error(BUILDING)
    if error is not None:
        raise CannotBuild(f"{words} does not run: {told(error)}")


def _require_fixed(trial: Trial, after: Side) -> None:
    """The fixed code has to run, all the phases of it."""
    for error in after.facts["errors"]:
        blame(trial.contract, error)
    _require_built(after, "the fixed code")
    failed = trial.blocking(after)
    if failed is not None:
        raise Unverified(f"the fixed code does not run: {told(failed)}")
    for error in after.facts["errors"]:
        raise Unverified(f"the fixed code: {told(error)}")
    for error in after.facts["raised"]:  # while its own recipe was looked for
        words = f"{error['type']}: {error['message']}"
        raise Unverified(f"the fixed lines raise for other arguments than those it was run with: {words}")


def _require_intent(trial: Trial, meant: Side, after: Side, kind: str) -> None:
    """The fixed code has to do what the original does when it is run as it was meant."""
    comparison = trial.compare(meant, after)
    if comparison.difference is not None:
        again = trial.stage("before", meant, ("trajectories",), reference=kind)
        if trial.compare(meant, again).difference is not None:
            raise Unverified("two runs of the original differ, so nothing can be compared")
        words = shown(comparison.difference)
        raise Refuted(f"not what the original means: {words}", comparison.difference)
    trial.evidence["reference"] = "the original, with the assignment taken as a " + (
        "copy into the parameter" if kind == "copy" else "local value"
    )
    trial.add_counts(comparison)
    trial.show_losses(meant, after)


def _require_same_construction(trial: Trial, before: Side, after: Side) -> None:
    """A projection that moves must not change what is built."""
    one, two = ([e for e in side.entries if e[0] == "construction"] for side in (before, after))
    comparison = compare(one, two)
    if comparison.difference is not None:
        refute(trial, comparison.difference, before)


def _require_same_values(trial: Trial, before: Side, after: Side) -> None:
    """A repaired gradient must not change what the model computes."""
    one, two = (
        chosen(side.entries, ("eval forward,", "train forward,"), ("call 1 output",))
        + chosen(side.entries, ("losses",), ("backward 0",))
        for side in (before, after)
    )
    comparison = compare(one, two)
    if comparison.difference is not None:
        refute(trial, comparison.difference, before)
    trial.add_counts(comparison)


def _require_same_within(trial: Trial, before: Side, after: Side) -> None:
    """From parameters that satisfy the constraint the original is right: outputs and gradients must agree."""
    reference = None
    if trial.blocking(before) is not None:
        reference = "kept"
        before = trial.stage("before", after, reference=reference)
    one, two = (chosen(side.entries, _WITHIN, ("",)) for side in (before, after))
    comparison = compare(one, two, trial.tolerance)
    if comparison.difference is not None:
        refute(trial, comparison.difference, before, reference)
    if not comparison.counts["tensors"]:
        raise Unverified("the original could not be run from parameters within the constraint")
    trial.evidence["reference"] = "the original, from parameters that satisfy the constraint already"
    trial.add_counts(comparison)
