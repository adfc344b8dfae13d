"""Classes with nothing to run, whoever builds them: what is missing, only subclasses define."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from . import signatures, source
from .probing import HarnessError

if TYPE_CHECKING:
    from .probing import Failure
    from .source import Sources


_MEASURES = re.compile("log_prob|(compute_)?loss|(training_)?step|score|encode|predict")
_OF_EVERY_MODULE = frozenset(dir(nn.Module))


class AbstractError(HarnessError):
    """There is nothing in the class to run, whoever builds it."""


def refuse_declared(cls: type, sources: Sources) -> None:
    """Raise if a class says itself that it cannot be used."""
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise AbstractError(f"{cls.__qualname__} is abstract: it lacks {missing}")
    forward = signatures.entry(cls) if issubclass(cls, nn.Module) else getattr(cls, "forward", None)
    if forward is None and issubclass(cls, nn.Module):
        raise AbstractError(f"{cls.__qualname__} has no forward")
    if getattr(forward, "__isabstractmethod__", False):
        raise AbstractError(f"{cls.__qualname__} is abstract: it declares forward so")
    node = sources.function(forward) if inspect.isfunction(forward) else None
    if node is not None and source.is_empty(node):
        raise AbstractError(f"{cls.__qualname__} is abstract: the body of its forward is empty")


def instead_of_forward(cls: type, sources: Sources) -> Iterator[str]:
    """Yield the methods to call where `forward` does nothing but refuse: ``log_prob`` of a distribution.

    None where subclasses have a `forward` of their own: then it is only theirs to write.
    """
    forward = signatures.entry(cls) if issubclass(cls, nn.Module) else None
    node = sources.function(forward) if inspect.isfunction(forward) else None
    if node is None or not source.is_stub(node) or any("forward" in vars(sub) for sub in _subclasses(cls)):
        return
    found: dict[str, None] = {}
    for base in cls.__mro__[: cls.__mro__.index(nn.Module)]:
        for name, value in vars(base).items():
            needs = signatures.parameters_of(value)[1:] if inspect.isfunction(value) else []
            if (
                name.startswith("_")
                or name in _OF_EVERY_MODULE
                or not any(map(signatures.is_required, needs))
            ):
                continue
            body = sources.function(value)
            if body is not None and not source.is_stub(body) and not source.is_empty(body):
                found[name] = None
    yield from sorted(found, key=lambda name: (not _MEASURES.fullmatch(name), not _MEASURES.search(name)))


def refuse_unfinished(
    cls: type, failure: Failure, sources: Sources, module: Any = None, plain: bool = True
) -> None:
    """Raise if a failure shows that subclasses have to define something; `module` is what was called.

    `plain`: with nothing but what has to be given. An option may lead to what the class does not support.
    """
    name, error = cls.__qualname__, failure.error
    if f'Module [{cls.__name__}] is missing the required "forward"' in failure.message:
        raise AbstractError(f"{name} is abstract: it has no forward") from error
    stub = _stub(cls, failure, sources, module)
    if stub is not None and (plain or any(stub in vars(sub) for sub in _subclasses(cls))):
        raise AbstractError(f"{name} is abstract: {stub} only raises") from error
    match = re.fullmatch(rf".*'{cls.__name__}' object has no attribute '(\w+)'.*", failure.text, re.DOTALL)
    if match and isinstance(error, AttributeError) and not _mentions(cls, match[1], sources):
        owner = next((sub for sub in _subclasses(cls) if _mentions(sub, match[1], sources)), None)
        if owner is not None:
            message = (
                f"{name} is abstract: it reads {match[1]}, which {owner.__qualname__} has and it has not"
            )
            raise AbstractError(message) from error


def _stub(cls: type, failure: Failure, sources: Sources, module: Any) -> str | None:
    """Return the name of the class's own method that failed because it does nothing but raise."""
    frame = next(iter(reversed(failure.own_frames)), None)
    function = sources.enclosing(frame.filename, frame.line) if frame is not None else None
    if frame is None or function is None or not source.is_stub(function):
        return None
    is_entry = function.name in ("forward", "__call__")
    if not is_entry and not isinstance(failure.error, NotImplementedError):
        return None  # it refuses something
    if module is not None and frame.scope.get("self") is module:
        return function.name
    member = inspect.getattr_static(cls, frame.function, None)
    member = getattr(member, "__func__", getattr(member, "fget", member))
    code = getattr(member, "__code__", None)
    is_own = code is not None and code.co_filename == frame.filename and code.co_firstlineno <= frame.line
    is_self = type(frame.scope.get("self", None)) is cls or "self" not in frame.scope
    return function.name if is_own and is_self and isinstance(failure.error, NotImplementedError) else None


def _mentions(cls: type, attribute: str, sources: Sources) -> bool:
    """Whether a class or a base of it defines an attribute, sets it, or has its name in a string."""
    if hasattr(cls, attribute) or any(
        attribute in vars(base).get("__annotations__", {}) for base in cls.__mro__
    ):
        return True
    return any(_sets(node, attribute) for node in _methods(cls, sources))


def _methods(cls: type, sources: Sources) -> Iterator[ast.AST]:
    for base in cls.__mro__:
        own = (value for value in vars(base).values() if inspect.isfunction(value))
        if base not in (object, nn.Module):
            yield from (node for node in map(sources.function, own) if node is not None)


def _sets(node: ast.AST, attribute: str) -> bool:
    return any(
        (isinstance(item, ast.Attribute) and item.attr == attribute and not isinstance(item.ctx, ast.Load))
        or source.constant(item) == attribute
        for item in ast.walk(node)
    )


def _subclasses(cls: type) -> Iterator[type]:
    found: list[type] = type.__subclasses__(cls)
    for sub in found:
        yield sub
        yield from _subclasses(sub)
