"""What tests and annotations tell of kinds."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from fixer.facts.env import Env, Value
from fixer.facts.file import dotted
from fixer.facts.kinds import (
    MAYBE_PARAMETER,
    NONE,
    PLAIN,
    UNKNOWN,
    Answer,
    Kind,
    ModuleKind,
    OneOf,
    OptimizerKind,
    ParameterKind,
    is_parameter,
    join,
    options,
    without,
    without_none,
)
from fixer.facts.torch_facts import torch_facts

if TYPE_CHECKING:
    from fixer.facts.expressions import Expressions

_PLAIN_NAMES = frozenset({"int", "float", "str", "bool"})
_TENSOR_NAMES = frozenset({"torch.Tensor", "torch.FloatTensor", "torch.LongTensor"})


def narrowed(flow: Expressions, test: ast.expr, env: Env, truth: bool) -> Env:
    """The state in a branch where `test` turned out as `truth`."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return narrowed(flow, operand, env, not truth)
        case ast.BoolOp(op=op, values=values) if isinstance(op, ast.And) is truth:
            for value in values:
                env = narrowed(flow, value, env, truth)
        case ast.Call(func=ast.Name(id="isinstance"), args=[subject, classes]):
            _narrow_instance(flow, subject, instance_of(flow, classes, env), env, truth)
        case ast.Compare(
            left=ast.Call(func=ast.Name(id="type"), args=[subject]),
            ops=[ast.Is() | ast.Eq()],
            comparators=[classes],
        ) if truth:
            path = dotted(subject)
            if path:
                given = env.values.get(path, Value()).given
                env.assign(path, Value(instance_of(flow, classes, env), given))
        case ast.Compare(
            left=subject, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(value=None)]
        ):
            path = dotted(subject)
            if path:
                present = isinstance(op, ast.IsNot) is truth
                old = flow.eval(subject, env)
                kind = without_none(old.kind) if present else NONE
                if kind != old.kind and (present or NONE in options(old.kind)):
                    env.values[path] = Value(kind, old.given)
        case ast.Name() | ast.Attribute() if truth:
            path = dotted(test)
            old = flow.eval(test, env)
            if path and isinstance(old.kind, OneOf):
                env.values[path] = Value(without_none(old.kind), old.given)
    return env


def _narrow_instance(flow: Expressions, subject: ast.expr, kind: Kind, env: Env, truth: bool) -> None:
    path = dotted(subject)
    if not path or kind == UNKNOWN:
        return
    old = flow.eval(subject, env)
    exact = isinstance(old.kind, ModuleKind) and old.kind.exact
    if truth and not exact:
        env.assign(path, Value(kind, old.given))
    elif not truth and is_parameter(kind) is Answer.YES and isinstance(old.kind, OneOf):
        left = without(old.kind, lambda option: isinstance(option, ParameterKind))
        env.values[path] = Value(left, old.given)


def instance_of(flow: Expressions, classes: ast.expr, env: Env) -> Kind:
    """The kind of an instance of a class or of one of a tuple of classes."""
    nodes = classes.elts if isinstance(classes, ast.Tuple) else [classes]
    kinds: list[Kind] = []
    for node in nodes:
        symbol = flow.symbol(node, env)
        if symbol is not None and symbol.name == "torch.nn.Parameter":
            kinds.append(ParameterKind())
        elif symbol is not None and flow.project.is_module(symbol) is Answer.YES:
            kinds.append(ModuleKind(symbol))
        else:
            return UNKNOWN
    return join(kinds)


def annotated(flow: Expressions, annotation: ast.expr | None) -> Kind:
    """The kind that an annotation promises."""
    match annotation:
        case None:
            return UNKNOWN
        case ast.Constant(value=None):
            return NONE
        case ast.Constant(value=str(text)):
            try:
                return annotated(flow, ast.parse(text, mode="eval").body)
            except SyntaxError:
                return UNKNOWN
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return join((annotated(flow, left), annotated(flow, right)))
        case ast.Subscript(value=outer, slice=inner):
            is_optional = (dotted(outer) or "").rpartition(".")[2] == "Optional"
            return join((annotated(flow, inner), NONE)) if is_optional else UNKNOWN
    symbol = flow.project.resolve(flow.file, annotation)
    if symbol is None:
        return PLAIN if dotted(annotation) in _PLAIN_NAMES else UNKNOWN
    if symbol.name == "torch.nn.Parameter":
        return ParameterKind()
    if symbol.name in _TENSOR_NAMES:
        return MAYBE_PARAMETER
    head, _, last = symbol.name.rpartition(".")
    if head == "torch.optim" and last in torch_facts().optimizers:
        return OptimizerKind(symbol)
    return ModuleKind(symbol) if flow.project.is_module(symbol) is Answer.YES else UNKNOWN
