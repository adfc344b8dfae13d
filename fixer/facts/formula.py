"""What the author of a `backward` wanted, where that obviously differs from what autograd does."""

from __future__ import annotations

import ast

from fixer.facts import Class, Function

_FLAT = frozenset("argmax argmin bernoulli ceil fix floor heaviside round sgn sign trunc".split())
"""Functions whose derivative is zero wherever there is one."""
_SAME = frozenset("clone contiguous view_as".split())
_BOUNDING = frozenset("clamp clamp_ clip clip_ clamp_max clamp_min renorm clip_grad_norm_".split())


def intent(cls: Class, method: Function) -> str | None:
    """What the formula would do to the gradient, as a verb phrase; None where it may be autograd's own."""
    forward = cls.methods.get("forward")
    arguments = [*method.args.posonlyargs, *method.args.args]
    if forward is None or len(arguments) != 2:
        return None
    gradient = arguments[1].arg
    results = [_first(node.value) for node in ast.walk(method) if isinstance(node, ast.Return) and node.value]
    if not results:
        return None
    if _is_identity(forward):
        if all(_is_negated(result, gradient) for result in results):
            return "reverse the gradient"
        if any(_calls(result, _BOUNDING) for result in results):
            return "clip the gradient"
        if all(isinstance(result, ast.BinOp) and isinstance(result.op, ast.Mult) for result in results):
            return "scale the gradient"
        return None
    if all(_is_nothing(result) for result in results):
        return None
    if _is_flat(forward):
        return "give a gradient where autograd's is zero"
    if _leaves_autograd(forward):
        return "give a gradient where `forward` takes values out of autograd's sight"
    return None


def _first(node: ast.expr) -> ast.expr:
    """The gradient for the first input, of ``return grad, None``."""
    return node.elts[0] if isinstance(node, ast.Tuple) and node.elts else node


def _is_nothing(node: ast.expr) -> bool:
    """``None``, ``torch.zeros_like(g)``."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2].startswith(("zeros", "new_zeros"))
    return isinstance(node, ast.Constant)


def _is_identity(forward: Function) -> bool:
    """Whether every result is the input itself, a copy or a view."""
    arguments = [argument.arg for argument in [*forward.args.posonlyargs, *forward.args.args]]
    results = [node.value for node in ast.walk(forward) if isinstance(node, ast.Return)]
    if len(arguments) < 2 or not results:
        return False
    rebound = any(
        isinstance(node, ast.Name) and node.id == arguments[1] and isinstance(node.ctx, ast.Store)
        for node in ast.walk(forward)
    )
    return not rebound and all(_is_same(result, arguments[1]) for result in results)


def _is_same(node: ast.expr | None, name: str) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SAME:
        node = node.func.value
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=1)):  # x * 1.0
            node = left
    return isinstance(node, ast.Name) and node.id == name


def _is_flat(forward: Function) -> bool:
    """Whether every result has a derivative of zero."""
    results = [node.value for node in ast.walk(forward) if isinstance(node, ast.Return)]
    return bool(results) and all(result is not None and _is_flat_value(result) for result in results)


def _leaves_autograd(forward: Function) -> bool:
    """Whether the input goes through numpy, or is detached."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("detach", "from_numpy", "no_grad", "numpy")
        for node in ast.walk(forward)
    )


def _is_flat_value(node: ast.expr) -> bool:
    """``torch.sign(x)``, ``x.round()``, ``(x > 0).float()``."""
    if isinstance(node, ast.Compare):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _FLAT:
            return True
        return node.func.attr in ("float", "to", "type", "type_as") and _is_flat_value(node.func.value)
    return False


def _is_negated(node: ast.expr, gradient: str) -> bool:
    """``-g``, ``-k * g``, ``g * -k``, ``g.neg() * k``."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _mentions(node.operand, gradient)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _mentions(node, gradient):
        return any(_is_negative(side) or _is_negated(side, gradient) for side in (node.left, node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("neg", "negative") and _mentions(node.func.value, gradient)
    return False


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))


def _calls(node: ast.AST, names: frozenset[str]) -> bool:
    return any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in names
        for part in ast.walk(node)
    )
