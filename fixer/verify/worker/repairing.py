"""Proving that a fix repairs the code: the original's symptom, and a result that does what was meant."""

from __future__ import annotations

from collections.abc import Iterator

from .compare import chosen, compare
from .preserving import refute, require_same_errors
from .repair import blame, is_another, require_oracle, require_postcondition, require_symptom
from .training import NOISE
from .trial import BUILDING, TRAINING, Trial
from .verdicts import CannotBuild, Refuted, Side, Unverified, shown, told

_RUNNING = {"gradient": ("oracle",), "never-updated": ("trajectories",)}
"""Symptoms of an original that runs, and what it is asked for."""
_EVERYTHING = ("trajectories", "oracle")
_BASIC = (BUILDING, "construction", "eval forward", "train forward")
"""What is run on both sides whatever is asked for."""
_BUILT = ("construction", "copying and saving", "types as they are written")
_TRAINED = ("modes", "trained", "the model keeps its name", "settings of the optimizer")
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
    if trial.projection is not None:
        return _prove_late(trial, before)
    after = trial.stage("after", before, _EVERYTHING)
    require_same_errors(trial, before, after, phases=_BASIC)
    _require_fixed(trial, after)
    trial.describe(before, after)
    symptom = require_symptom(trial.contract, before, after)
    trial.require_reached(("after", after))
    _require_same_values(trial, before, after)
    return before, after, symptom, False


def _prove_late(trial: Trial, before: Side) -> tuple[Side, Side, str, bool]:
    """The original applies a constraint too late: all but its gradients, and what they lead to, is right."""
    reference = "kept" if trial.blocking(before) is not None else None
    # The two sides train apart, so that one may need the noise and the other not.
    before.facts["settings"]["pushed"] = [True] * max(1, len(trial.target.wirings))
    runs = trial.stage("before", before, ("trajectories",), reference=reference)
    after = trial.stage("after", runs, _EVERYTHING)
    require_same_errors(trial, runs, after)
    _require_fixed(trial, after)
    trial.describe(before, after)
    symptom = require_symptom(trial.contract, before, after)
    trial.require_reached(("after", after))
    _require_same_around(trial, runs, after, reference)
    _require_same_within(trial, runs, after, reference)
    _require_left_gradients(runs, after)
    return before, after, symptom, True


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


def _require_same_around(trial: Trial, before: Side, after: Side, reference: str | None) -> None:
    """A projection that moves must change neither what is built nor how it is trained."""
    one, two = (
        [e for e in side.entries if e[0] in _BUILT]
        + [e for e in side.entries if e[0].startswith(TRAINING) and e[1] in _TRAINED]
        for side in (before, after)
    )
    comparison = compare(one, two)
    if comparison.difference is not None:
        refute(trial, comparison.difference, before, reference)


def _require_left_gradients(before: Side, after: Side) -> None:
    """A step leaves the gradients that it was given, if the original's did; they may be other ones."""
    changed = dict(_changed_gradients(before))
    for check, name in _changed_gradients(after):
        if check not in changed:
            words = f"the gradient of {name} is not left as it was"
            raise Refuted(f"{check}: {words}", {"check": check, "before": "left", "after": words})


def _changed_gradients(side: Side) -> Iterator[tuple[str, str]]:
    """The parameters whose gradient is another after the first step."""
    given = {
        (check, detail.rpartition(" ")[2]): value
        for check, detail, value in side.entries
        if check.startswith(TRAINING) and detail.startswith("step 0 gradient of")
    }
    for check, detail, value in side.entries:
        key = check, detail.rpartition(" ")[2]
        left = detail.startswith("step 0 gradient left on") and key in given and NOISE not in check
        if left and compare([("", "", given[key])], [("", "", value)]).differences:
            yield key


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


def _require_same_within(trial: Trial, before: Side, after: Side, reference: str | None) -> None:
    """From parameters that satisfy the constraint the original is right: outputs and gradients must agree."""
    one, two = (chosen(side.entries, _WITHIN, ("",)) for side in (before, after))
    comparison = compare(one, two, trial.tolerance)
    if comparison.difference is not None:
        refute(trial, comparison.difference, before, reference)
    if not comparison.counts["tensors"]:
        raise Unverified("the original could not be run from parameters within the constraint")
    trial.evidence["reference"] = "the original, from parameters that satisfy the constraint already"
    trial.add_counts(comparison)
