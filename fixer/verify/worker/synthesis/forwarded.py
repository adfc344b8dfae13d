"""What a constructor takes through ``**kwargs`` only to hand it on to another class or function."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from . import signatures, source

if TYPE_CHECKING:
    from .source import Sources

_MAX_DEPTH = 3


class Taken(NamedTuple):
    """A parameter, and the function whose body says what it is for."""

    parameter: inspect.Parameter
    function: Callable[..., Any]


def parameters(cls: type, sources: Sources, depth: int = 0) -> list[Taken]:
    """Return what the callees take that the constructors of a class give their ``**kwargs`` to."""
    found: dict[str, Taken] = {}
    for owner, function in signatures.constructors(cls) if depth < _MAX_DEPTH else ():
        scope = {**vars(builtins), **getattr(function, "__globals__", {}), "self": owner}
        for callee, call in _receivers(function, sources, scope):
            own = _taken(callee)[_positional(call, callee) :]
            inner = parameters(callee, sources, depth + 1) if inspect.isclass(callee) else ()
            given = {keyword.arg for keyword in call.keywords}  # the call gives these itself
            for item, home in (*own, *inner):
                if item.name not in given and not signatures.is_variadic(item):
                    found.setdefault(item.name, Taken(item.replace(kind=item.KEYWORD_ONLY), home))
    return list(found.values())


def _receivers(
    function: Callable[..., Any], sources: Sources, scope: dict[str, Any]
) -> Iterator[tuple[Any, ast.Call]]:
    """Yield each call of a body that gets ``**kwargs``, with what it calls; torch's own layers say enough."""
    node = sources.function(function)
    if node is None or node.args.kwarg is None:
        return
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and any(
            keyword.arg is None and source.dotted(keyword.value) == node.args.kwarg.arg
            for keyword in call.keywords
        ):
            try:
                callee = source.evaluate(_called(call), scope)
            except Exception:  # a local name, or ``super().__init__``, whose class is looked at anyway
                continue
            if callable(callee) and not (getattr(callee, "__module__", None) or "torch").startswith("torch"):
                yield callee, call


def _is_partial(call: ast.Call) -> bool:
    return (source.dotted(call.func) or "").rsplit(".", 1)[-1] == "partial" and bool(call.args)


def _called(call: ast.Call) -> ast.expr:
    return call.args[0] if _is_partial(call) else call.func


def _positional(call: ast.Call, callee: Any) -> int:
    """Return how many parameters after ``self`` a call gives by position."""
    given = call.args[1:] if _is_partial(call) else call.args
    first = next(iter(signatures.parameters_of(callee)), None)
    is_unbound = inspect.isfunction(callee) and first is not None and first.name == "self"
    return len(given) - (is_unbound and bool(given) and source.dotted(given[0]) == "self")


def _taken(callee: Any) -> list[Taken]:
    if inspect.isclass(callee):
        return [
            Taken(item, signatures.home(callee, item.name))
            for item in signatures.constructor_parameters(callee)
        ]
    found = signatures.parameters_of(callee)
    return [Taken(item, callee) for item in (found[1:] if found and found[0].name == "self" else found)]
