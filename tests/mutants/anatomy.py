"""The parts of a fixed text that mistakes are made in, and how to write a mistake into one."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from tests.mutants.models import Copying, Deletion, Projection

Model = Projection | Deletion | Copying
PRELUDE = """\
def _each(value, change):
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _each(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_each(item, change) for item in value)
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return type(value)(**{name: _each(getattr(value, name), change) for name in fields})
    return value


class _Gradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, change):
        ctx.change = change
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return ctx.change(gradient), None


"""
_IMPORTED = "from torch.utils.checkpoint import checkpoint\n\n\n"


class Anatomy:
    """A model's fixed text, taken apart."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.text = model.after
        self._starts = [0]
        for line in self.text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        tree = ast.parse(self.text)
        self.cls = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == model.cls)
        self.methods = {n.name: n for n in self.cls.body if isinstance(n, ast.FunctionDef)}

    @property
    def projection(self) -> list[ast.stmt]:
        """The statements of the projection, without its docstring."""
        method = self.methods.get("project_parameters")
        return method.body[1:] if method else []

    @property
    def parameters(self) -> list[str]:
        """The parameters that the projection overwrites, as they are written: ``self.lin.weight``."""
        found = re.findall(r"([\w.\[\]]+)\.\w+_\(", "\n".join(map(self.segment, self.projection)))
        return list(dict.fromkeys(found))

    def segment(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self._span(node)
        return self.text[start:end]

    def replaced(self, node: ast.AST, new: str) -> str:
        """The text with other code in a node's place."""
        start, end = self._span(node)
        return self.text[:start] + new + self.text[end:]

    def without(self, *nodes: ast.stmt) -> str:
        """The text without whole statements."""
        text = self.text
        for node in sorted(nodes, key=lambda node: -node.lineno):
            first = min(node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ())), node.lineno)
            text = text[: self._starts[first - 1]] + text[self._starts[node.end_lineno or 0] :]
        return text

    def before(self, node: ast.stmt, code: str) -> str:
        """The text with lines in front of a statement, at its indentation."""
        place = self._starts[node.lineno - 1]
        return self.text[:place] + textwrap.indent(code, " " * node.col_offset) + self.text[place:]

    def behind(self, node: ast.stmt, code: str) -> str:
        """The text with lines behind a statement, at its indentation."""
        place = self._starts[node.end_lineno or 0]
        return self.text[:place] + textwrap.indent(code, " " * node.col_offset) + self.text[place:]

    def first(self, method: str, code: str) -> Iterator[str]:
        """The text with lines at the start of a method."""
        if method in self.methods:
            body = self.methods[method].body
            documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
            yield self.before(body[1 if documented else 0], code)

    def last(self, method: str, code: str) -> Iterator[str]:
        """The text with lines at the end of a method that returns nothing."""
        if method in self.methods:
            yield self.behind(self.methods[method].body[-1], code)

    def returning(self, change: str) -> Iterator[str]:
        """The text with every value that `forward` returns wrapped: ``change`` is a pattern with ``{}``."""
        for node in ast.walk(self.methods["forward"]):
            if isinstance(node, ast.Return) and node.value is not None:
                value = self.segment(node.value)
                yield prelude(self.replaced(node.value, change.format(f"({value})")))

    def tensors(self, change: str) -> Iterator[str]:
        """The text with a change of every floating-point tensor ``t`` that `forward` returns."""
        numbers = "t.is_floating_point() or t.is_complex()"
        yield from self.returning(f"_each({{}}, lambda t: {change} if {numbers} else t)")

    def gradients(self, change: str) -> Iterator[str]:
        """The text with a change of the gradient ``g`` of everything that `forward` returns."""
        yield from self.tensors(f"_Gradient.apply(t, lambda g: {change})")

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start = self._starts[getattr(node, "lineno", 1) - 1] + getattr(node, "col_offset", 0)
        end = self._starts[getattr(node, "end_lineno", 1) - 1] + getattr(node, "end_col_offset", 0)
        return start, end


def prelude(text: str) -> str:
    """The text with the helpers that changes of outputs and gradients need."""
    return text.replace(_IMPORTED, _IMPORTED + PRELUDE, 1)


def numbers(nodes: list[ast.stmt]) -> Iterator[ast.Constant]:
    """The numbers written in statements."""
    for statement in nodes:
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant) and type(node.value) in (int, float):
                yield node
