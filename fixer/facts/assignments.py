"""Assignments to attributes: what they assign, to whose slots, and whether somebody expects them to fail."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from fixer.facts.file import File, Function, dotted
from fixer.facts.flow import Flow
from fixer.facts.kinds import UNKNOWN, Answer, Kind, SequenceKind
from fixer.facts.registered import registered_parameter

Assigning = ast.Assign | ast.AnnAssign | ast.Expr
"""Statements that may assign attributes; an expression, by calling `setattr`."""

_CATCHING = frozenset({"TypeError", "Exception", "BaseException"})
_EXPECTING = frozenset({"raises", "suppress", "assertRaises", "assertRaisesRegex"})


@dataclass(frozen=True)
class Write:
    """One assignment to an attribute that is certainly a registered Parameter."""

    target: ast.expr
    """The attribute, or the call of `setattr`."""
    owner: ast.expr
    name: str
    value: ast.expr | None
    """None where the value is unpacked from something."""
    kind: Kind

    @property
    def text(self) -> str:
        """The attribute as it would be written."""
        return f"{ast.unparse(self.owner)}.{self.name}"


def assigned_attributes(statement: Assigning) -> list[ast.expr]:
    """The attributes that a statement assigns, also within tuples, and a call of `setattr`."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str()), _])):
            return [statement.value]
        case ast.Expr() | ast.AnnAssign(value=None):
            return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    parts = [p for t in targets for p in (t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t])]
    return [part for part in parts if isinstance(part, ast.Attribute)]


def expects_type_error(file: File, statement: ast.stmt) -> bool:
    """Whether the code around a statement of the same function expects the TypeError."""
    child: ast.AST = statement
    for ancestor in file.ancestors(statement):
        if isinstance(ancestor, ast.Try) and any(child is item for item in ancestor.body):
            if any(_catches(handler.type) for handler in ancestor.handlers):
                return True
        elif isinstance(ancestor, (ast.With, ast.AsyncWith)):
            calls = [item.context_expr for item in ancestor.items if isinstance(item.context_expr, ast.Call)]
            if any((dotted(call.func) or "").rpartition(".")[2] in _EXPECTING for call in calls):
                return True
        elif isinstance(ancestor, Function):
            return False
        child = ancestor
    return False


def _catches(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    types = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any((dotted(item) or "TypeError").rpartition(".")[2] in _CATCHING for item in types)


def writes(flow: Flow, statement: Assigning) -> Iterator[Write]:
    """The assignments of a statement to attributes that are certainly registered Parameters."""
    for target in assigned_attributes(statement):
        value: ast.expr | None
        match target:
            case ast.Call(args=[owner, ast.Constant(value=str(name)), value]):
                pass
            case ast.Attribute(value=owner, attr=name):
                value = _value(flow, statement, target)
            case _:
                continue
        filled = value is not None and _fails_on_none(value, owner, name)
        if registered_parameter(flow, target, owner, name, filled=filled) is Answer.YES:
            kind = flow.kind(value) if value is not None else _unpacked(flow, statement, target)
            yield Write(target, owner, name, value, kind)


def _fails_on_none(value: ast.expr, owner: ast.expr, name: str) -> bool:
    """Whether a value reads the slot that it goes to in a way that no None survives.

    ``m.bias = torch.zeros_like(m.bias)`` never gets as far as the assignment where the slot holds None.
    """
    path = f"{dotted(owner)}.{name}"
    match value:
        case ast.Call(func=function, args=arguments):
            read = [*arguments, *([function.value] if isinstance(function, ast.Attribute) else [])]
            return any(dotted(part) == path or _fails_on_none(part, owner, name) for part in read)
        case ast.BinOp(left=left, right=right):
            return any(dotted(part) == path or _fails_on_none(part, owner, name) for part in (left, right))
        case ast.Attribute(value=base) | ast.Subscript(value=base) | ast.UnaryOp(operand=base):
            return dotted(base) == path or _fails_on_none(base, owner, name)
    return False


def _value(flow: Flow, statement: Assigning, target: ast.Attribute) -> ast.expr | None:
    """The expression that a target gets."""
    assert not isinstance(statement, ast.Expr)
    value = statement.value
    around = flow.file.parents[target]
    if around is statement:
        return value
    position = _position(around, target)
    if position is None or not isinstance(value, (ast.Tuple, ast.List)):
        return None
    plain = not any(isinstance(item, ast.Starred) for item in value.elts)
    return value.elts[position] if plain and position < len(value.elts) else None


def _unpacked(flow: Flow, statement: Assigning, target: ast.expr) -> Kind:
    """What a target gets out of a value that is unpacked."""
    assert not isinstance(statement, ast.Expr)
    assert statement.value is not None
    kind = flow.kind(statement.value)
    position = _position(flow.file.parents[target], target)
    items = kind.items if isinstance(kind, SequenceKind) else None
    if items is None or position is None or position >= len(items):
        return UNKNOWN
    return items[position]


def _position(around: ast.AST, target: ast.expr) -> int | None:
    """Where a target stands in a tuple of targets; None behind a starred one."""
    elements = around.elts if isinstance(around, (ast.Tuple, ast.List)) else []
    if any(isinstance(element, ast.Starred) for element in elements):
        return None
    return next((position for position, element in enumerate(elements) if element is target), None)
