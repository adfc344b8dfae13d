"""Small changes of Python code, one at a time: the mistakes of somebody who mistypes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.Pow: "*",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.And: "or",
    ast.Or: "and",
}
_NAMES = {
    "min": "max",
    "max": "min",
    "clamp_min": "clamp_max",
    "clamp_min_": "clamp_max_",
    "clamp_": "clamp",
    "mul_": "div_",
    "add_": "sub_",
    "sum": "mean",
    "mean": "sum",
    "weight": "bias",
    "bias": "weight",
    "zeros": "ones",
    "ones": "zeros",
    "register_step_post_hook": "register_step_pre_hook",
}


@dataclass(frozen=True)
class Change:
    """Bytes `start` to `end` of a text replaced by others."""

    name: str
    start: int
    end: int
    text: str
    shown: str


def changes(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[Change]:
    """Every change within the lines of the byte spans, if the result is still Python.

    Where a span is empty because something was deleted there, within the whole function around it.
    """
    finder = _Finder(text)
    seen: set[tuple[int, int, str]] = set()
    for span in spans:
        own = finder.lines(span) if span[0] < span[1] else (0, len(finder.data))
        for name, start, end, new in chain.from_iterable(map(finder.inside, finder.functions([span]))):
            if (start, end, new) in seen or not own[0] <= start <= end <= own[1]:
                continue
            seen.add((start, end, new))
            data = finder.data
            result = (data[:start] + new.encode() + data[end:]).decode()
            if _parses(result):
                yield Change(name, start, end, new, _shown(data, start, end, new))


class _Finder:
    def __init__(self, text: str) -> None:
        self.data = text.encode()
        self._starts = [0]
        for line in self.data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._tree = ast.parse(text)
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}

    def functions(self, spans: Sequence[tuple[int, int]]) -> Iterator[ast.FunctionDef]:
        """The functions that a span touches; `forward` of the class where it touches none."""
        for start, end in spans:
            touched = [n for n in self._of(ast.FunctionDef) if self._meets(n, start, end)]
            classes = [n for n in self._of(ast.ClassDef) if self._meets(n, start, end)] if not touched else []
            yield from (n for n in touched if isinstance(n, ast.FunctionDef))
            for owner in classes:
                yield from (
                    n for n in ast.walk(owner) if isinstance(n, ast.FunctionDef) and n.name == "forward"
                )

    def lines(self, span: tuple[int, int]) -> tuple[int, int]:
        """The span of the whole lines that a span has text in."""
        text = self.data[span[0] : span[1]]
        first = span[0] + len(text) - len(text.lstrip())
        last = span[0] + len(text.rstrip())
        ends = [*self._starts[1:], len(self.data)]
        return max(start for start in self._starts if start <= first), min(e for e in ends if e >= last)

    def inside(self, function: ast.FunctionDef) -> Iterator[tuple[str, int, int, str]]:
        """Every change of one function: what it is called, the bytes, and what takes their place."""
        for decorator in function.decorator_list:
            start, end = self._lines(decorator)
            yield "decorator dropped", start, end, ""
        for statement in function.body:
            for node in ast.walk(statement):
                yield from self._of_node(node)

    def _of_node(self, node: ast.AST) -> Iterator[tuple[str, int, int, str]]:
        if isinstance(node, ast.stmt):
            yield from self._of_statement(node)
        if isinstance(node, ast.Constant):
            yield from self._of_constant(node)
        elif isinstance(node, ast.BinOp):
            yield from self._between("operator changed", node.left, node.right, node.op)
        elif isinstance(node, ast.Compare):
            yield from self._between("comparison changed", node.left, node.comparators[0], node.ops[0])
        elif isinstance(node, ast.BoolOp):
            yield from self._between("and and or exchanged", node.values[0], node.values[1], node.op)
        elif isinstance(node, ast.UnaryOp):
            start, end = self._span(node)
            yield "sign or not dropped", start, end, self._text(node.operand)
        elif isinstance(node, (ast.If, ast.IfExp)):
            start, end = self._span(node.test)
            yield "condition negated", start, end, f"not ({self._text(node.test)})"
        elif isinstance(node, ast.Attribute) and node.attr in _NAMES:
            _, end = self._span(node)
            yield "name changed", end - len(node.attr), end, _NAMES[node.attr]
        elif isinstance(node, ast.Call):
            yield from self._of_call(node)

    def _of_statement(self, node: ast.stmt) -> Iterator[tuple[str, int, int, str]]:
        if isinstance(node, ast.Return) and node.value is not None:
            start, end = self._span(node.value)
            yield "returned value negated", start, end, f"-({self._text(node.value)})"
            yield "returned value detached", start, end, f"({self._text(node.value)}).detach()"
        elif not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Pass)) and not _is_docstring(node):
            start, end = self._span(node)
            yield "statement dropped", start, end, "pass"

    def _of_constant(self, node: ast.Constant) -> Iterator[tuple[str, int, int, str]]:
        start, end = self._span(node)
        if isinstance(node.value, bool):
            yield "truth exchanged", start, end, repr(not node.value)
        elif isinstance(node.value, int):
            yield "one more", start, end, repr(node.value + 1)
            yield "one less", start, end, repr(node.value - 1)
        elif isinstance(node.value, float):
            yield "number changed", start, end, repr(node.value * 1.1 if node.value else 0.05)

    def _of_call(self, node: ast.Call) -> Iterator[tuple[str, int, int, str]]:
        start, end = self._span(node)
        if self._is_a_value(node):
            if not self._is_untracked(node):
                yield "call detached", start, end, f"({self._text(node)}).detach()"
            if not self._text(node.func).endswith("zeros"):  # minus zero is equal to zero
                yield "call negated", start, end, f"(-({self._text(node)}))"
        if len(node.args) >= 2:
            first, second = node.args[:2]
            low, high = self._span(first)[0], self._span(second)[1]
            yield "arguments exchanged", low, high, f"{self._text(second)}, {self._text(first)}"
        for keyword in node.keywords:
            if keyword.arg is not None:
                low, high = self._span(keyword)
                start = self.data.rfind(b"," if low > self._span(node.func)[1] + 1 else b"(", 0, low) + 1
                before = self.data[start - 1 : start] == b","
                yield "keyword argument dropped", start - 1 if before else start, high, ""
        if isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
            low, high = self._span(node.args[-1])
            yield "loop one shorter", low, high, f"{self._text(node.args[-1])} - 1"

    def _is_a_value(self, node: ast.Call) -> bool:
        """Whether somebody computes with what a call returns, so that its sign and its graph matter."""
        parent = self._parents.get(node)
        if isinstance(parent, (ast.Expr, ast.If, ast.IfExp, ast.For, ast.withitem)):
            return False
        name = self._text(node.func)
        return name not in ("super", "isinstance", "range", "enumerate", "len") and "Parameter" not in name

    def _is_untracked(self, node: ast.AST) -> bool:
        """Whether autograd takes no notice of a value anyway: under `no_grad`, or written through `.data`."""
        while node in self._parents:
            node = self._parents[node]
            if isinstance(node, ast.Call) and ".data." in self._text(node.func):
                return True
            if isinstance(node, ast.FunctionDef):
                return any("no_grad" in self._text(decorator) for decorator in node.decorator_list)
        return False

    def _between(
        self, name: str, left: ast.AST, right: ast.AST, operator: ast.AST
    ) -> Iterator[tuple[str, int, int, str]]:
        new = _OPERATORS.get(type(operator))
        if new is not None:
            start, end = self._span(left)[1], self._span(right)[0]
            between = self.data[start:end].decode()
            closing, opening = between.count(")"), between.count("(")
            yield name, start, end, f"{')' * closing} {new} {'(' * opening}"

    def _of(self, kind: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(self._tree) if isinstance(node, kind))

    def _meets(self, node: ast.AST, start: int, end: int) -> bool:
        first, last = self._span(node)
        return first < max(end, start + 1) and start < last

    def _lines(self, node: ast.expr) -> tuple[int, int]:
        return self._starts[node.lineno - 1], self._starts[node.end_lineno or 0]

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start = self._starts[getattr(node, "lineno", 1) - 1] + getattr(node, "col_offset", 0)
        end = self._starts[getattr(node, "end_lineno", 1) - 1] + getattr(node, "end_col_offset", 0)
        return start, end

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self.data[start:end].decode()


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _parses(text: str) -> bool:
    try:
        compile(text, "mutant.py", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _shown(data: bytes, start: int, end: int, new: str) -> str:
    first, last = data.rfind(b"\n", 0, start) + 1, data.find(b"\n", end)
    last = len(data) if last < 0 else last
    old = data[first:last].decode()
    now = (data[first:start] + new.encode() + data[end:last]).decode()
    return f"{' '.join(old.split())} -> {' '.join(now.split())}"
