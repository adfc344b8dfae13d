"""Which parameters a constructor or a function really has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function, none if it does not tell."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def entry(cls: type) -> Callable[..., Any] | None:
    """Return what calling a module runs: `forward`, else a ``__call__`` of its own; None if neither."""
    forward: Callable[..., Any] = getattr(cls, "forward", nn.Module.forward)
    if forward is not nn.Module.forward:
        return forward
    call: Callable[..., Any] = getattr(cls, "__call__")  # noqa: B004, B009 - the function, not whether there is one
    return None if call is nn.Module.__call__ else call


def called(module: nn.Module) -> Callable[..., Any]:
    """Return what calling a module runs, bound to it."""
    found: Callable[..., Any] = module.forward
    if getattr(found, "__func__", None) is nn.Module.forward and entry(type(module)) is not None:
        found = module.__call__
    return found


def is_variadic(parameter: inspect.Parameter) -> bool:
    """Whether the parameter is ``*args`` or ``**kwargs``."""
    return parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def variadic(function: Callable[..., Any]) -> inspect.Parameter | None:
    """Return the parameter of a constructor that takes any number of arguments, None if it has none."""
    return next((item for item in parameters_of(function)[1:] if item.kind is item.VAR_POSITIONAL), None)


def place_of_variadic(parameters: list[inspect.Parameter]) -> int | None:
    """Return the place from which on one parameter takes all arguments, None if none does."""
    return next((at for at, item in enumerate(parameters) if item.kind is item.VAR_POSITIONAL), None)


def is_required(parameter: inspect.Parameter) -> bool:
    """Whether a call must give the parameter."""
    return parameter.default is parameter.empty and not is_variadic(parameter)


def constructors(cls: type) -> list[tuple[type, Callable[..., Any]]]:
    """Return the constructors that `cls` and its bases define themselves, nearest first.

    What is made of a tuple or another value has its parameters in ``__new__``.
    """
    return [
        (owner, function)
        for owner in cls.__mro__
        if owner not in (object, nn.Module)
        for function in [_own_constructor(owner)]
        if function is not None
    ]


def _own_constructor(owner: type) -> Callable[..., Any] | None:
    """Return the constructor that a class defines itself."""
    found = vars(owner).get("__init__")
    made = getattr(vars(owner).get("__new__"), "__func__", None)
    is_value = inspect.isfunction(made) and not issubclass(owner, nn.Module)
    return made if found is None and is_value else found


def constructor(cls: type) -> Callable[..., Any]:
    """Return the constructor that building the class runs first."""
    found = constructors(cls)
    return found[0][1] if found else nn.Module.__init__


def constructor_parameters(cls: type) -> list[inspect.Parameter]:
    """Return the parameters of a class's constructor; those that ``**kwargs`` hands on to a base included."""
    found: dict[str, inspect.Parameter] = {}
    for _, function in constructors(cls):
        own = parameters_of(function)[1:]
        named = [item for item in own if not is_variadic(item)]
        for item in named:
            by_name = item.replace(kind=item.KEYWORD_ONLY)
            found.setdefault(item.name, item if function is constructor(cls) else by_name)
        if not any(item.kind is item.VAR_KEYWORD for item in own) and (named or not own):
            break
    return list(found.values())


def home(cls: type, name: str) -> Callable[..., Any]:
    """Return the constructor, of a class or its bases, that names a parameter."""
    found = (
        function
        for _, function in constructors(cls)
        if any(item.name == name for item in parameters_of(function))
    )
    return next(found, constructor(cls))


def owner_of(function: Callable[..., Any]) -> type | None:
    """Return the class that a plain function was defined in, if its module holds it by that name."""
    plain = inspect.unwrap(function)
    parts = getattr(plain, "__qualname__", "").split(".")[:-1]
    found: Any = getattr(plain, "__globals__", {}).get(parts[0]) if parts else None
    for part in parts[1:]:
        found = getattr(found, part, None)
    return found if inspect.isclass(found) else None


_MOST_SUBCLASSES = 200


def subclasses(cls: type) -> list[type]:
    """Return the loaded subclasses of a class that can be built, those that need least first."""
    found: dict[type, None] = {}
    waiting: list[type] = type.__subclasses__(cls)
    while waiting and len(found) < _MOST_SUBCLASSES:
        below = waiting.pop(0)
        found[below] = None
        waiting.extend(type.__subclasses__(below))
    usable = (item for item in found if not inspect.isabstract(item))
    return sorted(usable, key=lambda item: sum(map(is_required, constructor_parameters(item))))
