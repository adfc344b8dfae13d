"""Repairs of constructors with ``*arguments``: the sizes of a view, an order of axes, layers, numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from . import names, source, specs
from .kinds import of_kind

if TYPE_CHECKING:
    import inspect

    from .probing import Failure
    from .repair_arguments import Plan
    from .specs import Spec, State

_ORDERS = ((0, 2, 1), (1, 0), (0, 2, 3, 1), (0, 1))
_SIZES = ((-1,), (names.BATCH, -1), (names.BATCH, 4, -1), (4, 8))
_COUNTS = ((names.WIDTH, names.WIDTH), (names.WIDTH, names.WIDTH, names.WIDTH), (2, 2), (1,))
_ORDERED = ("permute", "transpose", "movedim", "swapaxes")
_SIZED = ("view", "reshape", "expand", "unflatten", "repeat", "resize")
_LISTED = ("ModuleList", "Sequential", "add_module")


def any_number(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A constructor was given none of the arguments that it takes any number of, and a failing line asks."""
    parameter = plan.variadic
    if parameter is None or parameter.name in state:
        return
    before = _before(parameter, state, plan)
    if before is not None and _is_asked(parameter, failure, plan):
        for items in _guesses(parameter, plan):
            yield {**state, **before, parameter.name: specs.sequence("tuple", items)}


def _before(parameter: inspect.Parameter, state: State, plan: Plan) -> State | None:
    """Return what stands before the ``*arguments`` and was left out; None if it cannot be given."""
    found: State = {}
    for item in plan.in_order:
        if item.name == parameter.name:
            return found
        if item.name not in state:
            default = None if item.default is item.empty else specs.spec_of(item.default)
            if default is None:
                return None
            found[item.name] = default
    return None


def _is_asked(parameter: inspect.Parameter, failure: Failure, plan: Plan) -> bool:
    """Whether a failing line names the arguments, or what keeps them."""
    wanted = plan.aliases(parameter.name)
    for frame in failure.own_frames:
        statement = plan.context.sources.statement(frame.filename, frame.line)
        for node in ast.walk(statement) if statement is not None else ():
            if source.dotted(node) in wanted:
                return True
    return False


def _guesses(parameter: inspect.Parameter, plan: Plan) -> Iterator[list[Spec]]:
    """Yield what the class may be given any number of, by the calls that it hands them to."""
    callees = _callees(parameter, plan)
    if callees & {*_LISTED}:
        layer = specs.new(nn.Linear, positional=[specs.literal(names.WIDTH)] * 2)
        yield from ([item] * 2 for item in (*of_kind("module", parameter.name, plan.context)[:2], layer))
    tables = [
        *([_ORDERS] if callees & {*_ORDERED} else ()),
        *([_SIZES] if callees & {*_SIZED} else ()),
    ]
    for numbers in (numbers for table in (*tables, _COUNTS) for numbers in table):
        yield [specs.literal(number) for number in numbers]
    yield from ([item] * 2 for item in of_kind("module", parameter.name, plan.context)[:2])


def _callees(parameter: inspect.Parameter, plan: Plan) -> set[str]:
    """Return the last parts of the names of what takes the arguments, or what keeps them."""
    found: set[str] = set()
    wanted = plan.aliases(parameter.name)
    for function in (plan.function, getattr(plan.cls, "forward", None)):
        node = plan.context.sources.function(function) if function is not None else None
        for call in ast.walk(node) if node is not None else ():
            if isinstance(call, ast.Call):
                given = [*call.args, *(item.value for item in call.keywords)]
                plain = (item.value if isinstance(item, ast.Starred) else item for item in given)
                inside = {source.dotted(part) for item in plain for part in ast.walk(item)}
                if inside & wanted:
                    found.add(getattr(call.func, "attr", getattr(call.func, "id", "")))
    return found
