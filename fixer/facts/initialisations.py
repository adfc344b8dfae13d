"""Where a script, or a module that contains others, gives parameters new values after they were built."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from fixer.facts.file import File, Function, dotted
from fixer.facts.optimizers import Model, Scope, flow_with_callers
from fixer.facts.project import Class, Project


@dataclass(frozen=True)
class Initialisation:
    """A statement ``model.apply(init)`` or ``init_weights(model)``."""

    file: File
    scope: Scope
    statement: ast.Expr | ast.Assign
    model: Model


def initialisations(project: Project) -> Iterator[Initialisation]:
    """Every such statement in files that build optimizers or apply functions to modules."""
    files = {file.path: file for word in (b"apply", b"optim") for file in project.mentioning(word)}
    for file in files.values():
        for node in ast.walk(file.tree):
            if not isinstance(node, (ast.Expr, ast.Assign)) or not isinstance(node.value, ast.Call):
                continue
            initialised = _initialised(project, file, node.value)
            if initialised is None or not _keeps(node, initialised):
                continue
            scope: Scope = file.function(node) or file.tree
            model = Model.of(initialised, flow_with_callers(project, file, scope))
            yield Initialisation(file, scope, node, model)


def _initialised(project: Project, file: File, call: ast.Call) -> ast.expr | None:
    """The module that a call initialises, if it is a name or a path."""
    found: ast.expr | None = None
    if isinstance(call.func, ast.Attribute) and call.func.attr == "apply":
        found = call.func.value
    elif "init" in (dotted(call.func) or "").rpartition(".")[2].strip("_") and call.args:
        found = None if _applies(project, file, call) else call.args[0]
    return found if found is not None and dotted(found) else None


def _applies(project: Project, file: File, call: ast.Call) -> bool:
    """Whether a function of the tree is called that has a statement ``model.apply(init)`` itself."""
    symbol = project.resolve(file, call.func)
    home = project.file(symbol.path) if symbol is not None and symbol.path is not None else None
    function = home.functions.get(symbol.name) if home is not None and symbol is not None else None
    return function is not None and any(
        isinstance(node, ast.Attribute) and node.attr == "apply" for node in ast.walk(function)
    )


def _keeps(statement: ast.Expr | ast.Assign, initialised: ast.expr) -> bool:
    """Whether the same expression names the module afterwards."""
    if isinstance(statement, ast.Expr):
        return True
    return [dotted(target) for target in statement.targets] == [dotted(initialised)]


def reinitialising(project: Project, cls: Class, paths: set[str]) -> Iterator[tuple[Class, Function]]:
    """The constructors of subclasses that may change or add parameters at `paths`; all for an empty path."""
    roots = {path.partition(".")[0] for path in paths}
    for heir in project.subclasses(cls):
        constructor = heir.methods.get("__init__")
        if constructor is None:
            continue
        touched = {
            (dotted(node) or "").split(".")[1]
            for node in ast.walk(constructor)
            if isinstance(node, ast.Attribute) and (dotted(node) or "").startswith("self.")
        }
        if "" in roots or touched & {*roots, "apply", "reset_parameters", "init_weights", "_init_weights"}:
            yield heir, constructor
