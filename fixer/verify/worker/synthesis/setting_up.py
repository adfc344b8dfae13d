"""Methods that have to be called before the first call: ``set_embedding``, ``wrap``, ``set_batch_size``."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import source

if TYPE_CHECKING:
    from .probing import Failure
    from .source import Sources

_SETTING = re.compile("^_?(set|wrap|update|init|build|make|load|register|use|fit|prepare|attach|bind|add)")


def missing(module: Any, failure: Failure, sources: Sources) -> list[str]:
    """Return the methods that set what the failing lines found unset, those first whose names say so."""
    unset = list(dict.fromkeys(_unset(module, failure, sources)))
    found = [
        (not _SETTING.search(name), unset.index(attribute), name)
        for name, function in _methods(type(module))
        for attribute in unset
        if _sets(sources.function(function), attribute)
    ]
    return list(dict.fromkeys(name for _, _, name in sorted(found)))


def _unset(module: Any, failure: Failure, sources: Sources) -> Iterator[str]:
    """Yield the attributes of a module that the failing lines read and that are None or missing."""
    for frame in reversed(failure.own_frames):
        statement = sources.statement(frame.filename, frame.line)
        guard = sources.guard(frame.filename, frame.line)
        if frame.scope.get("self") is not module or statement is None:
            continue
        guards = [guard] if isinstance(failure.error, (AssertionError, ValueError, RuntimeError)) else []
        for node in (statement, *(item for item in guards if item is not None)):
            yield from (name for name in _read(node) if _is_unset(module, name))


def _read(node: ast.AST) -> Iterator[str]:
    """Yield the attributes of ``self`` below a node."""
    for item in ast.walk(node):
        path = source.dotted(item) if isinstance(item, ast.Attribute) else None
        if path is not None and path.startswith("self.") and path.count(".") == 1:
            yield path.partition(".")[2]


def _is_unset(module: Any, name: str) -> bool:
    """Whether an attribute is None, missing, or an empty tensor that waits for its size."""
    try:
        value = getattr(module, name, None)
    except Exception:  # a property of the code under test may raise anything
        return False
    return value is None or (isinstance(value, torch.Tensor) and not value.numel())


def _methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the methods that can be called on an object from outside, nearest class first."""
    seen: set[str] = set()
    for owner in cls.__mro__:
        for name, value in vars(owner).items() if owner not in (object, nn.Module) else ():
            is_inner = name.startswith("__") or name == "forward" or name in seen
            if inspect.isfunction(value) and not is_inner:
                seen.add(name)
                yield name, value


def _sets(function: ast.AST | None, attribute: str) -> bool:
    """Whether a method gives an attribute of its object a value other than None."""
    for node in ast.walk(function) if function is not None else ():
        targets = node.targets if isinstance(node, ast.Assign) else []
        empty = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and not node.value.value
        if not empty and any(source.dotted(target) == f"self.{attribute}" for target in targets):
            return True
    return False
