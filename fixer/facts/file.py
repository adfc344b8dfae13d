"""One file: its syntax tree with parents, its imports, classes and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fixer.facts.kinds import Symbol
from fixer.source import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

_SHARED = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)
"""Nodes of which Python makes one for all trees."""


@dataclass(frozen=True)
class Import:
    """What a name that an import binds stands for."""

    module: str
    """Dotted module, without the leading dots of a relative import."""
    level: int = 0
    """Number of leading dots."""
    name: str | None = None
    """The name taken from the module; None where the module itself is bound."""


def dotted(node: ast.AST) -> str | None:
    """``a.b.c`` of a chain of names and attributes, None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


@dataclass(eq=False)
class File:
    """A parsed file of the tree; everything is computed when first asked for."""

    source: Source
    _within: dict[ast.AST, list[ast.AST]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file's path."""
        return self.source.path

    @property
    def tree(self) -> ast.Module:
        """The syntax tree; raises `SourceError` where the file is not valid Python."""
        return self.source.tree

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree that has a place of its own, in the order of `ast.walk`."""
        return [self.tree, *self.parents]

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of every node but the module."""
        found: dict[ast.AST, ast.AST] = {}
        waiting: list[ast.AST] = [self.tree]
        for node in waiting:
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, _SHARED):
                    found[child] = node
                    waiting.append(child)
        return found

    def within(self, node: ast.AST) -> list[ast.AST]:
        """Every node below and including `node`, in the order of `ast.walk`; remembered."""
        if node not in self._within:
            self._within[node] = list(ast.walk(node))
        return self._within[node]

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around `node`, innermost first."""
        current = self.parents.get(node)
        while current is not None:
            yield current
            current = self.parents.get(current)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that holds `node` (itself, if it is one)."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def function(self, node: ast.AST) -> Function | None:
        """The innermost function around `node`."""
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, Function):
                return ancestor
        return None

    def class_of(self, function: ast.AST) -> ast.ClassDef | None:
        """The class whose body holds `function` directly."""
        parent = self.parents.get(function)
        while isinstance(parent, (ast.If, ast.Try)):
            parent = self.parents.get(parent)
        return parent if isinstance(parent, ast.ClassDef) else None

    def qualname(self, node: ast.AST) -> str:
        """``Outer.method`` of a class or function."""
        names = [getattr(node, "name", "")]
        names += [a.name for a in self.ancestors(node) if isinstance(a, (ast.ClassDef, Function))]
        return ".".join(reversed(names))

    @cached_property
    def imports(self) -> dict[str, Import | None]:
        """What each imported name stands for; None where two imports disagree."""
        found: dict[str, Import | None] = {}

        def bind(name: str, target: Import) -> None:
            found[name] = target if found.get(name, target) == target else None

        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        bind(alias.asname, Import(alias.name))
                    else:
                        top = alias.name.split(".")[0]
                        bind(top, Import(top))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if alias.name != "*":
                        bind(alias.asname or alias.name, Import(node.module or "", node.level, alias.name))
        return found

    @cached_property
    def star_imports(self) -> tuple[Import, ...]:
        """The modules of ``from m import *``."""
        return tuple(
            Import(node.module or "", node.level)
            for node in self.nodes
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        )

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Every class by qualified name, but for those inside functions."""
        return {
            self.qualname(node): node
            for node in self.nodes
            if isinstance(node, ast.ClassDef) and self.function(node) is None
        }

    @cached_property
    def functions(self) -> dict[str, Function]:
        """Every function at module level or in a class, by qualified name; the last of equal names."""
        return {
            self.qualname(node): node
            for node in self.nodes
            if isinstance(node, Function) and self.function(node) is None
        }

    @cached_property
    def module_names(self) -> frozenset[str]:
        """Names that module-level assignments bind."""
        return frozenset(
            node.id
            for node in self.nodes
            if isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Store)
            and self.function(node) is None
            and not any(isinstance(a, ast.ClassDef) for a in self.ancestors(node))
        )

    @cached_property
    def global_names(self) -> frozenset[str]:
        """Names of the module that functions rebind."""
        return frozenset(name for node in self.nodes if isinstance(node, ast.Global) for name in node.names)

    def symbol(self, node: ast.ClassDef | Function) -> Symbol:
        """The symbol of a definition in this file."""
        return Symbol(self.qualname(node), self.path)


def methods(node: ast.ClassDef) -> dict[str, Function]:
    """The methods a class body defines, also under `if` and `try`; the last of equal names."""
    found: dict[str, Function] = {}

    def visit(body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, Function):
                found[statement.name] = statement
            elif isinstance(statement, ast.If):
                visit(statement.body)
                visit(statement.orelse)
            elif isinstance(statement, ast.Try):
                visit(statement.body)
                for handler in statement.handlers:
                    visit(handler.body)

    visit(node.body)
    return found


def self_name(function: Function) -> str | None:
    """The argument that holds the instance, if `function` is a method; None for static and class methods."""
    names = {decorator_name(decorator) for decorator in function.decorator_list}
    arguments = [*function.args.posonlyargs, *function.args.args]
    if not arguments or not names.isdisjoint(("staticmethod", "classmethod")) or function.name == "__new__":
        return None
    return arguments[0].arg


def decorator_name(node: ast.expr) -> str:
    """The last part of a decorator's name: ``setter`` of ``@weight.setter``."""
    return (dotted(node.func if isinstance(node, ast.Call) else node) or "").rpartition(".")[2]


def walk_function(function: ast.AST) -> Iterator[ast.AST]:
    """Every node inside a function or module, without the bodies of functions and classes defined in it."""
    stack: list[ast.AST] = list(ast.iter_child_nodes(function))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (Function, ast.ClassDef, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(node))


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The lists of statements directly below a node: body, orelse, finalbody, handlers' and cases' bodies."""
    for name in ("body", "orelse", "finalbody"):
        value = getattr(node, name, None)
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield value
    for name in ("handlers", "cases"):
        for child in getattr(node, name, None) or ():
            yield from blocks(child)
