"""Larger models that hold a class which cannot be built or called by itself."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from . import inputs, outputs, probing, recipe, signatures, specs

if TYPE_CHECKING:
    from .arguments import Context
    from .recipe import Recipe
    from .specs import State

_MAX_LEVELS = 3
_MAX_OWNERS = 6
_MOST_SUBCLASSES = 200
_MAX_SUBCLASSES = 3


class Seen(NamedTuple):
    """An instance inside of a model, and what the model calls it with."""

    path: str
    inputs: State
    exact: State
    """The same with every integer as it was."""


def candidates(cls: type, context: Context) -> list[type]:
    """Return the classes that may hold the class: those that need no arguments first, nearest first."""
    known = _model_classes(cls, context)
    found: dict[type, None] = {}
    wanted = {cls.__name__}
    for _ in range(_MAX_LEVELS):
        holders = [item for item, used in known.items() if used & wanted and item is not cls]
        found.update((holder, None) for holder in holders)
        wanted = {holder.__name__ for holder in holders}
    return sorted(found, key=_required)[:_MAX_OWNERS]


def subclasses(cls: type, context: Context) -> list[type]:
    """Return the concrete subclasses that run the class's own `forward`, if it has one: nearest first."""
    found: dict[type, None] = {}
    waiting = [cls]
    while waiting and len(found) < _MOST_SUBCLASSES:
        below: list[type] = waiting.pop(0).__subclasses__()
        waiting.extend(below)
        found.update((item, None) for item in below)
    fitting = [
        item
        for item in found
        if (getattr(item, "forward", None) is getattr(cls, "forward", None) or not context.is_runnable(cls))
        and context.is_runnable(item)
        and specs.is_importable(item)
    ]
    return sorted(fitting, key=lambda item: (item.__module__ != cls.__module__, _required(item)))[
        :_MAX_SUBCLASSES
    ]


def _required(cls: type) -> int:
    return sum(map(signatures.is_required, signatures.constructor_parameters(cls)))


def _model_classes(cls: type, context: Context) -> dict[type, set[str]]:
    """Return the models of the class's file and of the files that use it, with the names that each reads."""
    files = {name for name, _ in context.sources.mentioning(cls)}
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name == cls.__module__ or getattr(module, "__dict__", {}).get("__file__") in files
    ]
    found: dict[type, set[str]] = {}
    for module in modules:
        for item in list(vars(module).values()):
            is_model = inspect.isclass(item) and issubclass(item, nn.Module)
            if is_model and item.__module__ == module.__name__ and not inspect.isabstract(item):
                found[item] = _names_read(item, context)
    return found


def _names_read(cls: type, context: Context) -> set[str]:
    tree = context.sources.module_of(cls)
    own = [item for item in tree.body if getattr(item, "name", None) == cls.__name__] if tree else []
    return {node.id for item in own for node in ast.walk(item) if isinstance(node, ast.Name)}


def seen_inside(cls: type, owner: type, found: Recipe, deadline: float) -> Iterator[Seen]:
    """Run a model and yield how it calls the instances of the class that it holds."""
    made = probing.attempt(lambda: recipe.build(owner, found), deadline, "")
    if made.failure is not None:
        return
    seen: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {}

    def watch(path: str) -> Any:
        def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen.setdefault(path, (module, args, kwargs))

        return note

    model: Any = made.value
    parts: list[Any] = [(path, part) for path, part in model.named_modules() if path and type(part) is cls]
    for path, part in parts:
        part.register_forward_pre_hook(watch(path), with_kwargs=True)

    def run() -> Any:
        args, kwargs = recipe.make_inputs(found, 0)
        return outputs.flatten_tensors(recipe.call(model, args, kwargs))

    probing.attempt(run, deadline, "")
    for path, (held, args, kwargs) in seen.items():
        names = [parameter.name for parameter in inputs.forward_parameters(held)]
        given = [*zip(names, args), *kwargs.items()]
        described = {name: (specs.spec_of(value), specs.spec_of(value, exact=True)) for name, value in given}
        if len(args) <= len(names) and all(drawn is not None for drawn, _ in described.values()):
            drawn = {name: spec for name, (spec, _) in described.items() if spec is not None}
            exact = {name: spec for name, (_, spec) in described.items() if spec is not None}
            yield Seen(path, drawn, exact)
