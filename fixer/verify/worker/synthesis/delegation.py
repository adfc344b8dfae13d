"""Which method a `forward(*args, **kwargs)` hands its arguments on to."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from . import signatures, source

if TYPE_CHECKING:
    from .source import Sources

_MAX_STEPS = 4


def delegate(function: Callable[..., Any], sources: Sources) -> Callable[..., Any]:
    """Return the method that names the arguments which a bound method takes; itself if it names some."""
    for _ in range(_MAX_STEPS):
        parameters = signatures.parameters_of(function)
        if not parameters or not all(map(signatures.is_variadic, parameters)):
            break
        function = next(_called_with_all(function, sources), function)
    return function


def _called_with_all(function: Callable[..., Any], sources: Sources) -> Iterator[Callable[..., Any]]:
    """Yield what a method calls with its own ``*args``."""
    node = sources.function(function)
    rest = node.args.vararg.arg if node is not None and node.args.vararg is not None else None
    for call in ast.walk(node) if node is not None and rest is not None else ():
        if not isinstance(call, ast.Call):
            continue
        if any(isinstance(item, ast.Starred) and source.dotted(item.value) == rest for item in call.args):
            callee = _bound(call.func, function)
            if callee is not None:
                yield callee


def _bound(node: ast.expr, function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return the method or module that an expression means in a bound method."""
    owner = getattr(function, "__self__", None)
    try:
        if isinstance(node, ast.Attribute) and _is_super(node.value):
            found: Any = getattr(super(signatures.owner_of(function) or type(owner), owner), node.attr)
        else:
            found = source.evaluate(node, {**getattr(function, "__globals__", {}), "self": owner})
    except Exception:  # a local name, or what is not there yet
        return None
    return found.forward if isinstance(found, nn.Module) else found if callable(found) else None


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and source.dotted(node.func) == "super"
