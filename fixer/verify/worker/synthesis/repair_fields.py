"""Repairs of objects whose class leaves fields unset: a configuration that somebody has to fill in."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from . import names, repair_objects, signatures, source, specs
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
    read = attributes_read(failure, plan)
    objects = [(path, spec, [item.name for item in unset(spec)]) for path, spec in objects_in(state)]
    for path, spec, fields in objects:
        for field in (item for item in fields if item in read):
            for guess in itertools.islice(_asked(field, failure, plan), _GUESSES):
                yield with_fields(state, path, spec, {field: guess})
    for path, spec, fields in objects:
        if fields:
            guesses = {field: _guesses(field, plan, failure)[0] for field in fields}
            yield with_fields(state, path, spec, guesses)


def all_set(state: State) -> Iterator[State]:
    """A model of settings with unset fields does not fit together: set the numbers among them."""
    for path, spec in objects_in(state):
        named = spec["class"]
        cls = specs.find_named(named["module"], named["value"], {})
        fields = [item.name for item in unset(spec) if names.kind_of(item.name) in ("int", "float")]
        if fields and not issubclass(cls, nn.Module):
            numbers = {field: specs.literal(names.integer(field)) for field in fields}
            yield with_fields(state, path, spec, numbers)


_LACKING = re.compile(r"'(?P<cls>\w+)' object has no attribute '(?P<key>\w+)'|Key '(\w+)' not in '(\w+)'")


def lacking_field(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Settings lack what is read: a record that has it beside all that the class of the settings has."""
    match = _LACKING.search(failure.message)
    cls, key = (match["cls"] or match[4], match["key"] or match[3]) if match else ("", "")
    for path, spec in objects_in(state) if match else ():
        named = spec["class"]
        if named["value"].rsplit(".", 1)[-1] == cls:
            settings = specs.find_named(named["module"], named["value"], {})
            if not issubclass(settings, nn.Module):
                for guess in itertools.islice(_asked(key, failure, plan), 2):
                    record = specs.namespace({**_values(spec, settings), key: guess})
                    yield specs.replaced(state, path, record)


def _values(spec: Spec, cls: type) -> State:
    """Return what an object's fields hold, as far as it can be described."""
    parameters = signatures.parameters_of(cls)
    defaults = {item.name: specs.spec_of(item.default) for item in parameters}
    given = {item.name: value for item, value in zip(parameters, spec["args"])}
    known = {name: value for name, value in defaults.items() if value is not None}
    return {**known, **given, **spec["kwargs"]}


def defaulted_entry(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """An attribute that failing lines read is an entry of an argument, or a default that is of no use."""
    read = attributes_read(failure, plan)
    functions = [function for _, function in signatures.constructors(plan.cls)]
    for node in map(plan.context.sources.function, functions):
        for attribute, name, key in _entries_kept(node) if node is not None else ():
            spec = state.get(name) or specs.namespace()
            is_open = name in plan.defaults and spec["kind"] == "namespace" and key not in spec["items"]
            for guess in _guesses(key, plan, failure)[:2] if attribute in read and is_open else ():
                yield {**state, name: specs.namespace({**spec["items"], key: guess})}


def _entries_kept(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield attribute, argument and key of each ``self.depth = settings.get("depth", 0)``."""
    for item in ast.walk(node):
        call = item.value if isinstance(item, ast.Assign) else None
        if isinstance(item, ast.Assign) and isinstance(call, ast.Call) and call.args:
            held, _, method = (source.dotted(call.func) or "").rpartition(".")
            key, target = source.constant(call.args[0]), source.dotted(item.targets[0]) or ""
            if method == "get" and isinstance(key, str) and target.startswith("self."):
                yield target[5:], held.rpartition(".")[2], key


def attributes_read(failure: Failure, plan: Plan) -> set[str]:
    """Return the attributes that the failing lines read."""
    frames = [plan.context.sources.statement(frame.filename, frame.line) for frame in failure.own_frames]
    nodes = (node for statement in frames if statement is not None for node in ast.walk(statement))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def objects_in(state: State) -> Iterator[tuple[Path, Spec]]:
    """Yield the objects among the arguments and in what those hold, with their paths."""
    for name, spec in state.items():
        yield from (item for item in specs.holders(spec, (name,)) if item[1]["kind"] == "new")


def unset(spec: Spec) -> list[inspect.Parameter]:
    """Return the parameters of an object's class that are None because nobody gave them."""
    named = spec["class"]
    cls = specs.find_named(named["module"], named["value"], {})
    parameters = signatures.parameters_of(cls)[len(spec["args"]) :]
    return [item for item in parameters if item.default is None and item.name not in spec["kwargs"]]


def _asked(field: str, failure: Failure, plan: Plan) -> Iterator[Spec]:
    """Yield what the failing lines ask of a field, then what its name says."""
    if _NO_LIST.search(failure.message):
        yield of_kind("list", field, plan.context)[0]
    if any(True for _ in repair_objects.entry_uses(field, failure, plan)):
        yield from itertools.islice(repair_objects.entry_guesses(field, failure, plan), 1)
    yield from _guesses(field, plan, failure)


_NO_LIST = re.compile(r"'NoneType' has no len|'NoneType' object is not (iterable|subscriptable)")
_BESIDE_NONE = re.compile(r"'NoneType' and '(int|NoneType)'|'int' and 'NoneType'")


def _guesses(field: str, plan: Plan, failure: Failure) -> list[Spec]:
    """Return what a field's name says: a whole number where None met one."""
    kind = names.kind_of(field)
    is_whole = kind == "float" and _BESIDE_NONE.search(failure.message)
    return of_kind("int" if is_whole else kind, field, plan.context)


def with_fields(state: State, path: Path, spec: Spec, fields: State) -> State:
    """Return the state with more arguments for the object at a path."""
    return specs.replaced(state, path, {**spec, "kwargs": {**spec["kwargs"], **fields}})
