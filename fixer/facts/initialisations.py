"""Where a script, or a module that contains others, gives parameters new values after they were built."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from fixer.facts.file import File, Function, dotted
from fixer.facts.kinds import Answer, is_parameter
from fixer.facts.optimizers import Model, Scope, flow_with_callers
from fixer.facts.overwriting import overwritings
from fixer.facts.project import Class, Project

_RESETS = ("init", "reset_")
_WORDS = (b"apply", b"optim", b"init", b"data", b"no_grad", b"load_state_dict")


@dataclass(frozen=True)
class Initialisation:
    """A statement ``model.apply(init)``, ``init_weights(model)``, ``nn.init.zeros_(model.fc.weight)``, ..."""

    file: File
    scope: Scope
    statement: ast.stmt
    model: Model
    rebinds: bool
    """Whether the model's name is bound to what the statement computes."""
    part: bool = False
    """Whether only a model that it is a part of may be out of range then."""


def initialisations(project: Project) -> list[Initialisation]:
    """Every such statement of the tree that is not known to be part of another one."""
    files = {file.path: file for word in _WORDS for file in project.mentioning(word)}
    return [found for file in files.values() for found in _of_file(project, file)]


def _of_file(project: Project, file: File) -> Iterator[Initialisation]:
    for node in file.nodes:
        if not isinstance(node, (ast.Expr, ast.Assign)) or not isinstance(node.value, ast.Call):
            continue
        initialised = _initialised(project, file, node.value)
        if initialised is None or not _keeps(node, initialised):
            continue
        scope: Scope = file.function(node) or file.tree
        model = Model.of(initialised, flow_with_callers(project, file, scope))
        yield Initialisation(file, scope, node, model, isinstance(node, ast.Assign))
    for one in overwritings(project, file):
        scope = file.function(one.statement) or file.tree
        if isinstance(scope, Function) and _resets(scope.name):
            continue  # its calls count
        flow = flow_with_callers(project, file, scope)
        if one.parameter is None:
            model = Model.of(one.model, flow)
        elif is_parameter(flow.kind(one.parameter)) is Answer.YES:
            model = Model.of(one.model, flow, one.parameter.attr)
        else:
            continue
        yield Initialisation(file, scope, one.statement, model, rebinds=False, part=one.part)


def _resets(name: str) -> bool:
    """Whether a function of that name is there to initialise what it is called with, or on."""
    return any(word in name.strip("_") for word in _RESETS) and not name.startswith("__")


def _initialised(project: Project, file: File, call: ast.Call) -> ast.expr | None:
    """The module that a call initialises, if it is a name or a path."""
    found: ast.expr | None = None
    name = (dotted(call.func) or "").rpartition(".")[2]
    if isinstance(call.func, ast.Attribute) and call.func.attr == "apply":
        found = call.func.value
    elif _resets(name) and call.args and dotted(call.args[0]):
        found = None if _applies(project, file, call) else call.args[0]
    if found is None and _resets(name) and isinstance(call.func, ast.Attribute):
        found = call.func.value
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
