"""Repairs of lists among a constructor's arguments: how long they are, and how deep."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import mismatch, names, room, source, specs
from .repair_values import suspected

if TYPE_CHECKING:
    from .probing import Failure
    from .repair_arguments import Plan
    from .specs import Spec, State

_LONGEST = 32
_SUSPECTS = 3
_ROWS = 2


def unpacked(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Something did not unpack into as many names: lists of that length, or lists of such lists."""
    count = _unpacked_into(failure, plan)
    for name in suspected(failure, state, plan)[:_SUSPECTS] if count else ():
        spec = state.get(name) or specs.spec_of(plan.defaults[name])
        yield from ({**state, name: other} for other in _of_length(spec, name, count))


def _unpacked_into(failure: Failure, plan: Plan) -> int:
    """Return into how many names the failing line unpacks, 0 if it does not."""
    match = re.search(r"values to unpack \(expected (\d+)", failure.message)
    if match:
        return int(match[1])
    if "cannot unpack non-iterable" not in failure.message:
        return 0
    frame = next(iter(reversed(failure.own_frames)), None)
    statement = plan.context.sources.statement(frame.filename, frame.line) if frame is not None else None
    nodes = list(ast.walk(statement)) if statement is not None else []
    targets = [node.target for node in nodes if isinstance(node, (ast.For, ast.comprehension))]
    targets += [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    return next((len(target.elts) for target in targets if isinstance(target, (ast.Tuple, ast.List))), 0)


def _of_length(spec: Spec | None, name: str, count: int) -> Iterator[Spec]:
    if spec is None or spec["kind"] not in ("list", "tuple"):
        item = specs.literal(names.integer(name)) if spec is None or specs.is_none(spec) else spec
        row = specs.sequence("list", [item] * count)
        yield row
        yield specs.sequence("list", [row] * _ROWS)
    elif spec["items"]:
        inner = [_resized(item, count) for item in spec["items"]]
        if spec["items"][0]["kind"] in ("list", "tuple"):
            yield {**spec, "items": inner}
            yield _resized(spec, count)
        else:
            yield _resized(spec, count)
            yield {**spec, "items": inner}


def _resized(spec: Spec, count: int) -> Spec:
    """Return a list of so many of the items of a list, or of so many of what is none."""
    if spec["kind"] not in ("list", "tuple") or not spec["items"]:
        return specs.sequence("list", [spec] * count)
    return {**spec, "items": (spec["items"] * count)[:count]}


def related(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A guard compared the length of a list with a number: make it that long."""
    for left, right, node in mismatch.compared(failure, plan.context.sources):
        for side, wanted in ((node.left, right), (node.comparators[0], left)):
            name = _measured(side)
            spec = state.get(name or "")
            if spec is None or type(wanted) is not int or not 0 < wanted <= _LONGEST:
                continue
            if spec["kind"] in ("list", "tuple") and len(spec["items"]) != wanted and spec["items"]:
                yield _together(state, len(spec["items"]), wanted)
                yield {**state, str(name): _resized(spec, wanted)}


def room_for_kernel(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A constructor tries its layers on something too small: larger sides, of which a shape holds two."""
    if not room.needed(failure):
        return
    given = {name: state.get(name) or specs.spec_of(value) for name, value in plan.defaults.items()}
    for factor in (4, 2, 8):
        for name, spec in given.items():
            grown = None if spec is None else _grown(name, spec, factor)
            if grown is not None:
                yield {**state, name: grown}


def _grown(name: str, spec: Spec, factor: int) -> Spec | None:
    """Return larger sides, None where there are none."""
    if spec["kind"] in ("list", "tuple") and len(spec["items"]) > 1 and names.is_side(name):
        sides = [_grown(name, item, factor) for item in spec["items"][-2:]]
        kept = [*spec["items"][:-2], *(side for side in sides if side is not None)]
        return {**spec, "items": kept} if len(kept) == len(spec["items"]) else None
    is_side = spec["kind"] == "literal" and type(spec["value"]) is int and names.is_side(name)
    return specs.literal(spec["value"] * factor) if is_side and spec["value"] > 1 else None


_FOR_RANK = re.compile(
    r"[Ee]xpected (?P<wanted>\d)D \(unbatched\) or \dD \(batched\) input to conv\dd, but got input of size: "
    r"\[(?P<given>[\d, ]+)\]"
)


def for_other_ranks(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A layer was built for images, the model calls it with volumes: lists have an item for each axis."""
    match = _FOR_RANK.search(failure.message)
    if match is not None:
        axes = int(match["wanted"]) - 1
        needed = match["given"].count(",") - 1
        known = {**_described(plan), **state}
        for name, spec in known.items():
            if spec["kind"] in ("list", "tuple") and len(spec["items"]) == axes != needed > 0:
                yield _together(state, axes, needed)
                yield {**state, name: _resized(spec, needed)}


_AXES = re.compile(r"^(spatial|conv|n|num|input|image)?_?(spatial)?_?(n?dims?|dimensions?)$")
_TOO_FLAT = re.compile(
    r"too many indices for tensor of dimension (\d)|not enough values to unpack \(expected \d, got (\d)\)"
    r"|Got (\d)D input, but .* needs \dD"
)


def more_axes(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A model that was built for images takes its input for a volume: the number of axes is an argument."""
    match = _TOO_FLAT.search(failure.message)
    axes = int(match[1] or match[2] or match[3]) - 2 if match else 0
    for name, default in plan.defaults.items() if axes > 0 else ():
        value = state[name].get("value") if name in state else default
        if value == axes and type(value) is int and _AXES.search(name):
            yield {**state, name: specs.literal(axes + 1)}


def _described(plan: Plan) -> State:
    """Return the defaults that are lists."""
    found = {
        name: specs.spec_of(value)
        for name, value in plan.defaults.items()
        if isinstance(value, (list, tuple))
    }
    return {name: spec for name, spec in found.items() if spec is not None}


def _together(state: State, length: int, wanted: int) -> State:
    """Give all lists of plain values that are as long as each other another length."""
    return {
        name: _resized(spec, wanted)
        if spec["kind"] in ("list", "tuple")
        and len(spec["items"]) == length
        and all(item["kind"] == "literal" for item in spec["items"])
        else spec
        for name, spec in state.items()
    }


def _measured(node: ast.expr) -> str | None:
    """Return the name whose length is taken: ``layers`` of ``len(layers)`` and of ``len(self.layers)``."""
    if not isinstance(node, ast.Call) or source.dotted(node.func) != "len" or len(node.args) != 1:
        return None
    return (source.dotted(node.args[0]) or "").rpartition(".")[2] or None
