"""Runs the examples of a docstring line by line, and sees what their calls are given."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .. import clock
from . import probing, specs
from .expressions import Scope

if TYPE_CHECKING:
    from .specs import Spec

_SECONDS = 0.3
"""How long an example may run: what it does with the model does not matter here."""
_MOST_STATEMENTS = 60


class Lived(Scope):
    """The names of an example before one of its statements, with the values that they had when it ran."""

    def __init__(self, tree: ast.Module, live: dict[str, Any], values: dict[str, Any]) -> None:
        super().__init__(tree, live=live)
        self.values = values

    def read(self, node: ast.AST, depth: int = 0) -> Spec | None:
        """Describe the value that an expression had; as it is written if that cannot be told."""
        seen = self._seen(node)
        return super().read(node, depth) if seen is None else seen

    def _seen(self, node: ast.AST) -> Spec | None:
        if not isinstance(node, ast.expr) or self._makes_a_module(node):
            return None
        code = _compiled(ast.Expression(node), "eval")
        made = probing.attempt(
            lambda: _described(eval(code, dict(self.values))) if code is not None else None,
            clock.now() + _SECONDS,
            "",
        )
        return None if made.failure is not None else made.value

    def _makes_a_module(self, node: ast.AST) -> bool:
        """Whether the expression builds a model: its arguments say how, and it may be large."""
        classes = (self.value(item.func) for item in ast.walk(node) if isinstance(item, ast.Call))
        return any(inspect.isclass(cls) and issubclass(cls, nn.Module) for cls in classes)


def lived(tree: ast.Module, live: dict[str, Any]) -> Iterator[tuple[ast.stmt, Lived]]:
    """Yield each statement of an example with its names as they were before it ran.

    Nothing is imported for it: what is loaded is there under the names that the example gives it.
    """
    values = dict(live)
    until = clock.now() + _SECONDS
    default = torch.get_default_dtype()
    try:
        for statement in list(_flat(tree.body))[:_MOST_STATEMENTS]:
            yield statement, Lived(tree, live, dict(values))
            code = _compiled(ast.Module([statement], []), "exec")
            if code is None or isinstance(statement, (ast.Import, ast.ImportFrom)):
                continue
            ran = probing.attempt(lambda code=code: exec(code, values), until, "")  # type: ignore[misc]
            if ran.failure is not None and ran.failure.is_out_of_time:
                break
    finally:
        torch.set_default_dtype(default)


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a block, those below ``with torch.no_grad():`` among them."""
    for statement in body:
        if isinstance(statement, ast.With):
            yield from _flat(statement.body)
        else:
            yield statement


def _compiled(tree: ast.Module | ast.Expression, mode: str) -> Any:
    try:
        return compile(tree, "<example>", mode, dont_inherit=True)
    except (SyntaxError, ValueError, TypeError):
        return None


def _described(value: Any) -> Spec | None:
    """Describe a value; a tensor without negative numbers by its range, too: it may hold codes."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not value.numel():
        return specs.spec_of(value)
    low, high = float(value.min()), float(value.max())
    bounds = (low, high) if 0 <= low < high else (None, None)
    return specs.tensor(list(value.shape), str(value.dtype).split(".")[1], *bounds)
