"""Inputs that are lists: what the loops, the indices and the unpacking of `forward` ask of each item."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from . import inputs, shapes, source, specs
from .annotations import annotation_of, tensor_dtype
from .feature_maps import takes_several

if TYPE_CHECKING:
    import inspect

    from .arguments import Context
    from .specs import Spec

_OF_LISTS = (
    "len",
    "zip",
    "enumerate",
    "reversed",
    "list",
    "tuple",
    "isinstance",
    "cat",
    "stack",
    "concat",
    "sum",
)
_METHODS_OF_LISTS = ("append", "extend", "insert", "pop", "copy", "index", "reverse")
_COUNTS = (2, 3)
"""How many items are tried where nothing says how many there are."""
_MOST = 12
_LARGEST_SIDE = 64


class _Reader(NamedTuple):
    """A method that takes a list, with what its names stand for."""

    node: ast.AST
    name: str
    function: Callable[..., Any]
    owner: Any
    context: Context
    iterated: dict[str, ast.expr]
    """What each loop variable goes through."""
    scope: dict[str, Any]


def guesses(
    parameter: inspect.Parameter, function: Callable[..., Any], owner: Any, context: Context
) -> Iterator[Spec]:
    """Yield lists for an input whose items are given to layers one by one."""
    node, name = context.sources.function(function), parameter.name
    is_tensor = tensor_dtype(annotation_of(parameter, function)) is not None
    if node is None or is_tensor or not _may_be_list(node, name):
        return
    scope = {**getattr(function, "__globals__", {}), "self": owner}
    reader = _Reader(node, name, function, owner, context, dict(_iterated(node)), scope)
    items = _by_place(reader) or _in_step(reader)
    if items or not takes_several(parameter):  # what is only gone through may as well be a tensor
        yield from _several(items) if items else ()
        return
    item = next((spec for value in _items(reader) for spec in _asked(value, reader)), None)
    yield from (specs.sequence("list", [item] * count) for count in _COUNTS if item is not None)


def _may_be_list(node: ast.AST, name: str) -> bool:
    """Whether nothing is done with an input that lists do not allow."""
    for use in source.uses(node, {name}):
        parent = use.parents[0]
        if isinstance(parent, ast.Attribute) and parent.attr not in _METHODS_OF_LISTS:
            return False
        taker = (
            source.dotted(parent.func) if isinstance(parent, ast.Call) and use.node in parent.args else "len"
        )
        if (taker or "").rsplit(".", 1)[-1] not in _OF_LISTS:
            return False
        is_slice = isinstance(parent, ast.Subscript) and isinstance(parent.slice, ast.Tuple)
        if is_slice or isinstance(parent, (ast.BinOp, ast.UnaryOp, ast.keyword)):
            return False
    return True


def _iterated(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the variables of all loops, with what each goes through."""
    for loop in ast.walk(node):
        if isinstance(loop, (ast.For, ast.comprehension)):
            yield from _bound(loop.target, loop.iter)


def _bound(target: ast.expr, through: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    path = source.dotted(through.func) if isinstance(through, ast.Call) else None
    args = through.args if isinstance(through, ast.Call) else []
    parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else []
    if path == "enumerate" and args and len(parts) == 2:
        yield from _bound(parts[1], args[0])
    elif path == "zip" and len(parts) == len(args):
        for part, arg in zip(parts, args):
            yield from _bound(part, arg)
    elif path in ("reversed", "list", "tuple") and args:
        yield from _bound(target, args[0])
    elif isinstance(target, ast.Name):
        yield target.id, through


def _by_place(reader: _Reader) -> list[Spec]:
    """Return what is asked of ``xs[0]`` and ``xs[1]``, or of what ``a, b = xs`` takes them apart into."""
    found: dict[int, Spec] = {}
    unpacked = 0
    for use in source.uses(reader.node, {reader.name}):
        parent = use.parents[0]
        place = source.constant(parent.slice) if isinstance(parent, ast.Subscript) else None
        targets = parent.targets if isinstance(parent, ast.Assign) else []
        if type(place) is int and place >= 0 and isinstance(parent, ast.expr):
            asked = _asked(source.Use(parent, use.parents[1:]), reader)
            found.setdefault(place, next(asked, {}))
        elif targets and isinstance(targets[0], ast.Tuple):
            unpacked = len(targets[0].elts)
            for number, item in enumerate(targets[0].elts):
                found[number] = next(_asked_of_name(source.dotted(item), reader), {})
    known = next(filter(None, found.values()), None)
    count = max(unpacked, max(found, default=0) + 1)
    if known is None or not 1 < count <= _MOST:
        return []
    return [found.get(place) or known for place in range(count)]


def _in_step(reader: _Reader) -> list[Spec]:
    """Return what each layer of a list asks for where the items go through them one for one."""
    for value in _items(reader):
        call, place = inputs.call_of(value)
        layers = _layers(call.func, reader) if call is not None else None
        if layers is not None and 0 < len(layers) <= _MOST:
            first = [shapes.first_layer(layer) or layer for layer in layers]
            found = [next(inputs.layer_takes(item, place, reader.context), None) for item in first]
            known = next((spec for spec in found if spec is not None), None)
            return [] if known is None else [spec or known for spec in found]
    return []


def _layers(func: ast.expr, reader: _Reader) -> nn.ModuleList | None:
    """Return the list of layers that a call in a loop takes one of: ``layer(x)`` or ``self.layers[i](x)``."""
    holder: ast.expr | None = None
    if isinstance(func, ast.Name):
        holder = reader.iterated.get(func.id)
    elif isinstance(func, ast.Subscript) and source.constant(func.slice) is None:
        holder = func.value
    try:
        found = None if holder is None else source.evaluate(holder, reader.scope)
    except Exception:  # a local name
        return None
    return found if isinstance(found, nn.ModuleList) else None


def _items(reader: _Reader) -> Iterator[source.Use]:
    """Yield every place that reads an item: a loop variable, or ``xs[i]``."""
    for use in source.uses(reader.node, {reader.name}):
        parent = use.parents[0]
        if isinstance(parent, ast.Subscript) and parent.value is use.node and not _is_slice(parent):
            yield source.Use(parent, use.parents[1:])
            for target in getattr(use.parents[1], "targets", ()):
                path = source.dotted(target)
                yield from source.uses(reader.node, {path}) if path is not None else ()
    for variable, through in reader.iterated.items():
        if _list_of(through) == reader.name:
            yield from source.uses(reader.node, {variable})


def _is_slice(node: ast.Subscript) -> bool:
    return isinstance(node.slice, ast.Slice)


def _list_of(through: ast.expr) -> str | None:
    """Return the name of a list, or of the one that a part was taken from: ``xs[1:]``."""
    is_part = isinstance(through, ast.Subscript) and _is_slice(through)
    return source.dotted(through.value if is_part else through)  # type: ignore[attr-defined]


def _asked(use: source.Use, reader: _Reader) -> Iterator[Spec]:
    """Yield what is asked of an item at one of the places that read it."""
    if isinstance(use.node, ast.Name):
        yield from _asked_of_name(use.node.id, reader)
        return
    call, place = inputs.call_of(use)
    if call is not None:
        yield from inputs.taken(call, place, reader.scope, reader.context)
    for target in getattr(use.parents[0], "targets", ()):
        yield from _asked_of_name(source.dotted(target), reader)


def _asked_of_name(name: str | None, reader: _Reader) -> Iterator[Spec]:
    if name is not None and name != reader.name:
        yield from inputs.asked_in(reader.node, name, reader.function, reader.owner, reader.context)


def _several(items: list[Spec]) -> Iterator[Spec]:
    """Yield the items as they are, then maps of a pyramid: each half as large as the one before, or twice."""
    yield specs.sequence("list", items)
    if all(specs.is_floating(item) and len(item["shape"]) == 4 for item in items) and len(items) > 1:
        sides = [max(_LARGEST_SIDE >> place, 1) for place in range(len(items))]
        for order in (sides, sides[::-1]):
            maps = [{**item, "shape": [*item["shape"][:2], side, side]} for item, side in zip(items, order)]
            yield specs.sequence("list", maps)
