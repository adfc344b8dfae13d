"""Statements that overwrite a parameter, and which of them are projections.

A projection replaces a parameter by a function of itself, constants and configuration, such that doing it
twice does no more than doing it once: a clamp, a renorm, a division by its own norm, a mask.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from fixer.facts.file import File, Function, dotted
from fixer.facts.flow import Flow
from fixer.facts.kinds import Answer, BufferKind, ParameterKind, Plain, is_parameter, options, without_none
from fixer.facts.project import Class, Project


class Form(Enum):
    """How a statement overwrites a parameter."""

    ASSIGN = "m.p = value"
    DATA_ASSIGN = "m.p.data = value"
    IN_PLACE = "m.p.clamp_(...)"
    AUGMENTED = "m.p *= value"
    ITEM = "m.p.data[i] = value"


@dataclass(frozen=True)
class Update:
    """One statement that overwrites a parameter."""

    statement: ast.stmt
    form: Form
    parameter: ast.expr
    """The expression that is the Parameter itself: ``self.fc.weight`` without ``.data``."""
    through_data: bool
    """Whether it goes through ``.data`` or ``.detach()``, and so past autograd."""
    operation: str
    """The in-place method (``clamp_``), the operator (``*``), or ``=``."""
    value: ast.expr | None
    """What is assigned, copied, or the right operand; None for methods such as ``clamp_``."""
    call: ast.Call | None
    """The call of an in-place method or of a function with ``out=``."""


_UNWRAP = ("data",)


def stripped(node: ast.expr) -> tuple[ast.expr, bool]:
    """An expression without ``.data``, ``.detach()`` and ``[:]`` at its end, and whether any was there."""
    through = False
    while True:
        if isinstance(node, ast.Attribute) and node.attr in _UNWRAP:
            node, through = node.value, True
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "detach"
        ):
            node, through = node.func.value, True
        else:
            return node, through


@dataclass(frozen=True)
class Context:
    """Where an update stands: the flow around it, and local names that can be seen through."""

    flow: Flow
    locals: dict[str, ast.expr]
    """Names bound once in the function, and to what."""


def update_of(statement: ast.stmt, context: Context) -> Update | None:
    """The parameter that a simple statement certainly overwrites, if it does."""
    match statement:
        case ast.Assign(targets=[target], value=value):
            return _assignment(statement, target, value, context)
        case ast.AugAssign(target=target, op=operator, value=value) if not isinstance(target, ast.Subscript):
            parameter, through = _parameter(target, context)
            if parameter is not None:
                symbol = _OPERATORS.get(type(operator), "?")
                return Update(statement, Form.AUGMENTED, parameter, through, symbol, value, None)
        case ast.Expr(value=ast.Call() as call):
            return _in_place_call(statement, call, context)
    return None


_OPERATORS: dict[type[ast.operator], str] = {ast.Mult: "*", ast.Div: "/", ast.Add: "+", ast.Sub: "-"}


def _parameter(node: ast.expr, context: Context) -> tuple[ast.expr | None, bool]:
    """The Parameter that an expression is, or whose data it is (also ``w`` after ``w = self.w.data``).

    A slot that may be None counts: reading an attribute of None raises, so no statement changes one.
    So does the data of an attribute that is a Parameter unless its module is reparametrised.
    """
    node, through = stripped(node)
    if certain(node, context.flow) or (through and _may_be_parameter(node, context.flow)):
        return node, through
    behind, through_too = stripped(_seen_through(node, context))
    if behind is not node and certain(behind, context.flow):
        return node, through or through_too
    return None, False


def certain(node: ast.expr, flow: Flow) -> bool:
    """Whether an expression is certainly a Parameter where a statement that reads it runs at all."""
    return is_parameter(without_none(flow.kind(node))) is Answer.YES


def _may_be_parameter(node: ast.expr, flow: Flow) -> bool:
    kinds = options(flow.kind(node))
    return isinstance(node, ast.Attribute) and any(isinstance(kind, ParameterKind) for kind in kinds)


def _assignment(statement: ast.stmt, target: ast.expr, value: ast.expr, context: Context) -> Update | None:
    if isinstance(target, ast.Subscript):
        parameter, through = _parameter(target.value, context)
        return Update(statement, Form.ITEM, parameter, through, "=", value, None) if parameter else None
    parameter, through = _parameter(target, context)
    if not isinstance(target, ast.Attribute) or parameter is None:
        return None
    if not through and is_parameter(context.flow.kind(parameter)) is not Answer.YES:
        return None  # assigning to a slot that holds None is legal
    form = Form.DATA_ASSIGN if through else Form.ASSIGN
    return Update(statement, form, parameter, through, "=", value, None)


def _in_place_call(statement: ast.stmt, call: ast.Call, context: Context) -> Update | None:
    flow = context.flow
    function = call.func
    if isinstance(function, ast.Attribute) and is_in_place(function.attr):
        parameter, through = _parameter(function.value, context)
        if parameter is not None:
            value = call.args[0] if call.args else None
            return Update(statement, Form.IN_PLACE, parameter, through, function.attr, value, call)
    symbol = flow.project.resolve(flow.file, function)
    if symbol is None or not symbol.name.startswith("torch.") or symbol.name.startswith("torch.nn.init."):
        return None
    target: ast.expr | None = None
    name = symbol.name.rpartition(".")[2]
    for keyword in call.keywords:
        if keyword.arg == "out":
            target = keyword.value
    if target is None and is_in_place(name) and call.args:
        target = call.args[0]
    if target is None:
        return None
    parameter, through = _parameter(target, context)
    if parameter is None:
        return None
    return Update(statement, Form.IN_PLACE, parameter, through, name, None, call)


def is_in_place(name: str) -> bool:
    """Whether a tensor's method of that name changes the tensor."""
    return name.endswith("_") and not name.startswith("_") and name not in ("requires_grad_", "share_memory_")


# What makes a projection

_ELEMENTWISE = frozenset(
    "clamp clip clamp_min clamp_max relu abs hardtanh relu6 tril triu nan_to_num maximum minimum max min "
    "masked_fill fill_diagonal threshold".split()
)
_NORMALISING = frozenset({"renorm", "normalize"})
_MASKING = frozenset({"mul", "multiply", "*"})
_SCALING = frozenset({"div", "divide", "true_divide", "/", "mul", "multiply", "*"})
_REDUCTIONS = frozenset("norm vector_norm matrix_norm sum max amax std mean logsumexp".split())


class Nature(Enum):
    """What kind of projection an update is."""

    EXACT = "repeating it changes nothing, bit for bit"
    NORMALISING = "repeating it may change the last bits"


def projection_nature(update: Update, context: Context) -> Nature | None:
    """Whether an update is a projection; None where it is not, or not certainly."""
    name = update.operation.rstrip("_")
    if update.form is Form.ITEM:
        constant = update.value is not None and _is_constant(update.value, context)
        return Nature.EXACT if constant and update.through_data else None
    if update.form is Form.AUGMENTED:
        assert update.value is not None
        return _scaled(update.parameter, update.operation, update.value, context)
    if update.form is Form.IN_PLACE:
        assert update.call is not None
        if name == "copy" and update.value is not None:
            return _value_nature(update.value, update.parameter, context)
        if name in _ELEMENTWISE:
            return Nature.EXACT
        if name in _NORMALISING:
            return Nature.NORMALISING
        if name in _SCALING and update.value is not None:
            return _scaled(
                update.parameter, "/" if name.startswith(("div", "true")) else "*", update.value, context
            )
        return None
    assert update.value is not None
    return _value_nature(update.value, update.parameter, context)


def _value_nature(value: ast.expr, parameter: ast.expr, context: Context) -> Nature | None:
    """Whether an expression is a projection of the parameter; the parameter itself is none yet."""
    value = _seen_through(value, context)
    if isinstance(value, ast.BinOp):
        operator = _OPERATORS.get(type(value.op), "?")
        for mine, other in ((value.left, value.right), (value.right, value.left)):
            inner = _inner(mine, parameter, context)
            if inner is not None:
                nature = (
                    _scaled(parameter, operator, other, context)
                    if mine is value.left or operator == "*"
                    else None
                )
                return _both(inner, nature) if nature else None
        return None
    if not isinstance(value, ast.Call):
        return None
    name, arguments = _called(value, context)
    if name is None or not arguments:
        return None
    inner = _inner(arguments[0], parameter, context)
    if name == "where" and len(arguments) == 3:
        inner = _inner(arguments[1], parameter, context) or _inner(arguments[2], parameter, context)
    if name in ("Parameter", "clone", "contiguous"):
        return inner if isinstance(inner, Nature) else None
    if inner is None:
        return None
    if name in _ELEMENTWISE or name == "where":
        return _both(inner, Nature.EXACT)
    if name in _NORMALISING:
        return Nature.NORMALISING
    if name in _SCALING and len(arguments) > 1:
        operator = "/" if name.startswith(("div", "true")) else "*"
        nature = _scaled(parameter, operator, arguments[1], context)
        return _both(inner, nature) if nature else None
    return None


def _inner(node: ast.expr, parameter: ast.expr, context: Context) -> Nature | bool | None:
    """True for the parameter itself, a nature for a projection of it, None for anything else."""
    node, _ = stripped(_seen_through(node, context))
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("clone", "contiguous")
    ):
        return _inner(node.func.value, parameter, context)
    if _same(node, parameter, context):
        return True
    return _value_nature(node, parameter, context)


def _both(inner: Nature | bool, outer: Nature) -> Nature:
    return Nature.NORMALISING if Nature.NORMALISING in (inner, outer) else Nature.EXACT


def _scaled(parameter: ast.expr, operator: str, other: ast.expr, context: Context) -> Nature | None:
    """``p * mask``, ``p / p.norm()``, ``p * (limit / p.norm())``, ``p - p.mean()``."""
    other = _seen_through(other, context)
    if operator in ("*", "/") and _mentions_reduction(other, parameter, context):
        return Nature.NORMALISING
    if operator == "-" and _mentions_reduction(other, parameter, context, {"mean"}):
        return Nature.NORMALISING
    if operator == "*":
        kinds = options(context.flow.kind(stripped(other)[0]))
        if kinds and all(isinstance(kind, BufferKind) for kind in kinds):
            return Nature.EXACT
    return None


def _mentions_reduction(
    node: ast.expr, parameter: ast.expr, context: Context, reductions: frozenset[str] | set[str] = _REDUCTIONS
) -> bool:
    """Whether an expression contains a norm, sum, ... of the parameter."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in context.locals:
            bound = context.locals[part.id]
            if bound is not node and _mentions_reduction(
                bound, parameter, _without(context, part.id), reductions
            ):
                return True
        if isinstance(part, ast.Call):
            name, arguments = _called(part, context)
            if name in reductions and arguments and _contains(arguments[0], parameter, context):
                return True
    return False


def _without(context: Context, name: str) -> Context:
    return Context(context.flow, {key: value for key, value in context.locals.items() if key != name})


def _contains(node: ast.expr, parameter: ast.expr, context: Context) -> bool:
    node = _seen_through(node, context)
    return any(isinstance(part, ast.expr) and _same(part, parameter, context) for part in ast.walk(node))


def _same(node: ast.expr, parameter: ast.expr, context: Context) -> bool:
    mine, theirs = (dotted(_seen_through(part, context)) for part in (node, parameter))
    if mine is not None and mine == theirs:
        return True
    return ast.dump(node) == ast.dump(parameter)


def _seen_through(node: ast.expr, context: Context) -> ast.expr:
    """The expression that a local name stands for."""
    seen: set[str] = set()
    while isinstance(node, ast.Name) and node.id in context.locals and node.id not in seen:
        seen.add(node.id)
        node = context.locals[node.id]
    return node


def _called(call: ast.Call, context: Context) -> tuple[str | None, list[ast.expr]]:
    """The last part of a torch function's or a tensor method's name, and its operands, the tensor first."""
    symbol = context.flow.project.resolve(context.flow.file, call.func)
    if symbol is not None:
        is_torch = symbol.name.startswith("torch.") and symbol.path is None
        return (symbol.name.rpartition(".")[2] if is_torch else None), list(call.args)
    if isinstance(call.func, ast.Attribute):
        return call.func.attr, [call.func.value, *call.args]
    return None, []


def _is_constant(node: ast.expr, context: Context) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) or isinstance(context.flow.kind(node), Plain)


# What forward reaches


@dataclass(frozen=True)
class Reached:
    """A method that a call of the module runs."""

    cls: Class
    function: Function


def reached_from_forward(project: Project, cls: Class) -> dict[str, Reached]:
    """`forward` of a class and the methods it calls on `self`, by name."""
    return reached_from(project, cls, "forward")


def reached_from(project: Project, cls: Class, start: str) -> dict[str, Reached]:
    """A method of a class and the methods it calls on `self`, by name."""
    found: dict[str, Reached] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        method = project.method(cls, name)
        if name in found or method is None:
            continue
        found[name] = Reached(*method)
        waiting += [call.func.attr for call in self_calls(method[1]) if isinstance(call.func, ast.Attribute)]
    return found


def self_calls(function: Function) -> Iterator[ast.Call]:
    """The calls ``self.name(...)`` in a method."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    if not arguments:
        return
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == arguments[0].arg:
                yield node


def written_attributes(functions: Iterator[Function] | list[Function]) -> set[str]:
    """Names of attributes that any of the functions assigns or changes in place (``self.x.mul_(..)``)."""
    found: set[str] = set()
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
                found.add(_base_attribute(node))
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
                found.add(_base_attribute(node.value))
            elif isinstance(node, ast.AugAssign):
                found.add(_base_attribute(node.target))
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and is_in_place(node.func.attr)
            ):
                found.add(_base_attribute(node.func.value))
    return found - {""}


def _base_attribute(node: ast.expr) -> str:
    """``self.a.b.data[0]`` -> ``a``: the attribute of the first name."""
    name = ""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        if isinstance(node, ast.Attribute):
            name = node.attr
            node = node.value
        else:
            node = node.value if isinstance(node, ast.Subscript) else node.func
    return name


def in_no_grad(file: File, node: ast.AST, project: Project) -> bool:
    """Whether a node runs under `torch.no_grad()` or `inference_mode()`, as far as its function tells."""
    for ancestor in file.ancestors(node):
        if isinstance(ancestor, (ast.With, ast.AsyncWith)):
            if any(turns_grad_off(file, item.context_expr, project) for item in ancestor.items):
                return True
        elif isinstance(ancestor, Function):
            return any(turns_grad_off(file, decorator, project) for decorator in ancestor.decorator_list)
    return False


def turns_grad_off(file: File, node: ast.expr, project: Project) -> bool:
    """Whether an expression is `torch.no_grad()`, `inference_mode()` or `set_grad_enabled(False)`."""
    called = node.func if isinstance(node, ast.Call) else node
    symbol = project.resolve(file, called)
    if symbol is None:
        return False
    if symbol.name in ("torch.no_grad", "torch.inference_mode"):
        return True
    arguments = node.args if isinstance(node, ast.Call) else []
    return (
        symbol.name in ("torch.set_grad_enabled", "torch.autograd.set_grad_enabled")
        and bool(arguments)
        and isinstance(arguments[0], ast.Constant)
        and arguments[0].value is False
    )
