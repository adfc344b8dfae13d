"""Repairs of settings that fit one class only, and of those that name parts of a model."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from .. import clock
from . import names, probing, signatures, specs
from .kinds import defines, layers_in_a_row, of_kind

if TYPE_CHECKING:
    from .probing import Failure
    from .repair_arguments import Plan
    from .specs import Path, Spec, State

_CLASSES = 3
_SECONDS = 0.2
_LACKING = re.compile(r"'(\w+)' object has no attribute '(\w+)'")


def below(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Settings lack what is read off them: those of a class below theirs have it, the nearest one first."""
    match = _LACKING.search(failure.message)
    for path, spec in _settings(state) if match else ():
        cls = _class_of(spec)
        if match is not None and cls.__name__ == match[1]:
            fitting = [
                item
                for item in signatures.subclasses(cls)
                if defines(item, match[2]) and specs.is_importable(item)
            ]
            for other in sorted(fitting, key=lambda item: _distance(item, plan.cls))[:_CLASSES]:
                yield specs.replaced(state, path, plan.context.instance(other))


def _distance(cls: type, other: type) -> int:
    """How far apart two classes are, by the modules that they are in."""
    first, second = cls.__module__.split("."), other.__module__.split(".")
    same = next((n for n, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)))
    return -same


_WANTED = re.compile(
    r"(?:specify|provide|set|give|pass|require[sd]?|need[s]?)\b[^.`'\"]{0,20}[`'\"](\w+)[`'\"]"
)
_NO_PARTS = re.compile(
    r"\b[Nn]o (modules?|layers?|submodules?|parts?)\b.{0,20}(target|found|match)"
    r"|(modules?|layers?)\b.{0,60} not (present|found|exist|contained|part)\b"
    r"|not present in (the )?(base )?model"
)
_PART = re.compile(r"module|layer|block|stage|node")


def unset_setting(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A message asks for a field of some settings: ``Please specify `layers` in the config``."""
    match = _WANTED.search(failure.message)
    field = match[1] if match else ""
    for path, spec in _settings(state) if field else ():
        known = {item.name for item in signatures.constructor_parameters(_class_of(spec))}
        if field in known and field not in spec["kwargs"]:
            if _PART.search(field):
                yield from _naming_parts(state, (*path, field), plan)
            for guess in of_kind(names.kind_of(field), field, plan.context)[:2]:
                yield specs.replaced(state, (*path, field), guess)


def parts_named(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """What should name parts of a model names none of them."""
    if not _NO_PARTS.search(failure.message):
        return
    for path, spec in _settings(state):
        for item in signatures.constructor_parameters(_class_of(spec)):
            if _PART.search(item.name):
                yield from _naming_parts(state, (*path, item.name), plan)
    for name in plan.defaults:
        if _PART.search(name):
            yield from _naming_parts(state, (name,), plan)


def _naming_parts(state: State, place: Path, plan: Plan) -> Iterator[State]:
    """Yield arguments in which a place holds names of parts of the model that is among them."""
    for name, spec in state.items():
        if name == place[0] or not _is_module(spec):
            continue
        for model in (spec, *layers_in_a_row()):
            parts = _parts(model, plan)
            words = [specs.literal(part) for part in (parts[0], parts[-1])] if parts else []
            for value in _as_places(words, state, place):
                yield specs.replaced({**state, name: model}, place, value)


def _as_places(words: list[Spec], state: State, place: Path) -> Iterator[Spec]:
    """Yield some words as what a place holds already: a table by these words, one word, or a list."""
    given = state.get(place[0]) if len(place) == 1 else None
    if words and given is not None and given["kind"] == "namespace":
        yield specs.namespace({word["value"]: word for word in words})
    elif words:
        single = given is not None and type(given.get("value")) is str
        yield words[0] if single else specs.sequence("list", words)


def _parts(model: Spec, plan: Plan) -> list[str]:
    """Return the names of the parts of a model that have weights."""
    made = probing.attempt(lambda: specs.Maker(0).make(model), clock.now() + _SECONDS, "")
    if made.failure is not None or not isinstance(made.value, nn.Module) or isinstance(made.value, plan.cls):
        return []
    children = made.value.named_children()
    return [name for name, child in children if next(child.parameters(), None) is not None]


def _is_module(spec: Spec) -> bool:
    if spec["kind"] == "helper":
        return spec["value"] in specs.OPEN
    return spec["kind"] == "new" and issubclass(_class_of(spec), nn.Module)


def _settings(state: State) -> Iterator[tuple[Path, Spec]]:
    """Yield the objects among the arguments that are no modules, with their paths."""
    for name, spec in state.items():
        for path, item in specs.holders(spec, (name,)):
            if item["kind"] == "new" and not issubclass(_class_of(item), nn.Module):
                yield path, item


def _class_of(spec: Spec) -> type:
    found = specs.find_named(spec["class"]["module"], spec["class"]["value"], {})
    return found if inspect.isclass(found) else type(found)
