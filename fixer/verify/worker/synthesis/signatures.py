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


def is_variadic(parameter: inspect.Parameter) -> bool:
    """Whether the parameter is ``*args`` or ``**kwargs``."""
    return parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def is_required(parameter: inspect.Parameter) -> bool:
    """Whether a call must give the parameter."""
    return parameter.default is parameter.empty and not is_variadic(parameter)


def constructors(cls: type) -> list[tuple[type, Callable[..., Any]]]:
    """Return the constructors that `cls` and its bases define themselves, nearest first."""
    return [
        (owner, vars(owner)["__init__"])
        for owner in cls.__mro__
        if "__init__" in vars(owner) and owner not in (object, nn.Module)
    ]


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
