"""What a definition is made of: the definitions, constants and imports it uses, across files.

A unit is what binds one name of a module: a class, a function, an assignment, an import. What a module does
beside binding names (``torch.set_default_dtype(...)``) is one unit without a name, which all others use.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fixer.facts.file import File, Function, Import
from fixer.facts.project import Project


class Unit(NamedTuple):
    """A name of a module; the empty name stands for what runs beside."""

    path: Path
    name: str


@dataclass
class Units:
    """The units of a tree, computed as they are asked for."""

    project: Project
    _statements: dict[Path, dict[str, list[ast.stmt]]] = field(default_factory=dict)
    _imports: dict[Path, dict[str, list[Import]]] = field(default_factory=dict)
    _direct: dict[Unit, frozenset[Unit]] = field(default_factory=dict)
    _texts: dict[Unit, str] = field(default_factory=dict)

    def of(self, path: Path) -> list[Unit]:
        """All units of a file; none if it is not there or not Python."""
        return [Unit(path, name) for name in (*self.statements(path), *self._imported(path))]

    def statements(self, path: Path) -> dict[str, list[ast.stmt]]:
        """The top-level statements that bind each name; under the empty name those that bind none."""
        if path not in self._statements:
            file = self.project.file(path)
            found: dict[str, list[ast.stmt]] = {"": []}
            for statement in file.tree.body if file else ():
                if _is_silent(statement):
                    continue
                names = dict.fromkeys(_bound(statement))
                for name in names or ("",):
                    found.setdefault(name, []).append(statement)
            self._statements[path] = found
        return self._statements[path]

    def text(self, unit: Unit) -> str:
        """The unit's code without places, comments and docstrings, and what the names it uses stand for."""
        if unit not in self._texts:
            parts = [plain(statement) for statement in self.statements(unit.path).get(unit.name, ())]
            for target in self._imported(unit.path).get(unit.name, ()):
                inside = {found.name for found in self._reached(unit.path, target, [])}
                parts.append(f"import {sorted(inside) or target}")
            self._texts[unit] = "\n".join(parts)
        return self._texts[unit]

    def closure(self, unit: Unit) -> set[Unit]:
        """The unit and everything that it uses, directly or through others."""
        found = {unit}
        waiting = [unit]
        while waiting:
            for other in self.direct(waiting.pop()):
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        return found

    def direct(self, unit: Unit) -> frozenset[Unit]:
        """What the unit's own code uses."""
        if unit not in self._direct:
            self._direct[unit] = frozenset(self._uses(unit)) - {unit}
        return self._direct[unit]

    def _uses(self, unit: Unit) -> Iterator[Unit]:
        file = self.project.file(unit.path)
        if file is None:
            return
        yield Unit(unit.path, "")
        for target in self._imported(unit.path).get(unit.name, ()):
            if target.name is not None:  # else whoever uses the module says what of it
                yield from self._reached(unit.path, target, [])
        for statement in self.statements(unit.path).get(unit.name, ()):
            for chain in _chains(statement):
                yield from self._named(unit.path, chain)
        if not unit.name:  # to import a file is to run it
            yield from (Unit(path, "") for path in self.project.imported_paths(file))

    def _named(self, path: Path, chain: list[str]) -> Iterator[Unit]:
        """The units that a dotted name of a file may stand for."""
        root, *rest = chain
        if root in self.statements(path):
            yield Unit(path, root)
        for target in self._imported(path).get(root, ()):
            reached = list(self._reached(path, target, rest))
            yield from reached
            if target.name is not None or not reached:  # what the name stands for may change
                yield Unit(path, root)
        if root not in self.statements(path) and root not in self._imported(path):
            file = self.project.file(path)
            for star in file.star_imports if file else ():
                yield from self._inside(self.project.module_path(path, star), [root], only=True)

    def _reached(self, path: Path, target: Import, rest: list[str]) -> Iterator[Unit]:
        """What an import, and the attributes looked up on it, stand for in the tree."""
        names = [*([target.name] if target.name else []), *rest]
        prefix = target.module.split(".") if target.module else []
        for length in range(len(names), -1, -1):  # a module inside a package comes before a name in it
            module = ".".join([*prefix, *names[:length]])
            if not module and not target.level:
                return
            found = self.project.module_path(path, Import(module, target.level))
            if found is not None and found != path:
                yield from self._inside(found, names[length:])
                return

    def _inside(self, path: Path | None, names: list[str], *, only: bool = False) -> Iterator[Unit]:
        """The unit of a module that attributes name; all its units where the module itself is handed on."""
        if path is None:
            return
        if not names:
            yield from self.of(path)
        elif names[0] in self.statements(path) or names[0] in self._imported(path):
            yield Unit(path, names[0])
        else:
            file = self.project.file(path)
            for star in file.star_imports if file else ():
                inner = self.project.module_path(path, star)
                if inner is not None and inner != path:
                    yield from self._inside(inner, names, only=True)
            if not only:
                yield Unit(path, "")

    def _imported(self, path: Path) -> dict[str, list[Import]]:
        """What each imported name of a file may stand for, wherever in the file the import is."""
        if path not in self._imports:
            file = self.project.file(path)
            found: dict[str, list[Import]] = {}
            for name, target in _import_targets(file) if file else ():
                found.setdefault(name, []).append(target)
            self._imports[path] = found
        return self._imports[path]


def plain(node: ast.AST) -> str:
    """A node without places and docstrings, as text to compare."""
    return ast.dump(_Bare().visit(copy.deepcopy(node)))


class _Bare(ast.NodeTransformer):
    """Takes the docstrings out."""

    def _bare(self, node: ast.ClassDef | Function) -> ast.AST:
        self.generic_visit(node)
        node.body = [item for item in node.body if not _is_text(item)] or [ast.Pass()]
        return node

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _bare  # noqa: N815 - `ast` says so


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, (str, type(...)))
    )


def _is_silent(statement: ast.stmt) -> bool:
    """Whether a statement means nothing to others: a docstring, an import, the block of a script."""
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)) or _is_text(statement):
        return True
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and isinstance(statement.test.left, ast.Name)
        and statement.test.left.id == "__name__"
    )


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement binds in its own scope."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.ClassDef, Function)):
            yield node.name
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            base: ast.AST = node
            while isinstance(base, ast.Attribute | ast.Subscript):
                base = base.value
            if isinstance(base, ast.Name):  # ``TABLE["relu"] = nn.ReLU`` is part of the table
                yield base.id
        if not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            waiting.extend(ast.iter_child_nodes(node))


def _chains(statement: ast.AST) -> Iterable[list[str]]:
    """The dotted names that a statement reads, each as long as it is written."""
    waiting: list[ast.AST] = [statement]
    found: dict[str, None] = {}
    while waiting:
        node = waiting.pop()
        names: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            names.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            found[".".join([inner.id, *names])] = None
        else:
            waiting.extend(ast.iter_child_nodes(inner if names else node))
    return [chain.split(".") for chain in found]


def _import_targets(file: File) -> Iterator[tuple[str, Import]]:
    for node in file.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = alias.name if alias.asname else alias.name.split(".")[0]
                yield alias.asname or module, Import(module)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name != "*":
                    yield alias.asname or alias.name, Import(node.module or "", node.level, alias.name)
