"""Other constructor arguments for a class whose constraint is off as it was built."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from . import overlay, synthesis
from .bench import Bench
from .checkpoint import find_binding
from .constraint import Constrained, Constraint, author_constraint
from .frames import Message
from .hints import definition

_TRIES = 16


def binding_variant(bench: Bench, path: str, projection: Message) -> Bench:
    """The same bench, with arguments under which the constraint has something to do, if they can be found."""
    author, constrained = author_constraint(projection), Constrained(projection)
    if bench.recipe.construct is None or _binds(bench, constrained, author):
        return bench
    names = _deciding(path, bench.cls.__qualname__, author.attributes)
    for _, recipe in zip(range(_TRIES), _variants(bench, names)):
        variant = replace(bench, recipe=recipe)
        try:
            if _binds(variant, constrained, author):
                variant.call(variant.build(), 0)
                return variant
        except Exception:  # the class does not take this value
            continue
    return bench


def _binds(bench: Bench, constrained: Constrained, author: Constraint) -> bool:
    return bool(find_binding(bench.build(), constrained, author, bench.seed + 23).values)


def _deciding(path: str, name: str, attributes: set[str]) -> list[str]:
    """The constructor's arguments that the attributes are made of."""
    tree = definition(ast.parse(overlay.source_text(path)), f"{name}.__init__")
    found = set(attributes)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            stored = {
                part.attr
                for target in targets
                for part in ast.walk(target)
                if isinstance(part, ast.Attribute)
            }
            if stored & attributes:
                found |= {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
    return sorted(found)


def _variants(bench: Bench, names: list[str]) -> Iterator[Any]:
    construct = bench.recipe.construct
    given = {**dict(construct.args), **construct.kwargs}
    for parameter in inspect.signature(bench.cls).parameters.values():
        if parameter.name not in names or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        spec = given.get(parameter.name, {"kind": "literal", "value": parameter.default})
        if spec["kind"] != "literal":
            continue
        for value in _others(spec["value"]):
            other = {"kind": "literal", "value": value}
            args = [(name, other if name == parameter.name else old) for name, old in construct.args]
            kwargs = dict(construct.kwargs)
            if parameter.name not in dict(construct.args):
                kwargs[parameter.name] = other
            yield replace(bench.recipe, construct=synthesis.Arguments(args, kwargs))


def _others(value: Any) -> list[Any]:
    """Values to try in place of one under which the constraint does nothing."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [0.5, 1, value / 10]
    return [0.5, 1, True, [-0.5, 0.5]] if value is None else []
