"""Proving that a fix preserves what the code does: both sides are recorded and compared."""

from __future__ import annotations

from .compare import Comparison, chosen, compare
from .frames import Message
from .initialising import AFTER
from .repair import IN_PLACE
from .trial import BUILDING, CHECKPOINT, INEXACT, TRAINING, Trial
from .verdicts import CannotBuild, Refuted, Side, Unverified, shown, told


def prove_preserves(trial: Trial) -> tuple[str, str]:
    """The verdict and its reason; raises `Refuted` or `Unverified`."""
    before = trial.stage("before", None, ("trajectories",))
    raised, reference = _raised_in_place(trial, before), None
    if raised is not None:
        reference = "kept"
        before = trial.stage("before", before, ("trajectories",), reference=reference)
    require_runs(trial, before)
    after = trial.stage("after", before, ("trajectories", "oracle"))
    trial.describe(before, after)
    require_same_errors(trial, before, after)
    comparison = trial.compare(before, after)
    if comparison.difference is not None:
        refute(trial, comparison.difference, before, reference)
    settle(trial, before, after, comparison)
    if trial.projection is not None:
        trial.require_constraint(before, after)
    how = "bit for bit" if trial.tolerance is None else f"within {INEXACT:g} of their size in float64"
    agree = f"{comparison.counts['tensors']} tensors of {trial.target.name} agree {how}"
    if raised is None:
        return "equivalent", agree
    trial.evidence["reference"] = "the original, with what autograd had saved protected from the projection"
    return "repaired", f"the original raises {raised['type']}: {raised['message']}; without that {agree}"


def require_runs(trial: Trial, before: Side) -> None:
    """An original that does not run shows nothing."""
    error = trial.blocking(before)
    if error is not None:
        kind = CannotBuild if error["phase"] == BUILDING else Unverified
        raise kind(f"{trial.names['before']} does not run: {told(error)}")


def settle(trial: Trial, before: Side, after: Side, comparison: Comparison) -> None:
    """Two records agree: make sure that this says something about what was changed, and count it."""
    _require_substance(trial, before, comparison)
    trial.require_reached(("before", before), ("after", after))
    trial.add_counts(comparison)
    for error in before.facts["errors"]:
        trial.note(f"both sides raise, so this was not compared: {told(error)}")


def _raised_in_place(trial: Trial, before: Side) -> Message | None:
    """The error of an original that only fails because the projection changes what autograd has saved."""
    errors: list[Message] = before.facts["errors"]
    if trial.projection is None or not errors or not all(IN_PLACE in error["message"] for error in errors):
        return None
    return errors[0]


def require_same_errors(
    trial: Trial, before: Side, after: Side, original: str | None = None, phases: tuple[str, ...] = ()
) -> None:
    """Refute a fix that raises where the original did not, in some phases only if they are named."""
    original, new = original or trial.names["before"], trial.names["after"]
    for error in after.facts["errors"]:
        if error["phase"] in before.failed or (phases and error["phase"] not in phases):
            continue
        ours = error["type"] == "HarnessError" or error["phase"] == CHECKPOINT
        replayed = error["phase"].startswith((TRAINING, AFTER))
        missing = trial.target.stand_in and replayed and _is_lookup(trial, error)
        if ours or missing:
            raise Unverified(f"{new}: {told(error)}")
        raise Refuted(
            f"{new} raises where {original} does not: {told(error)}",
            {"check": error["phase"], "before": "no exception", "after": told(error)},
        )


def refute(trial: Trial, difference: Message, before: Side, reference: str | None = None) -> None:
    """A difference counts only if the original agrees with itself in that check."""
    require_repeatable(trial, difference, before, reference)
    raise Refuted(shown(difference), difference)


def require_repeatable(trial: Trial, difference: Message, before: Side, reference: str | None = None) -> None:
    """The original has to agree with itself in the check of a difference."""
    again = trial.stage("before", before, ("trajectories",), reference=reference)
    check = (difference["check"],)
    if (
        compare(chosen(before.entries, check, ("",)), chosen(again.entries, check, ("",))).difference
        is not None
    ):
        raise Unverified(f"two runs of {trial.names['before']} differ, so nothing can be compared")


def _require_substance(trial: Trial, before: Side, comparison: Comparison) -> None:
    """Two records that agree on nothing prove nothing."""
    if not comparison.counts["tensors"]:
        raise Unverified("the run computes nothing that could be compared")
    if not trial.target.is_model:
        return
    if before.facts["trainable"] and not before.facts["reached"]:
        raise Unverified("every gradient of the original is zero, so nothing can be said about gradients")
    if not before.facts["finite"]:
        raise Unverified("every output of the original is empty, infinite or not a number")
    for error in before.facts["errors"]:
        if error["phase"] == CHECKPOINT or error["phase"].startswith(TRAINING):
            raise Unverified(f"the original: {told(error)}")


def _is_lookup(trial: Trial, error: Message) -> bool:
    """Whether a name, or something of the model, was missing, as it is where a model is only stood for."""
    if error["type"] in ("NameError", "KeyError", "IndexError"):
        return True
    cls = str(trial.target.subject["class_name"]).rpartition(".")[2]
    return error["type"] in ("AttributeError", "TypeError") and f"'{cls}'" in error["message"]
