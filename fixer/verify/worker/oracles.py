"""Oracles that need no reference program: finite differences, and the author's own constraint."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .bench import Bench
from .observe import first_line, parameters, restore, state

AGREEMENT = 1e-5
"""Relative difference up to which a gradient agrees with finite differences (float64, two step sizes)."""


def directional(bench: Bench, points: int = 4) -> dict[str, Any]:
    """Compare reverse mode with finite differences along random directions in float64.

    A difference is believed only if it shows at several points: kinks (a ReLU at zero) show at one. The
    answer says whether it `ran` (else the `reason`), whether the two agree, both slopes, and where the model
    stops gradients on purpose.
    """
    try:
        module = bench.build().to(torch.float64)
        mode = _mode_with_gradients(bench, module)
        if mode is None:
            return {"ran": False, "reason": "nothing in the output depends on a parameter or input"}
        module.train(mode == "train")
        agreed = 0
        facts: dict[str, Any] = {}
        for point in range(points):
            facts = _at_point(bench, module, point)
            if facts["relative"] <= AGREEMENT:
                agreed += 1
            elif point == 0:
                continue
            if agreed > point / 2:
                break
        agrees = 2 * agreed > point
        return {
            "ran": True,
            "agrees": agrees,
            "mode": mode,
            "tried": point + 1,
            "stops": _stops(bench, module),
            **facts,
        }
    except Exception as error:  # whatever the target's code raises in float64 is a reason, not a failure
        return {"ran": False, "reason": f"float64: {type(error).__name__}: {first_line(error)}"}


def _mode_with_gradients(bench: Bench, module: nn.Module) -> str | None:
    saved = state(module)
    for mode in ("eval", "train"):
        module.train(mode == "train")
        trainable = bench.call(module, 0, torch.float64).trainable
        restore(module, saved)
        if trainable:
            return mode
    return None


def _stops(bench: Bench, module: nn.Module) -> list[str]:
    """The operations by which the model keeps gradients from flowing where its values flow."""
    with _Stops() as found:
        run = bench.call(module, 0, torch.float64)
    seen, waiting = set(), [output.grad_fn for _, output in run.outputs]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            found.names.append(type(node).__name__)
        waiting += [following for following, _ in node.next_functions]
    return sorted(set(found.names))


class _Stops(TorchFunctionMode):
    """Notes every detach and every look at ``.data``."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let the call through; note its name if it cuts the graph."""
        if func in _CUTTING:
            self.names.append(_CUTTING[func])
        elif any(isinstance(a, Tensor) and a.requires_grad for a in args) and not torch.is_grad_enabled():
            self.names.append("no_grad")
        return func(*args, **(kwargs or {}))


_CUTTING: dict[Any, str] = {
    Tensor.detach: "detach",
    Tensor.detach_: "detach_",
    Tensor.data.__get__: "data",
}


def _at_point(bench: Bench, module: nn.Module, point: int) -> dict[str, Any]:
    saved = state(module)
    jitter = torch.Generator().manual_seed(7_001 + point)
    with torch.no_grad():
        for _, parameter in parameters(module):
            if point and parameter.dtype == torch.float64:
                parameter.mul_(1 + 0.05 * torch.randn(parameter.shape, generator=jitter, dtype=torch.float64))
    here = state(module)
    fed = bench.inputs(point, torch.float64)
    run = bench.run(module, fed, point)
    leaves = _leaves([t for _, t in parameters(module) + run.inputs])
    start = [leaf.detach().clone() for leaf in leaves]
    assert run.loss is not None
    grads = torch.autograd.grad(run.loss, leaves, allow_unused=True)
    directions = [
        torch.randn(leaf.shape, generator=jitter, dtype=torch.float64) * max(1e-3, _size(leaf))
        for leaf in leaves
    ]
    slope = sum(float((g * d).sum()) for g, d in _pairs(grads, directions) if g is not None)
    size = sum(float((g * d).abs().sum()) for g, d in _pairs(grads, directions) if g is not None)

    def value(step: float) -> float:
        restore(module, here)
        with torch.no_grad():
            for leaf, origin, direction in zip(leaves, start, directions):  # noqa: B905 - Python 3.8
                leaf.copy_(origin + step * direction)
            loss = bench.run(module, fed, point).loss
        assert loss is not None
        return float(loss)

    best: dict[str, Any] = {}
    for step in (1e-6, 1e-4):
        numeric = (value(step) - value(-step)) / (2 * step)
        noise = 1e-15 * max(1.0, abs(value(0.0))) / step
        gap = max(0.0, abs(numeric - slope) - noise)
        relative = gap / max(abs(numeric), abs(slope), 1e-3 * size, 1e-12)
        if not best or relative < best["relative"]:
            best = {"autograd": slope, "numeric": numeric, "relative": relative, "epsilon": step}
    restore(module, saved)
    return best


def _size(tensor: Tensor) -> float:
    return float(tensor.detach().norm()) / max(1, tensor.numel()) ** 0.5


def _leaves(tensors: Sequence[Tensor]) -> list[Tensor]:
    unique = {id(t): t for t in tensors if t.requires_grad and t.is_leaf and t.dtype == torch.float64}
    return list(unique.values())


def _pairs(one: Sequence[Any], two: Sequence[Any]) -> Any:
    assert len(one) == len(two)
    return zip(one, two)  # noqa: B905 - Python 3.8 has no `strict`


class Constraint:
    """The author's original statements, turned into something that can be run on any instance."""

    def __init__(self, statements: Sequence[str], namespace: dict[str, Any], path: str) -> None:
        tree = ast.parse("\n".join(text.rstrip() for text in statements))
        tree = ast.fix_missing_locations(_Assignments().visit(tree))
        self._code = compile(tree, f"<constraint of {path}>", "exec")
        self._namespace = namespace

    def apply(self, module: nn.Module) -> None:
        """Run the statements with `self` bound to `module`."""
        with torch.no_grad():
            exec(self._code, {**self._namespace, "self": module, _ASSIGN: assign})


_ASSIGN = "__fixer_assign__"


class _Assignments(ast.NodeTransformer):
    """Turns ``owner.name = value`` into a call of `assign`.

    An assignment to a parameter raises, and one to its `data` changes its storage: either way the constraint
    itself is the value, and that is what has to be copied.
    """

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if len(node.targets) != 1 or not isinstance(target, ast.Attribute):
            return node
        call = ast.Call(
            func=ast.Name(id=_ASSIGN, ctx=ast.Load()),
            args=[target.value, ast.Constant(value=target.attr), node.value],
            keywords=[],
        )
        return ast.copy_location(ast.Expr(value=call), node)


def assign(owner: Any, name: str, value: Any) -> None:
    """Set an attribute; a tensor meant for a parameter is copied into it."""
    current = owner if name == "data" and isinstance(owner, Tensor) else getattr(owner, name, None)
    is_parameter = isinstance(current, nn.Parameter)
    if is_parameter and isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        if current.shape != value.shape:
            raise ValueError(
                f"the value for {name} has shape {tuple(value.shape)}, not {tuple(current.shape)}"
            )
        current.data.copy_(value.detach())
    else:
        setattr(owner, name, value)
