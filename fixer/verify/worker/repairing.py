"""Proving that a fix repairs the code: the original's symptom, and a result that does what was meant."""

from __future__ import annotations

from .compare import chosen, compare
from .preserving import refute
from .repair import blame, require_oracle, require_postcondition, require_symptom
from .trial import BUILDING, CHECKPOINT, Trial
from .verdicts import CannotBuild, Refuted, Side, Unverified, shown, told

_PARTS = {"gradient": ("oracle",), "never-updated": ("trajectories",)}
_WITHIN = tuple(f"{mode} forward within the constraint" for mode in ("eval", "train"))


def prove_repairs(trial: Trial) -> tuple[str, str]:
    """The verdict and its reason; raises `Refuted` or `Unverified`."""
    contract = trial.contract
    before, after = _recorded(trial)
    trial.describe(before, after)
    symptom = require_symptom(contract, before, after)
    trial.require_reached("after", after)
    if contract["parameter"] is not None:
        trial.evidence["postcondition"] = require_postcondition(before, after)
    if contract["symptom"] not in _PARTS:
        meant = _require_intent(trial, after)
    elif trial.projection is not None:
        meant = _require_same_within(trial, before, after)
    else:
        meant = _require_same_values(trial, before, after)
    if trial.target.is_model:
        require_oracle(contract, after, meant)
    if trial.projection is not None:
        trial.require_constraint(before, after)
    return "repaired", f"{symptom}; the fixed code does not"


def _recorded(trial: Trial) -> tuple[Side, Side]:
    """The fixed side, which must run, and the original with the same recipe."""
    everything = ("trajectories", "oracle")
    after = trial.stage("after", None, everything)
    if trial.projection is not None and after.error(CHECKPOINT) is not None:
        # The statements may only run where they were written.
        after = trial.stage("after", trial.stage("before", after, own_checkpoint=True), everything)
    _require_fixed(trial, after)
    parts = _PARTS.get(trial.contract["symptom"], ())
    # Without a projection the state may have other keys before the fix: each side draws its own checkpoint.
    own = trial.projection is None
    before = trial.stage("before", after, parts, own_checkpoint=own, updates=after.facts.get("updates"))
    return before, after


def _require_fixed(trial: Trial, after: Side) -> None:
    """The fixed code has to run, all the phases of it."""
    for error in after.facts["errors"]:
        blame(trial.contract, error)
    failed = trial.blocking(after)
    if failed is not None:
        kind = CannotBuild if failed["phase"] == BUILDING else Unverified
        raise kind(f"the fixed code does not run: {told(failed)}")
    for error in after.facts["errors"]:
        raise Unverified(f"the fixed code: {told(error)}")


def _require_intent(trial: Trial, after: Side) -> bool:
    """Where the original can be run as it was meant, the fixed code has to do the same.

    Answers whether it could.
    """
    is_model, contract = trial.target.is_model, trial.contract
    copies = contract["parameter"] is not None or trial.projection is not None
    kind = "copy" if copies or not is_model else "local"
    meant = trial.stage("before", after, ("trajectories",), reference=kind)
    failed = trial.blocking(meant)
    if failed is not None:
        note = f"no reference to compare with: {told(failed)}"
        trial.note(note)
        if not is_model and contract["parameter"] is None:
            raise Unverified(note)  # that the fixed code runs is not enough
        return False
    comparison = trial.compare(meant, after)
    if comparison.difference is not None:
        again = trial.stage("before", after, ("trajectories",), reference=kind)
        if trial.compare(meant, again).difference is not None:
            raise Unverified("two runs of the original differ, so nothing can be compared")
        words = shown(comparison.difference)
        raise Refuted(f"not what the original means: {words}", comparison.difference)
    trial.evidence["reference"] = "the original, with the assignment taken as a " + (
        "copy into the parameter" if kind == "copy" else "local value"
    )
    trial.add_counts(comparison)
    trial.show_losses(meant, after)
    return True


def _require_same_values(trial: Trial, before: Side, after: Side) -> bool:
    """A repaired gradient must not change what the model computes."""
    one, two = (
        chosen(side.entries, ("eval forward,", "train forward,"), ("call 1 output",))
        + chosen(side.entries, ("losses",), ("backward 0",))
        for side in (before, after)
    )
    comparison = compare(one, two)
    if comparison.difference is not None:
        refute(trial, comparison.difference, before, None)
    trial.add_counts(comparison)
    return False


def _require_same_within(trial: Trial, before: Side, after: Side) -> bool:
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
    return True
