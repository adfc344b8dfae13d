"""What `repairs` has to show: the symptom before the fix, none after it, and what the rule promised."""

from __future__ import annotations

import os
from typing import Any

from .compare import compare
from .frames import Message
from .verdicts import Refuted, Side, Unverified, told

_BROKEN = {
    "ImportError",
    "IndentationError",
    "ModuleNotFoundError",
    "NameError",
    "SyntaxError",
    "UnboundLocalError",
}
IN_PLACE = "modified by an inplace operation"
_INHERENT = ("cannot assign", "leaf Variable", IN_PLACE, "retain_grad")
_OF_ANOTHER = ("as parameter", *_INHERENT[1:])
"""Words of the errors that a reference run takes the place of, wherever they are raised."""
_OF_THE_PROJECTION = {"data", "no_grad"}


def require_symptom(contract: Message, before: Side, after: Side) -> str:
    """What the original does wrong at the finding's lines; raises `Unverified` if it does not show."""
    symptom = contract["symptom"]
    if symptom == "gradient":
        return _require_gradient_symptom(contract, before, after)
    if symptom == "never-updated":
        return _require_stuck_parameter(contract, before, after)
    for error in before.facts["errors"]:
        if error["type"] == symptom and _is_at_symptom(error, contract, before):
            return f"the original raises {symptom}: {error['message']}"
    others = before.facts["errors"]
    if others:
        raise Unverified(
            f"the original fails otherwise, not with {symptom} at the finding: {told(others[0])}"
        )
    raise Unverified(f"the original does not raise {symptom} in this run")


def blame(contract: Message, error: Message) -> None:
    """Refute a fix whose own lines raise what no other input could cure; else return."""
    owners = [
        f"'{subject['class_name'].split('.')[-1]}'"
        for subject in contract["subjects"]
        if subject["class_name"]
    ]
    cause: Any = error
    while cause:
        message = cause["message"]
        inherent = (
            cause["type"] in _BROKEN
            or any(words in message for words in _INHERENT)
            or (cause["type"] == "AttributeError" and message.startswith(("module ", *owners)))
        )
        if inherent and _innermost_in(cause, contract["changed_lines"]["after"]):
            raise Refuted(
                f"the fixed lines raise {cause['type']}: {cause['message']}",
                {"check": error["phase"], "before": contract["symptom"], "after": told(error)},
            )
        cause = cause.get("cause")


def is_another(contract: Message, error: Message) -> bool:
    """Whether an error that no input cures comes from other lines than those of the fix."""
    if not any(words in error["message"] for words in _OF_ANOTHER):
        return False
    cause: Any = error
    while cause.get("cause"):  # the search for arguments wraps what the code raised
        cause = cause["cause"]
    return not _innermost_in(cause, contract["changed_lines"]["after"])


def require_postcondition(before: Side, after: Side) -> Message:
    """The watched expression must be the same registered Parameter, holding the value that was meant."""
    seen = after.facts["watched"]
    if not seen:
        raise Unverified("the run never reached the assignment in the fixed code")
    for index, facts in enumerate(seen):
        for key, words in (
            ("is_parameter", "is not an nn.Parameter"),
            ("same_object", "is another object"),
            ("same_storage", "has other storage"),
            ("registered", "is not registered"),
        ):
            if not facts[key]:
                raise Refuted(
                    f"after the assignment the parameter {words}",
                    {
                        "check": "the parameter after the assignment",
                        "where": f"run {index + 1}",
                        "after": words,
                    },
                )
        for shape in facts["copied_shapes"]:
            if shape != facts["shape"]:
                raise _broadcast(shape, facts["shape"])
    meant = next((value for value in (*before.rejected, *before.watched) if value is not None), None)
    value = after.watched[0]
    if meant is None or value is None:
        raise Unverified("the value that the original assigns could not be seen")
    if meant.shape != value.shape:
        raise _broadcast(list(meant.shape), list(value.shape))
    name = "the parameter's value after the assignment"
    found = compare([(name, "value", meant.to(value.dtype))], [(name, "value", value)])
    if found.difference is not None:
        raise Refuted("the parameter does not hold the assigned value", found.difference)
    return {"assignments": len(seen), "same_object": True, "same_storage": True, "shape": list(value.shape)}


def _broadcast(value: list[int], parameter: list[int]) -> Refuted:
    return Refuted(
        f"a value of shape {tuple(value)} is broadcast into a parameter of {tuple(parameter)}",
        {"check": "the assigned value's shape", "before": value, "after": parameter},
    )


def require_oracle(contract: Message, after: Side, meant: bool) -> None:
    """Gradients must agree with finite differences, reach the parameters, and move them.

    Where the model stops gradients on purpose, it is enough that they are `meant`: the reference's own.
    """
    facts = after.facts
    oracle = facts["oracle"]
    on_purpose = oracle["ran"] and bool(oracle["stops"]) and contract["symptom"] != "gradient"
    if oracle["ran"] and not oracle["agrees"] and not (on_purpose and meant):
        if on_purpose:
            stop = oracle["stops"][0]
            raise Unverified(
                f"gradients are not those of the output: the model stops them on purpose ({stop})"
            )
        raise Refuted(
            f"the gradient disagrees with {oracle['judge']}",
            {
                "check": f"directional derivative in {oracle['precision']}",
                "before": oracle["expected"],
                "after": oracle["autograd"],
                "max_rel": oracle["expected_relative"],
            },
        )
    if facts["parameters"] and not facts["trainable"]:
        raise Unverified("nothing in the output of the fixed model depends on a parameter")
    if not oracle["ran"] and facts["trainable"]:
        raise Unverified(f"gradients could not be checked: {oracle['reason']}")
    for trajectory in facts["trajectories"]:
        if trajectory["pulled"] and not trajectory["moved"]:
            raise Refuted(
                "no parameter moves although gradients pull at them",
                {"check": trajectory["optimizer"], "before": trajectory["pulled"], "after": []},
            )


def _require_gradient_symptom(contract: Message, before: Side, after: Side) -> str:
    errors = before.facts["errors"]
    if contract["projection"] is not None and errors and all(IN_PLACE in e["message"] for e in errors):
        return _require_in_place_symptom(contract, before)
    _require_run(before)
    _require_reached_symptom(contract, before)
    if "loop" in before.facts:
        one, two = before.facts["loop"], after.facts["loop"]
        if one["leaves"] >= two["leaves"]:
            raise Unverified("no parameter gets a gradient that it did not get before")
        return f"{two['leaves'] - one['leaves']} tensors got no gradient"
    gained = sorted(set(after.facts["reached"]) - set(before.facts["reached"]))
    oracle = before.facts["oracle"]
    if gained:
        return f"no gradient reached {', '.join(gained)}"
    if oracle["ran"] and not oracle["agrees"]:
        others = set(oracle["stops"]) - _OF_THE_PROJECTION
        if others and contract["projection"] is not None:
            stop = min(others)
            raise Unverified(f"whether the gradient is wrong cannot be told: the model stops some ({stop})")
        return f"the gradient was {oracle['autograd']:.6g} where {_says(oracle)}"
    raise Unverified("the original's gradients are right in this run")


def _says(oracle: Message) -> str:
    verb = "says" if oracle["judge"] == "forward mode" else "say"
    return f"{oracle['judge']} {verb} {oracle['expected']:.6g}"


def _require_in_place_symptom(contract: Message, before: Side) -> str:
    """Backward raises, after the finding's own lines have changed a parameter that was used before."""
    _require_reached_symptom(contract, before)
    if not before.facts["bumped"]:
        raise Unverified("backward raises in the original, but not because of the finding's lines")
    error = before.facts["errors"][0]
    changed = ", ".join(before.facts["bumped"])
    return f"backward raises {error['type']} once {changed} has been changed in place: {error['message']}"


def _require_stuck_parameter(contract: Message, before: Side, after: Side) -> str:
    _require_run(before)
    _require_reached_symptom(contract, before)
    if "loop" in before.facts:
        one, two = before.facts["loop"], after.facts["loop"]
        gained = two["moved"] - one["moved"]
        if gained <= 0:
            raise Unverified("no parameter moves that did not move before")
        return f"{gained} tensors never moved"
    moved = [{name for t in side.facts["trajectories"] for name in t["moved"]} for side in (before, after)]
    names = sorted(moved[1] - moved[0])
    if not names:
        raise Unverified("no parameter moves that did not move before")
    return f"{', '.join(names)} never moved"


def _require_run(before: Side) -> None:
    if before.facts["errors"]:
        raise Unverified(f"the original does not run: {told(before.facts['errors'][0])}")


def _require_reached_symptom(contract: Message, before: Side) -> None:
    if not _ran_symptom(contract, before):
        raise Unverified("the run of the original never reached the finding")


def _ran_symptom(contract: Message, before: Side) -> bool:
    lines = contract["symptom_lines"]
    if lines is None or lines["before"] is None:
        return False
    first, last = lines["before"]
    executed = before.executed(lines["path"])
    return any(first <= line <= last for line in executed)


def _is_at_symptom(error: Message, contract: Message, before: Side) -> bool:
    """Whether the innermost frame of the finding's file is on its lines.

    Autograd reports a parameter that was changed too early from `backward`, outside of the file: there it
    counts that the lines ran.
    """
    lines = contract["symptom_lines"]
    if lines is None or lines["before"] is None:
        return False
    path = os.path.realpath(lines["path"])
    rows = [line for file, line, _ in error["frames"] if os.path.realpath(file) == path]
    if rows:
        return bool(lines["before"][0] <= rows[-1] <= lines["before"][1])
    return "backward" in [name for _, _, name in error["frames"]] and _ran_symptom(contract, before)


def _innermost_in(error: Message, changed: Message) -> bool:
    for file, line, _ in reversed(error["frames"]):
        for path, ranges in changed.items():
            if os.path.realpath(path) == os.path.realpath(file):
                return any(first <= line <= last for first, last in ranges)
    return False
