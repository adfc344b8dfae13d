"""Repairs of the objects among a constructor's arguments: configurations, services, modules of the tree.

What an object is asked for, it gets: an entry that is called becomes a function that returns something.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from . import configurations, mismatch, names, signatures, source, specs, wanted
from .arguments import unique
from .kinds import defines, layers_in_a_row, modules_with, of_kind
from .uses import KIND_OF_METHOD, asked_by_methods, asked_of_result, used_in

if TYPE_CHECKING:
    from .probing import Failure, Frame
    from .repair_arguments import Plan
    from .specs import Spec, State

_GUESSES = 4
_ENTRIES = 3
_SIZES = 4
_OTHER_VALUES = 12
_USUAL_KINDS = ("int", "list", "float", "bool", "tensor", "namespace")
_CLASSES = 3


def missing_entry(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A configuration or a stand-in lacks an entry: add it, of the kind that its use asks for."""
    demanded = mismatch.demanded_keys(failure, plan.context.sources)
    key = mismatch.missing_key(failure) or next(iter(demanded), None)
    if key is None:
        return
    if "'ModuleDict' object" in failure.message:
        yield from _missing_module(key, state, plan)
        return
    guesses = list(itertools.islice(entry_guesses(key, failure, plan), _GUESSES))
    asked = _asked_for(key, failure, plan)
    spaces = [(path, spec) for name in state for path, spec in specs.namespaces(state[name], (name,))]
    spaces = [(path, spec) for path, spec in spaces if asked.intersection(path)] or spaces
    for path, spec in spaces:
        if not spec["items"] and spec["kind"] == "namespace":
            for cls in configurations.with_entry(key, path, plan.cls)[:_CLASSES]:
                yield specs.replaced(state, path, plan.context.instance(cls))
    if plan.takes_any_name and key not in state:
        yield from ({**state, key: guess} for guess in guesses)
    for path, _ in spaces:
        if len(path) == 1:
            yield from ({**state, path[0]: module} for module in _complete_modules(path[0], plan))
    kind = KIND_OF_METHOD.get(key, "namespace")
    for path, spec in spaces if kind != "namespace" else ():
        if not spec["items"]:  # it is no configuration at all
            yield from (specs.replaced(state, path, other) for other in of_kind(kind, path[-1], plan.context))
    for path, spec in spaces:
        if spec["kind"] == "helper" and len(path) == 1:
            for cls in itertools.islice(classes_with(key, plan, path[0]), _CLASSES):
                yield {**state, path[0]: plan.context.instance(cls)}
            layers = modules_with(key, plan.context)[:_CLASSES]
            yield from ({**state, path[0]: layer} for layer in layers)
    for guess in guesses:
        for path, spec in spaces:
            if key not in spec["items"]:
                yield specs.replaced(state, (*path, key), guess)


def _missing_module(key: str, state: State, plan: Plan) -> Iterator[State]:
    """A table of modules lacks one: it was made of a table that was given, or left out."""
    for name, default in plan.defaults.items():
        table = state.get(name, specs.namespace() if default is None else None)
        if table is not None and table["kind"] == "namespace" and "mod" in name:
            for module in of_kind("module", key, plan.context)[:_GUESSES]:
                yield {**state, name: {**table, "items": {**table["items"], key: module}}}


def _asked_for(key: str, failure: Failure, plan: Plan) -> set[str]:
    """Return the last names of the objects that are asked for an entry: ``cfg`` of ``cfg.key``."""
    owners = (getattr(use.node, "value", None) for _, use in entry_uses(key, failure, plan))
    paths = (source.dotted(owner) for owner in owners if owner is not None)
    return {path.rsplit(".", 1)[-1] for path in paths if path}


def entry_uses(key: str, failure: Failure, plan: Plan) -> Iterator[tuple[Frame, source.Use]]:
    """Yield the places in the failing lines that ask for an entry, innermost line first."""
    for frame in reversed(failure.own_frames):
        statement = plan.context.sources.statement(frame.filename, frame.line)
        if isinstance(statement, (ast.Assert, ast.If)):  # who demands it has not read it yet
            statement = plan.context.sources.enclosing(frame.filename, frame.line)
        for use in source.entries(statement, key) if statement is not None else ():
            yield frame, use


def entry_guesses(key: str, failure: Failure, plan: Plan) -> Iterator[Spec]:
    """Yield guesses for an entry from how the failing function uses it, then from its name."""

    def found() -> Iterator[Spec]:
        for frame, use in entry_uses(key, failure, plan):
            definition = plan.context.sources.enclosing(frame.filename, frame.line)
            function, path = within(frame), source.dotted(use.node)
            if definition is None:
                continue
            parent = next(iter(use.parents), None)
            if isinstance(parent, ast.Call) and parent.func is use.node:
                results = asked_of_result(use, definition, function, plan.context)
                yield from (specs.helper("Returns", value=result) for result in unique(results))
            elif path is not None:
                yield from used_in(definition, path, function, plan.context)
                yield from asked_by_methods(definition, path, plan.cls, plan.context)
        yield from of_kind(names.kind_of(key), key, plan.context)
        yield from of_kind("int", key, plan.context)

    return unique(found())


def within(frame: Frame) -> Callable[..., Any]:
    """Return a function whose globals are those of a frame: all that reading its source needs of it."""
    return types.FunctionType(within.__code__, frame.outer)


def classes_with(attribute: str, plan: Plan, argument: str | None = None) -> Iterator[type]:
    """Yield the module classes of the package that define an attribute.

    Those come first that also define the others which the class reads off the argument; then the nearest.
    """
    needed = plan.attributes_of(argument) if argument is not None else set()
    fitting = (cls for cls in _module_classes(plan) if _works(cls, attribute, plan))
    return iter(sorted(fitting, key=lambda cls: sum(not defines(cls, name) for name in needed)))


def _works(cls: type, attribute: str, plan: Plan) -> bool:
    """Whether instances have the attribute, and it is no method that leaves its work to subclasses."""
    method = getattr(cls, attribute, None)
    node = plan.context.sources.function(method) if inspect.isfunction(method) else None
    return defines(cls, attribute) and (node is None or not source.is_stub(node))


def _complete_modules(argument: str, plan: Plan) -> Iterator[Spec]:
    """Yield modules of the package that have all that the class reads off an argument."""
    needed = plan.attributes_of(argument)
    if names.kind_of(argument) != "namespace" and needed:
        found = (cls for cls in _module_classes(plan) if all(_works(cls, name, plan) for name in needed))
        yield from map(plan.context.instance, itertools.islice(found, _CLASSES))


def _module_classes(plan: Plan) -> list[type]:
    """Return the module classes of the package that can be built, nearest first."""
    root = plan.cls.__module__.split(".")[0]
    loaded = [module for name, module in list(sys.modules.items()) if name.split(".")[0] == root]
    found = [
        cls
        for module in loaded
        for cls in list(vars(module).values())
        if inspect.isclass(cls)
        and cls.__module__ == module.__name__
        and issubclass(cls, nn.Module)
        and cls is not plan.cls
        and not inspect.isabstract(cls)
    ]
    return sorted(found, key=lambda cls: cls.__module__ != plan.cls.__module__)


def wrong_entry(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """An entry of a configuration, or what a service returns, is not as the failing lines want it."""
    words = set(re.findall(r"\w+", failure.message))
    for frame in failure.own_frames:
        statement = plan.context.sources.statement(frame.filename, frame.line)
        guard = plan.context.sources.guard(frame.filename, frame.line)
        for node in (*ast.walk(statement or ast.Pass()), *ast.walk(guard or ast.Pass())):
            words.update(str(value) for value in _said(node) if value)
    spaces = [space for name in state for space in specs.namespaces(state[name], (name,))]
    held = [item for name in state for item in specs.holders(state[name], (name,))]
    spaces += [(path, {"items": spec["kwargs"]}) for path, spec in held if spec["kind"] == "new"]
    for path, spec in spaces:
        suspected = [key for key in spec["items"] if _names_of((*path, key), plan) & words]
        for key in suspected[:_ENTRIES]:
            item = spec["items"][key]
            is_service = item["kind"] == "helper" and item["value"] == "Returns"
            place = (*path, key, "value") if is_service else (*path, key)
            for other in itertools.islice(_other_values(key, failure, plan), _OTHER_VALUES):
                yield specs.replaced(state, place, other)


def _names_of(path: tuple[str, ...], plan: Plan) -> set[str]:
    """Return the last names of what holds an entry: ``size`` after ``self.size = config["width"]``."""
    node = plan.context.sources.function(plan.function)
    held = source.aliases(node, ".".join(path)) if node is not None else set()
    return {name.rsplit(".", 1)[-1] for name in (*held, path[-1])}


def _said(node: ast.AST) -> tuple[Any, ...]:
    return (getattr(node, "id", None), getattr(node, "attr", None), source.constant(node))


def _other_values(key: str, failure: Failure, plan: Plan) -> Iterator[Spec]:
    """Yield what an entry may have to be instead: what the message and the guard name, then other kinds."""

    def found() -> Iterator[Spec]:
        if not isinstance(failure.error, KeyError):
            yield from map(specs.literal, re.findall(r"['\"]([\w\-.]+)['\"]", failure.message)[:_GUESSES])
        for _, right, _ in mismatch.compared(failure, plan.context.sources):
            for value in right if isinstance(right, (list, tuple, set)) else [right]:
                if type(value) in (int, float, str):
                    yield specs.literal(value)
        asked = wanted.kinds(failure, plan.context.sources)
        for kind in dict.fromkeys([*asked, names.kind_of(key), *_USUAL_KINDS]):
            yield from of_kind(kind, key, plan.context)[:2]

    return unique(found())


def called_object(failure: Failure, state: State, _plan: Plan) -> Iterator[State]:
    """What was taken for a record of settings is called: it is a module that has those attributes."""
    if "'Namespace' object is not callable" not in failure.message:
        return
    for name in state:
        for path, spec in specs.namespaces(state[name], (name,)):
            if spec["kind"] == "namespace":
                yield specs.replaced(state, path, specs.helper("PassThrough", **spec["items"]))


def class_itself(failure: Failure, state: State, _plan: Plan) -> Iterator[State]:
    """A layer among the arguments was called as if it were to be built: its class was wanted."""
    match = re.search(r"(\w+)\.forward\(\) missing \d+ required positional", failure.message)
    if match is None or not any(frame.function == "__init__" for frame in failure.own_frames[-1:]):
        return
    for name, spec in state.items():
        if spec["kind"] == "new" and spec["class"]["value"].rpartition(".")[2] == match[1]:
            yield {**state, name: spec["class"]}


_INSIDE = ("children", "named_children", "modules", "named_modules")


def layers_inside(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A layer inside of a module among the arguments was looked for in vain: give one that has some."""
    if not isinstance(failure.error, (IndexError, StopIteration)):
        return
    places = [plan.context.sources.enclosing(frame.filename, frame.line) for frame in failure.own_frames[-1:]]
    calls = [node for place in places if place is not None for node in ast.walk(place)]
    if any(isinstance(node, ast.Attribute) and node.attr in _INSIDE for node in calls):
        for name, spec in state.items():
            if spec == specs.helper("PassThrough"):
                yield from ({**state, name: several} for several in layers_in_a_row())


def sizes_inside(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Two objects among the arguments do not fit together: whoever is alone gives in."""
    known = {name: _sizes_of(spec) for name, spec in state.items() if spec["kind"] == "new"}
    pairs = list(dict.fromkeys(mismatch.sizes(failure, plan.context.sources)))[:_SIZES] if known else []
    changes = [change for seen, other in pairs for change in ((seen, other), (other, seen))]

    def held(change: tuple[int, int]) -> int:
        return sum(change[0] in sizes.values() for sizes in known.values())

    for seen, other in sorted(dict.fromkeys(changes), key=held):
        for name, sizes in known.items():
            spec = state[name]
            for field in (field for field, size in sizes.items() if size == seen != other > 0):
                yield {**state, name: _with_size(spec, field, other)}
            for place, layer in enumerate(spec["args"]):  # the layers of a row
                inner = _sizes_of(layer) if layer["kind"] == "new" else {}
                for field in (field for field, size in inner.items() if size == seen != other > 0):
                    args = [
                        *spec["args"][:place],
                        _with_size(layer, field, other),
                        *spec["args"][place + 1 :],
                    ]
                    yield {**state, name: {**spec, "args": args}}


def _with_size(spec: Spec, field: str, size: int) -> Spec:
    return {**spec, "kwargs": {**spec["kwargs"], field: specs.literal(size)}}


def _sizes_of(spec: Spec) -> dict[str, int]:
    """Return the integers that an object is made with by name, its class's defaults included."""
    cls = specs.find_named(spec["class"]["module"], spec["class"]["value"], {})
    parameters = signatures.constructor_parameters(cls)[len(spec["args"]) :]
    values = {
        item.name: spec["kwargs"][item.name].get("value") if item.name in spec["kwargs"] else item.default
        for item in parameters
    }
    return {name: value for name, value in values.items() if type(value) is int}


def argument_not_made(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """An object among the arguments cannot be made as it was guessed: look for a way to make it."""
    if not failure.is_in_argument:
        return
    under_way = {type(frame.scope.get("self")) for frame in failure.frames}
    held = [item for name, spec in state.items() for item in specs.holders(spec, (name,))]
    found = [item for item in held if item[1]["kind"] == "new"]
    classes = [specs.find_named(spec["class"]["module"], spec["class"]["value"], {}) for _, spec in found]
    likely = [item for item in zip(found, classes) if item[1] in under_way]
    for (path, spec), cls in likely[::-1] or [item for item in zip(found, classes) if len(item[0][0]) == 1]:
        made = plan.context.made(cls)
        if made is not None and made != spec:
            yield specs.replaced(state, path, made)
        for other in plan.guesses(path[0]) if made is None and len(path) == 1 else ():
            if other["kind"] == "new" and other["class"] != spec["class"]:
                yield specs.replaced(state, path, other)
