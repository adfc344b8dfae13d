"""Reads what an expression of a source file stands for, as a spec, without running anything."""

from __future__ import annotations

import ast
import builtins
import copy
import functools
import inspect
import math
import operator
import os
import sys
from typing import TYPE_CHECKING, Any

import torch

from . import names, source, specs

if TYPE_CHECKING:
    from collections.abc import Callable

    from .source import FunctionNode
    from .specs import Spec

_MAX_DEPTH = 12
_LARGEST_POWER = 64

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_FLOATING_FACTORIES = {"randn", "rand", "zeros", "ones", "empty", "Tensor", "FloatTensor", "normal"}
_SAME_VALUE = {"to", "cuda", "cpu", "requires_grad_", "contiguous", "detach", "clone", "double", "eval"}


class Scope:
    """The names that an expression may use: those of the functions around it, then those of its file."""

    def __init__(
        self,
        tree: ast.Module,
        functions: tuple[FunctionNode, ...] = (),
        owner: ast.ClassDef | None = None,
        live: dict[str, Any] | None = None,
    ) -> None:
        self.tree = tree
        self.functions = functions
        self.owner = owner
        self.live = live or {}

    def inside(self, node: FunctionNode | ast.ClassDef) -> Scope:
        """Return the scope of a function's or a class's body."""
        if isinstance(node, ast.ClassDef):
            return self.within(self.functions, node)
        return self.within((node, *self.functions), self.owner)

    def within(self, functions: tuple[FunctionNode, ...], owner: ast.ClassDef | None) -> Scope:
        """Return the same names, seen from other functions."""
        inner = copy.copy(self)
        inner.functions, inner.owner = functions, owner
        return inner

    def value(self, node: ast.AST) -> Any:
        """Return the class, function or constant that a chain of names means; None if it is not loaded."""
        try:
            return source.evaluate(node, {**vars(builtins), **self.live})
        except Exception:  # a local name, or an attribute that is not there
            return None

    def assigned(self, node: ast.AST) -> ast.expr | None:
        """Return the expression that a name was last assigned before it is used, None if there is none."""
        path, line = source.dotted(node), getattr(node, "lineno", math.inf)
        owners = [
            (item, line if item in self.functions else math.inf) for item in self._functions_for(path or "")
        ]
        found = (_assigned(owner, path or "", at) for owner, at in [*owners, (self.tree, math.inf)])
        return next((value for value in found if value is not None), None)

    def read(self, node: ast.AST, depth: int = 0) -> Spec | None:
        """Describe the value of an expression; None if it cannot be told."""
        if depth > _MAX_DEPTH:
            return None
        path = source.dotted(node)
        if path is not None:
            return self._named(path, node, depth)
        reader: Any = getattr(self, "_" + type(node).__name__.lower(), None)
        found: Spec | None = None if reader is None else reader(node, depth + 1)
        return found

    def _named(self, path: str, node: ast.AST, depth: int) -> Spec | None:
        line = getattr(node, "lineno", math.inf)
        for function in self._functions_for(path):
            value = _assigned(function, path, line if function in self.functions else math.inf)
            if value is not None:
                return self.within((function, *self.functions), self.owner).read(value, depth + 1)
            if path in arguments(function):
                default = arguments(function)[path]
                found = self.read(default, depth + 1) if default is not None else None
                if found is not None and not specs.is_none(found):
                    return found
                return specs.literal(names.integer(path)) if names.is_size(path) else None
        value = self.value(node)
        if value is not None:
            return specs.spec_of(value)
        top = _assigned(self.tree, path, math.inf)
        return self.within((), None).read(top, depth + 1) if top is not None else None

    def _functions_for(self, path: str) -> list[FunctionNode]:
        """Return the functions that may bind a name: for an attribute of ``self``, all of the class."""
        if path.startswith("self.") and self.owner is not None:
            own = [
                item for item in self.owner.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
            return [*self.functions, *own]
        return list(self.functions)

    def _constant(self, node: ast.Constant, _depth: int) -> Spec | None:
        return specs.spec_of(node.value)

    def _list(self, node: Any, depth: int) -> Spec | None:
        items = [self.read(item, depth) for item in node.elts]
        known = [item for item in items if item is not None]
        kind = {ast.List: "list", ast.Tuple: "tuple", ast.Set: "set"}[type(node)]
        return specs.sequence(kind, known) if len(known) == len(items) else None

    _tuple = _set = _list

    def _dict(self, node: ast.Dict, depth: int) -> Spec | None:
        items: dict[str, Spec] = {}
        for key, value in zip(node.keys, node.values):
            name, read = source.constant(key), self.read(value, depth)
            if not isinstance(name, str) or read is None:
                return None
            items[name] = read
        return specs.namespace(items)

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Spec | None:
        number = self.number(node.operand, depth)
        sign = {ast.USub: -1, ast.UAdd: 1}.get(type(node.op))
        return specs.literal(sign * number) if number is not None and sign is not None else None

    def _binop(self, node: ast.BinOp, depth: int) -> Spec | None:
        if isinstance(node.op, ast.Mult):
            repeated = self._repeated(node, depth)
            if repeated is not None:
                return repeated
        left, right = self.number(node.left, depth), self.number(node.right, depth)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Pow):
            return specs.literal(left**right) if abs(right) < _LARGEST_POWER and left > 0 else None
        known = _OPERATORS.get(type(node.op))
        try:
            return None if known is None else specs.literal(known(left, right))
        except ZeroDivisionError:
            return None

    def _repeated(self, node: ast.BinOp, depth: int) -> Spec | None:
        """Describe ``[8] * 3``."""
        items, count = self.read(node.left, depth), self.number(node.right, depth)
        if items is None or items["kind"] not in ("list", "tuple") or type(count) is not int:
            return None
        return {**items, "items": items["items"] * count} if 0 < count < _LARGEST_POWER else None

    def _ifexp(self, node: ast.IfExp, depth: int) -> Spec | None:
        return self.read(node.body, depth) or self.read(node.orelse, depth)

    def _listcomp(self, node: ast.ListComp, depth: int) -> Spec | None:
        """Describe ``[Block(width) for _ in range(depth)]`` with two items."""
        item = self.read(node.elt, depth)
        return None if item is None else specs.sequence("list", [item] * 2)

    _generatorexp = _listcomp

    def number(self, node: ast.AST, depth: int = 0) -> Any:
        """Return the number that an expression stands for, None if it is not one."""
        found = self.read(node, depth)
        value = found.get("value") if found is not None and found["kind"] == "literal" else None
        return value if type(value) in (int, float) else None

    def _call(self, node: ast.Call, depth: int) -> Spec | None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SAME_VALUE:
            return self.read(node.func.value, depth)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("long", "float"):
            inner = self.read(node.func.value, depth)
            if inner is None or not specs.is_tensor(inner):
                return None
            integer = node.func.attr == "long"
            return specs.tensor(inner["shape"], "int64", 0, 2) if integer else specs.tensor(inner["shape"])
        last = (source.dotted(node.func) or "").rsplit(".", 1)[-1]
        made = self._tensor(last, node, depth)
        if made is not None:
            return made
        callee = self.value(node.func)
        if callee is None or not inspect.isclass(callee) or not specs.is_importable(callee):
            return None
        return self._instance(callee, node, depth)

    def _instance(self, cls: type, node: ast.Call, depth: int) -> Spec | None:
        args = [self.read(argument, depth) for argument in node.args]
        kwargs = self.keywords(node, depth)
        if None in args or None in kwargs.values():
            return None
        given = {key: item for key, item in kwargs.items() if item is not None}
        if cls is dict:
            return None if args else specs.namespace(given)
        return specs.new(cls, given, [item for item in args if item is not None])

    def keywords(self, node: ast.Call, depth: int = 0) -> dict[str, Spec | None]:
        """Return what a call gives by name, ``**options`` included as far as they can be read."""
        found: dict[str, Spec | None] = {}
        for keyword in node.keywords:
            value = self.read(keyword.value, depth)
            if keyword.arg is not None:
                found[keyword.arg] = value
            elif value is not None and value["kind"] == "namespace":
                found.update(value["items"])
        return found

    def _tensor(self, factory: str, node: ast.Call, depth: int) -> Spec | None:
        """Describe what ``torch.randn(2, 3)`` and its kind make."""
        given = list(node.args)
        by_name = {keyword.arg: keyword.value for keyword in node.keywords}
        low, high = 0, 2
        if factory == "randint":
            bounds = [self.number(item, depth) for item in given[:2]]
            known = [bound for bound in bounds if bound is not None]
            low, high = known if len(known) == 2 else (0, known[0] if known else 2)
            given = [by_name["size"]] if "size" in by_name else given[-1:]
        elif factory == "arange" and len(given) == 1:
            length = self.number(given[0], depth)
            return specs.tensor([length], "int64", 0, length) if _is_size(length) else None
        elif factory not in _FLOATING_FACTORIES:
            return self._from_data(factory, node)
        sizes = self._sizes(given, depth)
        if not sizes:
            return None
        dtype = (source.dotted(by_name.get("dtype", node)) or "").rsplit(".", 1)[-1]
        if factory == "randint" or dtype in ("long", "int64", "int", "int32"):
            return specs.tensor(sizes, "int64", int(low), int(high))
        return specs.tensor(sizes, "bool" if dtype == "bool" else "float32")

    def _sizes(self, given: list[ast.expr], depth: int) -> list[int] | None:
        if len(given) == 1:
            whole = self.read(given[0], depth)
            if whole is not None and whole["kind"] in ("list", "tuple"):
                sizes = [item.get("value") for item in whole["items"]]
                return [size for size in sizes if _is_size(size)] if all(map(_is_size, sizes)) else None
        sizes = [self.number(item, depth) for item in given]
        return sizes if all(map(_is_size, sizes)) else None

    def _from_data(self, factory: str, node: ast.Call) -> Spec | None:
        """Describe ``torch.tensor([[0, 1], [1, 0]])``."""
        if factory not in ("tensor", "LongTensor", "as_tensor") or len(node.args) < 1:
            return None
        try:
            value = torch.as_tensor(ast.literal_eval(node.args[0]))
        except Exception:  # no numbers, or not of one shape
            return None
        return specs.spec_of(value) if value.numel() else None


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value <= 1024


@functools.lru_cache(maxsize=1024)
def arguments(function: FunctionNode) -> dict[str, ast.expr | None]:
    """Return a function's parameters with their defaults."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    found = dict(zip((item.arg for item in positional), [*missing, *arguments.defaults]))
    found.update((item.arg, default) for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults))
    return found


@functools.lru_cache(maxsize=1024)
def _assignments(owner: ast.AST) -> dict[str, list[tuple[int, ast.expr]]]:
    """Return what each name of a function (or of a file's top level) is assigned, in source order."""
    found: dict[str, list[tuple[int, ast.expr]]] = {}
    stack: list[ast.AST] = list(reversed(getattr(owner, "body", [])))
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        value = getattr(node, "value", None)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target, given in ((item, pair) for item in targets for pair in [value]):
                for name, part in _pairs(target, given):
                    found.setdefault(name, []).append((node.lineno, part))
        stack.extend(reversed(list(ast.iter_child_nodes(node))))
    return found


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return [pair for one, part in zip(target.elts, value.elts) for pair in _pairs(one, part)]
    path = source.dotted(target)
    return [] if path is None else [(path, value)]


def _assigned(owner: ast.AST, path: str, line: float) -> ast.expr | None:
    """Return the expression that a name was last assigned before a line."""
    found = [value for at, value in _assignments(owner).get(path, []) if at < line]
    return found[-1] if found else None


def live_names(filename: str, tree: ast.Module) -> dict[str, Any]:
    """Return what a file's names mean: its globals if it is loaded, else what it imports of loaded files."""
    for module in list(sys.modules.values()):
        origin = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(origin, str) and origin.endswith(os.path.basename(filename)) and origin == filename:
            return dict(vars(module))
    return imported_names(tree)


def imported_names(tree: ast.Module) -> dict[str, Any]:
    """Return what a text imports of modules that are loaded."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                imported = alias.name if alias.asname else name
                found.update({name: sys.modules[imported]} if imported in sys.modules else {})
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module in sys.modules:
            entries = vars(sys.modules[node.module])
            found.update(
                (alias.asname or alias.name, entries[alias.name])
                for alias in node.names
                if alias.name in entries
            )
    return found
