"""Statements that write into parameters of a model: loops, `nn.init`, `.data`, what `no_grad` allows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from fixer.facts.file import File, Function, dotted, self_name
from fixer.facts.project import Project
from fixer.facts.updates import is_in_place

_LISTINGS = ("parameters", "named_parameters", "modules", "named_modules", "children", "named_children")
_OF_ANOTHER = {"grad", "optimizer", "state"}
"""Attributes that lead away from the parameters."""
_NO_VALUES = {"detach_", "rename_", "share_memory_"}


@dataclass(frozen=True)
class Overwriting:
    """A statement after which parameters of a model hold other values."""

    statement: ast.stmt
    """The statement itself, or the loop over parameters or modules that it stands in."""
    model: ast.expr
    """``net.fc`` of ``net.fc.weight.data.zero_()``."""
    parameter: ast.Attribute | None
    """``net.fc.weight``, if it is one; None where all parameters of the model may be meant."""
    part: bool = False
    """Whether the model itself is in range then, as one that is new or loads a state by its own hook, so that
    only one around it may not be."""


def overwritings(project: Project, file: File) -> Iterator[Overwriting]:
    """Every statement of a file that may be one, of neighbours with the same model the last one only."""
    found: dict[tuple[ast.stmt, str], Overwriting] = {}
    for node in file.nodes:
        for written in _written(project, file, node):
            one = _placed(file, node, written)
            if one is not None:
                found[one.statement, ast.unparse(one.model)] = one
    for (statement, model), one in found.items():
        following = _following(file, statement)
        if following is None or (following, model) not in found:
            yield one


def _written(project: Project, file: File, node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that a node writes into."""
    if isinstance(node, ast.Call):
        yield from _written_by_call(project, file, node)
    elif isinstance(node, ast.AugAssign):
        yield node.target
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            attribute = isinstance(target, ast.Attribute) and target
            if isinstance(target, ast.Subscript) or (
                attribute and (attribute.attr == "data" or _replaces(file, attribute, node.value))
            ):
                yield target


def _written_by_call(project: Project, file: File, call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func) or ""
    if name == "load_state_dict":
        yield call.func
    elif name == "vector_to_parameters":
        yield from (over.func for over in call.args[1:2] if isinstance(over, ast.Call))
    elif is_in_place(name) and name not in _NO_VALUES:
        symbol = project.resolve(file, call.func)
        called = symbol.name if symbol is not None and symbol.path is None else ""
        if called.startswith("torch.nn.init."):
            yield from call.args[:1]
        elif isinstance(call.func, ast.Attribute) and not called.startswith("torch."):
            yield call.func.value


def _replaces(file: File, target: ast.Attribute, value: ast.expr) -> bool:
    """Whether an assignment may put a new parameter or layer into a model that is there already."""
    called = (dotted(value.func) or "").rpartition(".")[2] if isinstance(value, ast.Call) else ""
    own = self_name(scope) if (scope := file.function(target)) is not None else None
    return called[:1].isupper() and not (isinstance(target.value, ast.Name) and target.value.id == own)


def _placed(file: File, node: ast.AST, written: ast.expr) -> Overwriting | None:
    """The statement around a write, and the model that it concerns as far as its text tells."""
    names, root = _path(written)
    if root is None or _OF_ANOTHER & set(names):
        return None
    looped: Overwriting | None = None
    for loop in _loops(file, node):
        if root in _bound(loop.target):
            model = _listed(loop, root)
            if model is None:
                return None
            looped = Overwriting(loop, model, None)
            root = _path(model)[1] or ""
    if looped is not None:
        return looped
    if isinstance(written, ast.Attribute) and written.attr in _LISTINGS:
        return Overwriting(file.statement(node), written.value, None)
    while names and names[-1] in ("data", "load_state_dict"):
        names.pop()
    if not names:
        return None
    loads = isinstance(written, ast.Attribute) and written.attr == "load_state_dict"
    target = _prefix(written, len(names))
    statement = file.statement(node)
    if not isinstance(target, ast.Attribute) or not isinstance(
        statement, (ast.Expr, ast.Assign, ast.AugAssign)
    ):
        return None
    if loads or (isinstance(statement, ast.Assign) and written in statement.targets and written is target):
        return Overwriting(statement, target, None, part=True)
    return Overwriting(statement, target.value, target)


def _path(node: ast.expr) -> tuple[list[str], str | None]:
    """The attributes on the way to an expression, and the name that it begins with."""
    names: list[str] = []
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
        node = node.value
    return names, node.id if isinstance(node, ast.Name) else None


def _prefix(node: ast.expr, depth: int) -> ast.expr | None:
    """The part of an expression that ends so many attributes after its name, without items on the way."""
    parts: list[ast.expr] = [node]
    while isinstance(parts[0], (ast.Attribute, ast.Subscript)):
        parts.insert(0, parts[0].value)
    plain = 0
    while plain + 1 < len(parts) and isinstance(parts[plain + 1], ast.Attribute):
        plain += 1
    return parts[depth] if depth <= plain else None


def _loops(file: File, node: ast.AST) -> Iterator[ast.For]:
    """The loops around a node within its function, innermost first."""
    for ancestor in file.ancestors(node):
        if isinstance(ancestor, (Function, ast.ClassDef, ast.Lambda)):
            return
        if isinstance(ancestor, ast.For):
            yield ancestor


def _bound(target: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}


def _listed(loop: ast.For, name: str) -> ast.expr | None:
    """The model over whose parameters or modules a loop goes with a name."""
    over, target = loop.iter, loop.target
    around = over.func.id if isinstance(over, ast.Call) and isinstance(over.func, ast.Name) else ""
    if isinstance(over, ast.Call) and around == "zip" and isinstance(target, ast.Tuple):
        pairs = zip(target.elts, over.args, strict=False)
        over = next((argument for part, argument in pairs if name in _bound(part)), over)
    elif isinstance(over, ast.Call) and around in ("enumerate", "list", "sorted", "tuple") and over.args:
        over = over.args[0]
    if isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute) and over.func.attr in _LISTINGS:
        return over.func.value
    return None


def _following(file: File, statement: ast.stmt) -> ast.stmt | None:
    """The next statement of the same block."""
    parent = file.parents[statement]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and statement in block:
            place = block.index(statement) + 1
            return block[place] if place < len(block) else None
    return None
