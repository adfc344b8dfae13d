"""Repairs of objects whose class leaves fields unset: a configuration that somebody has to fill in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import names, signatures, specs
from .kinds import of_kind

if TYPE_CHECKING:
    from .probing import Failure
    from .repair_arguments import Plan
    from .specs import Path, Spec, State

_GUESSES = 3


def unset_fields(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Something was None: set the fields that the failing line reads, then all that are unset."""
    if "None" not in failure.message:
        return
    read = _attributes_read(failure, plan)
    for path, spec in _objects(state):
        unset = _unset(spec)
        for field in (item for item in unset if item in read):
            for guess in _guesses(field, plan)[:_GUESSES]:
                yield _with_fields(state, path, spec, {field: guess})
        if unset:
            yield _with_fields(state, path, spec, {field: _guesses(field, plan)[0] for field in unset})


def _attributes_read(failure: Failure, plan: Plan) -> set[str]:
    frames = [plan.context.sources.statement(frame.filename, frame.line) for frame in failure.own_frames]
    nodes = (node for statement in frames if statement is not None for node in ast.walk(statement))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def _objects(state: State) -> Iterator[tuple[Path, Spec]]:
    """Yield the objects among the arguments and in their lists, with their paths."""
    for name, spec in state.items():
        items = spec["items"] if spec["kind"] in ("list", "tuple") else []
        yield from (((name, str(place)), item) for place, item in enumerate(items) if item["kind"] == "new")
        if spec["kind"] == "new":
            yield (name,), spec


def _unset(spec: Spec) -> list[str]:
    """Return the parameters of an object's class that are None because nobody gave them."""
    named = spec["class"]
    cls = specs.find_named(named["module"], named["value"], {})
    parameters = signatures.parameters_of(cls)[len(spec["args"]) :]
    return [item.name for item in parameters if item.default is None and item.name not in spec["kwargs"]]


def _guesses(field: str, plan: Plan) -> list[Spec]:
    return of_kind(names.kind_of(field), field, plan.context)


def _with_fields(state: State, path: Path, spec: Spec, fields: State) -> State:
    return specs.replaced(state, path, {**spec, "kwargs": {**spec["kwargs"], **fields}})
