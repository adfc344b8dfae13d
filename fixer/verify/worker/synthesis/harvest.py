"""Reads how the file itself uses the class: literal arguments of calls, and shapes of random tensors."""

from __future__ import annotations

import ast
import doctest
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import source, specs

if TYPE_CHECKING:
    from .source import Sources
    from .specs import Spec, State

_MAX_CALLS = 6


def constructions(cls: type, parameters: list[inspect.Parameter], sources: Sources) -> Iterator[State]:
    """Yield the literal arguments with which the class's file, or its docstring, builds the class."""
    found = 0
    for node in _calls(cls, sources):
        if (source.dotted(node.func) or "").rsplit(".", 1)[-1] == cls.__name__ and found < _MAX_CALLS:
            state = _bound(node, parameters)
            if state:
                found += 1
                yield state


def shapes(cls: type, sources: Sources) -> Iterator[list[int]]:
    """Yield the shapes of the random tensors that the file, or the docstring, makes."""
    for node in _calls(cls, sources):
        if (source.dotted(node.func) or "").rsplit(".", 1)[-1] in (
            "randn",
            "rand",
            "zeros",
            "ones",
            "Tensor",
        ):
            sizes = [_literal(argument) for argument in node.args]
            if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
                sizes = list(sizes[0])
            if sizes and all(type(size) is int and 0 < size <= 1024 for size in sizes) and len(sizes) <= 5:
                yield [min(sizes[0], 2), *sizes[1:]] if len(sizes) > 1 else sizes


def _calls(cls: type, sources: Sources) -> Iterator[ast.Call]:
    for tree in _trees(cls, sources):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _trees(cls: type, sources: Sources) -> Iterator[ast.AST]:
    for text in (cls.__doc__, getattr(vars(cls).get("forward"), "__doc__", None)):
        for example in _examples(text or ""):
            tree = source.parse(example)
            if tree is not None:
                yield tree
    tree = sources.module_of(cls)
    if tree is not None:
        # Examples stand outside of the class, mostly at the end of the file.
        yield from (
            item
            for item in reversed(tree.body)
            if not (isinstance(item, ast.ClassDef) and item.name == cls.__name__)
        )


def _examples(text: str) -> list[str]:
    try:
        return [example.source for example in doctest.DocTestParser().get_examples(text)]
    except ValueError:  # the text only looks like a session
        return []


def _bound(node: ast.Call, parameters: list[inspect.Parameter]) -> State | None:
    names = [parameter.name for parameter in parameters]
    given: dict[str, ast.expr] = dict(zip(names, node.args))
    given.update(
        {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg in names and keyword.arg}
    )
    state: State = {}
    for name, value in given.items():
        spec = _spec(value)
        if spec is not None:
            state[name] = spec
        elif next(item for item in parameters if item.name == name).default is inspect.Parameter.empty:
            return None
    return state


def _spec(node: ast.expr) -> Spec | None:
    value = _literal(node)
    return specs.spec_of(value) if value is not None or source.constant(node) is not None else None


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
