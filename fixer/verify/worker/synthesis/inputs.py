"""Guesses what `forward` takes: from its first consumer, how it is unpacked and indexed, and its name."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import names, shapes, signatures, source, specs
from .annotations import annotated, annotation_of, tensor_dtype
from .arguments import unique
from .roles import in_role
from .uses import strings, tested

if TYPE_CHECKING:
    from .arguments import Context
    from .specs import Spec

_MAX_DEPTH = 4
_EDGES = 4
"""As many as two nodes have: no edge is there twice."""

# Names that say more than a use could. N: a width that is known nowhere else.
_BY_NAME: tuple[tuple[str, Callable[[], Spec]], ...] = (
    (r"tokeni[sz]er$", lambda: specs.helper("Tokens")),
    (r"device$", lambda: specs.new(torch.device, positional=[specs.literal("cpu")])),
    (r"edge_index|edges$", lambda: {**specs.tensor([2, _EDGES], "int64", 0, names.BATCH), "distinct": True}),
    (
        r"^adj|adjacency|^a_hat$|^laplacian$",
        lambda: specs.tensor([names.LENGTH, names.LENGTH], "float32", 0, 1),
    ),
    (r"edge_(attr|weight|feat)", lambda: specs.tensor([_EDGES])),
    (
        r"edge_(src|dst|from|to|senders?|receivers?)$|^senders?$|^receivers?$",
        lambda: specs.tensor([_EDGES], "int64", 0, names.BATCH),
    ),
    (r"length|_lens?$|^lens$", lambda: specs.tensor([names.BATCH], "int64", names.LENGTH, names.LENGTH + 1)),
    (r"key_padding_mask|pad_mask", lambda: specs.tensor([names.BATCH, names.LENGTH], "bool", 0, 1)),
    (r"attention_mask", lambda: specs.tensor([names.BATCH, names.LENGTH], "float32", 1, 1)),
    (r"attn_mask|(src|tgt)_mask", lambda: specs.tensor([names.LENGTH, names.LENGTH], "float32", 0, 0)),
    (r"mask", lambda: specs.tensor([names.BATCH, names.LENGTH], "float32", 1, 1)),
    (r"^labels?$|_labels?$|^classes$", lambda: specs.tensor([names.BATCH], "int64", 0, 2)),
    (r"^t$|timesteps?$|time_steps?$|^times?$", lambda: specs.tensor([names.BATCH], "float32", 0, 1)),
    (
        r"input_ids|token|_ids$|^ids$|indices|^idx$|_idx$|^src$|^tgt$|^trg$|words|captions?$|^seqs?$|^text",
        lambda: specs.tensor([names.BATCH, names.LENGTH], "int64", 0, 8),
    ),
    (r"image|^img|_img|frames|pixels?|picture", lambda: shapes.signal(3, 2)),
    (
        r"^deterministic$|^training$|^reverse|^return_|^is_|^use_|^with_|^inverse",
        lambda: specs.literal(False),
    ),
    (r"^rev$|^sample$", lambda: specs.literal(False)),
    (r"^mode$", lambda: specs.literal("train")),
)

_LONG_TARGETS = {"cross_entropy": 1, "nll_loss": 1, "one_hot": 0}


def forward_parameters(module: Any) -> list[inspect.Parameter]:
    """Return the parameters of a bound `forward` or of any other callable."""
    return [
        parameter
        for parameter in signatures.parameters_of(
            signatures.called(module) if isinstance(module, nn.Module) else module
        )
        if parameter.kind is not parameter.VAR_KEYWORD
    ]


def guesses(
    parameter: inspect.Parameter, function: Callable[..., Any], owner: Any, context: Context
) -> Iterator[Spec]:
    """Yield what an input may be, best guess first; `owner` is the module that the method belongs to."""
    found = unique(_guesses(parameter, function, owner, context))
    return map(_with_edges, found) if _OF_EDGES.search(parameter.name.lower()) else found


_OF_EDGES = re.compile("^edge_|_edges?$")


def _with_edges(spec: Spec) -> Spec:
    """Return what each edge has, for as many edges as all other guesses speak of."""
    is_batch = specs.is_floating(spec) and len(spec["shape"]) > 1 and spec["shape"][0] == names.BATCH
    return {**spec, "shape": [_EDGES, *spec["shape"][1:]]} if is_batch else spec


def _guesses(
    parameter: inspect.Parameter, function: Callable[..., Any], owner: Any, context: Context
) -> Iterator[Spec]:
    name = parameter.name
    node = context.sources.function(function)
    annotation = annotation_of(parameter, function)
    named = by_name(name)
    said = tensor_dtype(annotation)
    if annotation is not None and said is None:
        yield from annotated(annotation, name, context)
    record = _entries(node, name) if said is None and node is not None else None
    if record is not None:
        yield record
    yield from strings(name, function, context)
    if getattr(function, "__name__", "") != "forward":
        yield from tested(name, function, context)
        yield from in_role(name, context)
    consumed = [] if node is None else list(_consumed(node, name, function, owner, context, 0))
    own = shapes.expected(owner) if next(iter(forward_parameters(function)), None) == parameter else None
    consumed += [own] if own is not None and not consumed else []
    rank, dtype = _evidence(node, name) if node is not None else (0, None)
    if said == "int64":
        dtype = said
    if rank or dtype:
        base = next(iter([*consumed, *named]), specs.tensor(shapes.plain(max(rank, 2))))
        if specs.is_tensor(base):
            yield _adjusted(base, rank, dtype)
    if annotation is None and node is not None and _is_counted(node, name):
        yield specs.literal(names.LENGTH)
    parts = 0 if node is None or named or said is not None else _parts(node, name)
    if parts:
        item = next(iter(consumed), specs.tensor(shapes.plain(2, _widest_guess(owner))))
        yield specs.sequence("tuple", [item] * parts)
    yield from consumed
    yield from named
    yield from _others(name, owner)


def by_name(name: str) -> list[Spec]:
    """Return what a name alone says about an input, if it says anything."""
    return [make() for pattern, make in _BY_NAME if re.search(pattern, name.lower())][:1]


def _adjusted(spec: Spec, rank: int, dtype: str | None) -> Spec:
    if dtype == "int64" and spec["dtype"] != "int64":
        return specs.tensor(shapes.plain(rank or 1, names.LENGTH), "int64", 0, 2)
    return shapes.reranked(spec, rank) if rank and len(spec["shape"]) != rank else spec


def _others(name: str, owner: Any) -> Iterator[Spec]:
    width = _widest_guess(owner)
    for rank in (2, 3, 4, 1, 5):
        yield specs.tensor(shapes.plain(rank, width))
    yield specs.tensor([names.BATCH, names.LENGTH], "int64", 0, 2)
    yield specs.tensor([names.BATCH], "int64", 0, 2)
    yield specs.literal(names.integer(name))


def _widest_guess(owner: Any) -> int:
    """Return the number of features of the first layer that has any."""
    for layer in owner.modules() if isinstance(owner, nn.Module) else ():
        spec = shapes.expected(layer) if layer is not owner else None
        if spec is not None and specs.is_floating(spec) and len(spec["shape"]) > 1:
            return int(spec["shape"][shapes.feature_axis(len(spec["shape"]))])
    return names.WIDTH


def _consumed(
    node: ast.AST, name: str, function: Callable[..., Any], owner: Any, context: Context, depth: int
) -> Iterator[Spec]:
    """Yield what the callees that take the argument itself ask for, in source order."""
    scope = {**getattr(function, "__globals__", {}), "self": owner}
    scope.update(_loop_variables(node, scope))
    for use in source.uses(node, {name}):
        call, place = call_of(use)
        if call is not None:
            yield from taken(call, place, scope, context, depth)
        elif isinstance(use.parents[0], ast.BinOp):
            yield from _with_operand(use.parents[0], use.node, scope)


def call_of(use: source.Use) -> tuple[ast.Call | None, int | str]:
    """Return the call that takes the value itself as an argument, and the argument's place."""
    parent = use.parents[0]
    if isinstance(parent, ast.Call) and use.node in parent.args:
        return parent, parent.args.index(use.node)
    holder = use.parents[1] if len(use.parents) > 1 else None
    if isinstance(parent, ast.keyword) and parent.arg is not None and isinstance(holder, ast.Call):
        return holder, parent.arg
    return None, 0


def _with_operand(operation: ast.BinOp, node: ast.expr, scope: dict[str, Any]) -> Iterator[Spec]:
    """Yield the shape that goes with a parameter on the other side of an operator."""
    other = operation.right if operation.left is node else operation.left
    value = _value(other, scope)
    if not isinstance(value, torch.Tensor) or value.dim() == 0:
        return
    if not isinstance(operation.op, ast.MatMult):
        yield specs.tensor([names.BATCH, *value.shape] if value.dim() < 3 else list(value.shape))
    elif operation.left is node:
        yield specs.tensor(shapes.plain(2, value.shape[-2] if value.dim() > 1 else value.shape[0]))
    else:
        yield specs.tensor([value.shape[-1], names.BATCH])


def taken(
    call: ast.Call, place: int | str, scope: dict[str, Any], context: Context, depth: int = 0
) -> Iterator[Spec]:
    """Yield what a call asks for at one of its places; `scope` has what its names stand for."""
    path = source.dotted(call.func) or ""
    last = path.rsplit(".", 1)[-1]
    if _LONG_TARGETS.get(last) == place:
        yield specs.tensor([names.BATCH], "int64", 0, 2)
    callee = _value(call.func, scope)
    if isinstance(callee, nn.Module):
        layer = shapes.first_layer(callee)
        if layer is not None:
            yield from layer_takes(layer, place, context, depth)
    elif path.startswith("self.") and inspect.ismethod(callee) and depth < _MAX_DEPTH:
        yield from _parameter_takes(callee, place, scope["self"], context, depth)
    elif last in ("linear", "conv1d", "conv2d", "conv3d", "embedding") and place == 0 and len(call.args) > 1:
        weight = _value(call.args[1], scope)
        if isinstance(weight, torch.Tensor) and weight.dim() > 1:
            yield _functional(last, weight)


def _functional(name: str, weight: torch.Tensor) -> Spec:
    if name == "embedding":
        return specs.tensor([names.BATCH, names.LENGTH], "int64", 0, weight.shape[0])
    if name == "linear":
        return specs.tensor(shapes.plain(2, weight.shape[1]))
    return shapes.signal(weight.shape[1], weight.dim() - 2)


def layer_takes(layer: nn.Module, place: int | str, context: Context, depth: int = 0) -> Iterator[Spec]:
    """Yield what a layer asks for at one of the places of its call."""
    if type(layer).__module__.startswith("torch."):
        spec = shapes.expected(layer, place if isinstance(place, int) else 0)
        if spec is not None:
            yield spec
    elif depth < _MAX_DEPTH:
        yield from _parameter_takes(layer.forward, place, layer, context, depth)


def _parameter_takes(
    method: Callable[..., Any], place: int | str, owner: Any, context: Context, depth: int
) -> Iterator[Spec]:
    node = context.sources.function(method)
    parameters = [
        item.name
        for index, item in enumerate(signatures.parameters_of(method))
        if place in (index, item.name)
    ]
    if node is not None and parameters:
        yield from asked_in(node, parameters[0], method, owner, context, depth + 1)


def asked_in(
    node: ast.AST, name: str, method: Callable[..., Any], owner: Any, context: Context, depth: int = 0
) -> Iterator[Spec]:
    """Yield what a definition asks of a name in it: by what takes it, and how it is taken apart."""
    found = list(_consumed(node, name, method, owner, context, depth))
    rank, dtype = _evidence(node, name)
    if found and (rank or dtype) and specs.is_tensor(found[0]):
        yield _adjusted(found[0], rank, dtype)
    elif rank or dtype:
        yield _adjusted(specs.tensor(shapes.plain(max(rank, 2))), rank, dtype)
    yield from found


def _value(node: ast.AST, scope: dict[str, Any]) -> Any:
    if isinstance(node, ast.Subscript):
        owner = _value(node.value, scope)
        return (
            next(iter(owner.children()), None) if isinstance(owner, (nn.ModuleList, nn.ModuleDict)) else None
        )
    try:
        value = source.evaluate(node, scope)
    except Exception:  # a local variable, or an attribute that only forward sets
        return None
    return None if isinstance(value, nn.UninitializedParameter) else value


def _loop_variables(node: ast.AST, scope: dict[str, Any]) -> dict[str, Any]:
    """Bind the variables of loops over module lists to the first module."""
    found: dict[str, Any] = {}
    for loop in ast.walk(node):
        if not isinstance(loop, (ast.For, ast.comprehension)):
            continue
        sources: list[ast.expr] = [loop.iter]
        targets: list[ast.expr] = [loop.target]
        if isinstance(loop.iter, ast.Call) and source.dotted(loop.iter.func) in ("zip", "enumerate"):
            counter = [ast.Constant(value=0)] if source.dotted(loop.iter.func) == "enumerate" else []
            sources = [*counter, *loop.iter.args]
        if isinstance(loop.target, ast.Tuple):
            targets = loop.target.elts
        for target, origin in zip(targets, sources):
            modules = _value(origin, scope)
            if isinstance(target, ast.Name) and isinstance(modules, nn.ModuleList) and len(modules):
                found[target.id] = modules[0]
    return found


def _evidence(node: ast.AST, name: str) -> tuple[int, str | None]:
    """Return the rank and the type that unpacking, indexing and reshaping show (0 and None: nothing)."""
    exact = 0
    least = 0
    dtype: str | None = None
    for use in source.uses(node, {name}):
        parent, *outer = use.parents
        if isinstance(parent, ast.Attribute) and outer:
            exact = exact or _unpacked(parent, outer)
            least = max(least, _indexed(parent, outer))
        elif isinstance(parent, ast.Subscript) and parent.value is use.node:
            key = parent.slice
            least = max(least, len(key.elts) if isinstance(key, ast.Tuple) and not _has_new_axis(key) else 0)
        elif isinstance(parent, ast.Subscript) or type(parent).__name__ == "Index":
            dtype = dtype or "int64"
        elif isinstance(parent, ast.Call) and use.node in parent.args:
            exact = exact or _pattern(parent, parent.args.index(use.node))
        if exact and _reassigned(use):
            break
    return exact or (least if least > 2 else 0), dtype


def _parts(node: ast.AST, name: str) -> int:
    """Return into how many parts ``h, c = state`` takes an argument itself, 0 if none does."""
    for use in source.uses(node, {name}):
        parent = use.parents[0]
        if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Tuple):
            return len(parent.targets[0].elts)
    return 0


def _entries(node: ast.AST, name: str) -> Spec | None:
    """Return the record that an argument is asked for entries of: ``batch["tokens"]``, ``"tokens" in batch``.

    What has to be there, its absence will tell; what may be there is guessed here.
    """
    is_record, optional = False, {}
    for use in source.uses(node, {name}):
        parent = use.parents[0]
        if isinstance(parent, ast.Subscript) and parent.value is use.node:
            is_record = is_record or isinstance(source.constant(parent.slice), str)
        elif isinstance(parent, ast.Compare) and isinstance(parent.ops[0], (ast.In, ast.NotIn)):
            key = source.constant(parent.left)
            if isinstance(key, str):
                optional[key] = next(iter(by_name(key)), specs.tensor(shapes.plain(2)))
    return specs.namespace(optional) if is_record or optional else None


def _is_counted(node: ast.AST, name: str) -> bool:
    """Whether an argument itself is where ``range`` or ``arange`` begins or ends: ``arange(j - i, j)``."""
    for use in source.uses(node, {name}):
        holder = next((item for item in use.parents if not isinstance(item, ast.BinOp)), None)
        if isinstance(holder, ast.Call) and holder.func is not use.node:
            path = source.dotted(holder.func) or ""
            if path.rsplit(".", 1)[-1] in ("range", "arange"):
                return True
    return False


def _reassigned(use: source.Use) -> bool:
    statement = next((item for item in use.parents if isinstance(item, ast.Assign)), None)
    return statement is not None and any(
        source.dotted(target) == source.dotted(use.node) for target in statement.targets
    )


def _has_new_axis(key: ast.Tuple) -> bool:
    return any(isinstance(item, ast.Constant) and item.value in (None, Ellipsis) for item in key.elts)


def _unpacked(attribute: ast.Attribute, outer: list[ast.AST]) -> int:
    """Return how many sizes ``b, c, h, w = x.shape`` (or ``.size()``) unpacks, or what ``permute`` orders."""
    holder = outer[0]
    if attribute.attr == "size" and isinstance(holder, ast.Call) and not holder.args and len(outer) > 1:
        holder = outer[1]
    elif attribute.attr == "permute" and isinstance(holder, ast.Call):
        return (
            len(holder.args[0].elts)
            if holder.args and isinstance(holder.args[0], (ast.Tuple, ast.List))
            else len(holder.args)
        )
    elif attribute.attr != "shape":
        return 0
    if isinstance(holder, ast.Starred):
        return _unpacked_among_others(outer)
    if isinstance(holder, ast.Assign) and isinstance(holder.targets[0], ast.Tuple):
        items = holder.targets[0].elts
        return 0 if any(isinstance(item, ast.Starred) for item in items) else len(items)
    return 0


def _unpacked_among_others(outer: list[ast.AST]) -> int:
    """Return how many of the targets of ``b, n, _, heads = *x.shape, self.heads`` are sizes."""
    values, statement = (*outer[1:3], None, None)[:2]
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if not isinstance(values, ast.Tuple) or not isinstance(target, ast.Tuple):
        return 0
    starred = [item for item in (*values.elts, *target.elts) if isinstance(item, ast.Starred)]
    return len(target.elts) - len(values.elts) + 1 if len(starred) == 1 else 0


def _indexed(attribute: ast.Attribute, outer: list[ast.AST]) -> int:
    """Return the least rank for which ``x.shape[3]``, ``x.size(2)`` or ``x.transpose(1, 2)`` is legal."""
    holder = outer[0]
    places: list[Any] = []
    if attribute.attr == "shape" and isinstance(holder, ast.Subscript):
        places = [source.constant(holder.slice)]
    elif attribute.attr in ("size", "transpose", "mean", "sum", "max", "softmax", "unbind") and isinstance(
        holder, ast.Call
    ):
        places = [source.constant(argument) for argument in holder.args]
    return max((place + 1 for place in places if type(place) is int), default=0)


def _pattern(call: ast.Call, place: int) -> int:
    """Return the rank that an einsum equation or an einops pattern gives the operand at a place."""
    last = (source.dotted(call.func) or "").rsplit(".", 1)[-1]
    equation = source.constant(call.args[0]) if last == "einsum" and call.args else None
    if isinstance(equation, str) and "." not in equation:
        operands = equation.split("->")[0].split(",")
        return len(operands[place - 1].strip()) if 0 < place <= len(operands) else 0
    pattern = (
        source.constant(call.args[1])
        if last in ("rearrange", "reduce", "repeat") and len(call.args) > 1
        else None
    )
    if isinstance(pattern, str) and place == 0 and "..." not in pattern:
        return len(re.findall(r"\([^)]*\)|\S+", pattern.split("->")[0]))
    return 0
