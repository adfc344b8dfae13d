"""Puts the steps together: build the module, find inputs, write the recipe down."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from .. import clock
from . import abstract, owners, probing, recipe, signatures, source, specs
from .arguments import Context
from .case import Probe
from .input_search import InputSearch, settled
from .module_search import ModuleSearch
from .probing import HarnessError, TooLargeError
from .recipe import Arguments, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from .specs import Spec, State

_FOR_THE_END = 0.04
"""The part of the budget in which what has begun ends, and what was found is built and called."""
_BEFORE_OWNERS = 0.65
_SECONDS_BEFORE_OWNERS = 1.5
"""When to turn to larger models that hold the class; afterwards the search for itself goes on."""
_SECONDS_FOR_OWNER = 2.0
_SECONDS_FOR_ARGUMENT = 0.4
_METHODS = 3
"""How many methods are tried instead of a `forward` that only refuses to be called."""


def synthesize(cls: type, hints: dict[str, Any], budget: float = 2.0) -> Recipe:
    """Find out how to build a module and call it, within `budget` seconds.

    Hints: `harness` (what the user configured), `source` (text of the class's module), `sources` (texts by
    path), `marked` (functions that are harnesses by their own word), `module_classes` (candidates for
    arguments that are modules), `mentioning` (a function that yields name and text of the files which call a
    name).
    Raises `HarnessError` with the last error in one sentence.
    """
    budget *= 1 - _FOR_THE_END
    deadline = clock.now() + budget
    harness = dict(hints.get("harness") or {})
    others = [other for other in hints.get("module_classes") or [] if other is not cls]
    context = Context(source.Sources(hints, cls), others)
    context.making = lambda other: _made(other, context, deadline)
    if callable(harness.get("factory")):
        return _with_factory(cls, harness, context, deadline)
    for marked in () if harness else hints.get("marked") or ():
        found = _marked(cls, marked, context, deadline)
        if found is not None:
            return found
    if harness:
        abstract.refuse_declared(cls, context.sources)
        return ModuleSearch(cls, harness, context, deadline).run()
    first = min(budget * _BEFORE_OWNERS, _SECONDS_BEFORE_OWNERS)
    own = ModuleSearch(cls, harness, context, deadline - budget + first)
    try:
        abstract.refuse_declared(cls, context.sources)
        return _otherwise(cls, context, deadline) or own.run()
    except abstract.AbstractError:
        found = _completed(cls, context, deadline, is_abstract=True)
        if found is None:
            raise
        return found
    except HarnessError:
        found = _taken_out(cls, context, deadline) or _completed(cls, context, deadline)
        return found or own.resume(deadline)


def _otherwise(cls: type, context: Context, deadline: float) -> Recipe | None:
    """Call another method where `forward` only refuses to be called; None if none can be, or need be."""
    names = list(itertools.islice(abstract.instead_of_forward(cls, context.sources), _METHODS))
    errors: list[HarnessError] = []
    for name in names:
        until = clock.now() + (deadline - clock.now()) / 2
        try:
            return ModuleSearch(cls, {}, context, until, name).run()
        except HarnessError as error:
            errors.append(error)
    if errors and all(isinstance(error, abstract.AbstractError) for error in errors):
        raise errors[0]
    return None


def _completed(cls: type, context: Context, deadline: float, is_abstract: bool = False) -> Recipe | None:
    """Use a subclass: it may define what the class itself lacks."""
    for below in owners.subclasses(cls, context):
        until = clock.now() + min((deadline - clock.now()) / 2, _SECONDS_FOR_OWNER)
        try:
            whole = ModuleSearch(below, {}, context, until).run()
        except HarnessError:
            continue
        place = {**_place(whole, below, ""), "abstract": is_abstract}
        origin = f"its subclass {below.__qualname__}"
        return replace(whole, target=cls.__qualname__, construct=None, origin=origin, owner=place)
    return None


def _place(whole: Recipe, owner: type, path: str) -> dict[str, Any]:
    """Say where a module is taken out of; the path of the whole is empty."""
    return {
        "recipe": whole.to_json(),
        "module": owner.__module__,
        "name": owner.__qualname__,
        "path": path,
    }


def _made(cls: type, context: Context, deadline: float) -> Spec | None:
    """Describe an instance of a class that is wanted as an argument, None if none could be made."""
    until = clock.now() + min((deadline - clock.now()) / 4, _SECONDS_FOR_ARGUMENT)
    try:
        found = ModuleSearch(cls, {}, context.deeper(), until).instance().construct
    except (HarnessError, TooLargeError):
        return None
    return None if found is None else specs.new(cls, found.kwargs, [spec for _, spec in found.args])


def _taken_out(cls: type, context: Context, deadline: float) -> Recipe | None:
    """Take an instance out of a larger model that can be built and called."""
    for owner in owners.candidates(cls, context):
        until = clock.now() + min((deadline - clock.now()) / 2, _SECONDS_FOR_OWNER)
        try:
            whole = ModuleSearch(owner, {}, context, until).run()
        except HarnessError:
            continue
        found = _out_of(cls, owner, whole, context, deadline)
        if found is not None:
            return found
    return None


def _out_of(cls: type, owner: type, whole: Recipe, context: Context, deadline: float) -> Recipe | None:
    """Take an instance out of one model."""
    for seen in owners.seen_inside(cls, owner, whole, deadline):
        place = _place(whole, owner, seen.path)
        origin = f"a part of {owner.__qualname__}"
        draft = Recipe(cls.__qualname__, None, Arguments(), origin=origin, owner=place)
        found = _inputs_of_part(cls, draft, [seen.inputs, seen.exact], context, deadline)
        if found is not None:
            return found
    return None


def _inputs_of_part(
    cls: type, draft: Recipe, known: list[State], context: Context, deadline: float
) -> Recipe | None:
    def fresh() -> Any:
        made = probing.attempt(lambda: recipe.build(cls, draft), deadline, "")
        if made.failure is not None:
            raise HarnessError(made.failure.summary)
        return made.value

    try:
        module = fresh()
        probe = Probe(module, signatures.called(module), context)
        return InputSearch(probe, module, fresh, draft, deadline, known).run({}).recipe
    except HarnessError:
        return None


def arguments_for(function: Callable[..., Any], hints: dict[str, Any], budget: float = 2.0) -> Recipe:
    """Find arguments with which a function or a bound method runs, within `budget` seconds.

    For a class that is no module: the recipe with which `build` makes an instance.
    """
    deadline = clock.now() + budget
    context = Context(source.Sources(hints, function), hints.get("module_classes"))
    if inspect.isclass(function):
        return ModuleSearch(function, dict(hints.get("harness") or {}), context, deadline).instance()
    name = getattr(function, "__name__", type(function).__name__)
    draft = Recipe(getattr(function, "__qualname__", name), None, Arguments(), method=name)
    probe = Probe(getattr(function, "__self__", None), function, context)
    found = InputSearch(probe, function, lambda: function, draft, deadline).run(
        dict(hints.get("harness") or {})
    )
    return settled(found, f"call {name}")


def _marked(cls: type, marked: Any, context: Context, deadline: float) -> Recipe | None:
    """What a marked function builds; None if it says nothing of the class and does not build it."""
    loaded = probing.attempt(marked.load, deadline, "")
    try:
        if loaded.failure is not None:
            raise HarnessError(
                f"the harness {marked.name} cannot be imported: {loaded.failure.summary}"
            ) from loaded.failure.error
        return _with_factory(cls, {"factory": recipe.unwrapped(loaded.value)}, context, deadline)
    except HarnessError:
        if marked.certain:
            raise
        return None


def _with_factory(cls: type, harness: dict[str, Any], context: Context, deadline: float) -> Recipe:
    """The user's factory returns the module, or a larger one that holds it, with or without inputs."""
    where = recipe.reference(harness["factory"])
    name = f"the harness {recipe.factory_name(where)} for {cls.__qualname__}"
    draft = Recipe(cls.__qualname__, None, Arguments(), origin="the user's harness", factory=where)
    made = probing.attempt(lambda: (recipe.build(cls, draft), recipe.make_inputs(draft, 0)), deadline, "")
    if made.failure is not None:
        raise HarnessError(f"{name} failed: {made.failure.summary}") from made.failure.error
    module, (args, kwargs) = made.value
    if not isinstance(module, nn.Module) or not any(isinstance(part, cls) for part in module.modules()):
        raise HarnessError(f"{name} returned {type(module).__name__}, which holds no {cls.__qualname__}")
    whole = draft if isinstance(module, cls) else replace(draft, target=type(module).__qualname__)
    if not (args or kwargs):
        probe = Probe(module, signatures.called(module), context)
        search = InputSearch(probe, module, lambda: recipe.build(cls, draft), whole, deadline)
        whole = settled(search.run(harness), f"call what {name} returned")
    if whole.target == cls.__qualname__:
        return whole
    found = _out_of(cls, type(module), whole, context, deadline)
    if found is None:
        held = type(module).__qualname__
        raise HarnessError(f"{name} returned {held}, whose run does not call {cls.__qualname__}")
    return found
