"""Descriptions of values as plain JSON, and how to make the values they describe.

A spec is a dict with a ``kind``. Because it is data, the arguments found in one process make the same
values in another, for another version of the same class.
"""

from __future__ import annotations

import importlib
import math
import sys
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .tokens import Tokens

if TYPE_CHECKING:
    Spec = dict[str, Any]
    State = dict[str, Spec]
    Path = tuple[str, ...]

FLOATING = ("float32", "float64", "float16", "bfloat16")
COMPLEX = ("complex64", "complex128")


class Namespace(dict):  # type: ignore[type-arg]
    """A configuration or a batch: its entries are items and attributes alike."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"'Namespace' object has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __reduce__(self) -> Any:
        return Namespace, (dict(self),)


class PassThrough(nn.Module):
    """Stands for a module argument whose class nobody names: scales its first argument by a parameter.

    Of a list or a dict it scales whatever is in there: what it returns has to depend on the parameter.
    """

    def __init__(self, attributes: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        for name, value in (attributes or {}).items():
            setattr(self, name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the first argument, its floating tensors scaled."""
        return _scaled(args[0] if args else next(iter(kwargs.values()), self.scale), self.scale)


def _scaled(value: Any, scale: torch.Tensor) -> Any:
    if isinstance(value, torch.Tensor):
        return value * scale if value.is_floating_point() or value.is_complex() else value
    if type(value) in (list, tuple):
        return type(value)(_scaled(item, scale) for item in value)
    if type(value) is dict:
        return {key: _scaled(item, scale) for key, item in value.items()}
    return value


class Several(PassThrough):
    """Stands for a module that returns more than one thing: its arguments, scaled, as often as asked."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        super().__init__({name: value for name, value in attributes.items() if name != "count"})
        self.count: int = attributes["count"]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return as many as asked; the first argument where there are no more."""
        given = [item for item in (*args, *kwargs.values()) if isinstance(item, torch.Tensor)]
        first = super().forward(*args, **kwargs)
        rest = [super(Several, self).forward(item) for item in given[1 : self.count]]
        return (first, *rest, *[first] * (self.count - 1 - len(rest)))


class Record(PassThrough):
    """Stands for a module that returns an object: whatever is read off it is the first argument, scaled."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return an object all of whose attributes are the same."""
        return _Fields(super().forward(*args, **kwargs))


class _Fields:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.value

    def __getitem__(self, _key: Any) -> Any:
        return self.value


def per_sample(first: torch.Tensor, second: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:
    """Stand for a loss that is not reduced over the batch: how far two tensors are apart, for each sample."""
    return (first - second).square().flatten(1).mean(1)


def _loss(_attributes: dict[str, Any]) -> Callable[..., torch.Tensor]:
    return per_sample


class Batches(list):  # type: ignore[type-arg]
    """Stands for a data loader over a data set: a list of batches that is its own data set."""

    batch_size = 2

    @property
    def dataset(self) -> Batches:
        """What the loader loads from."""
        return self


class Anything:
    """Stands for a logger or a progress bar: takes every call, gives itself."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the only argument (a scaled loss, a wrapped iterable), else itself."""
        return args[0] if len(args) == 1 and not kwargs else self

    def __enter__(self) -> Anything:
        return self

    def __exit__(self, *_exception: Any) -> None:
        """Handle nothing."""

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class AnyLinear(nn.Linear):
    """A linear layer that takes, and ignores, further arguments (a context, a mask)."""

    def forward(self, *args: Any, **_kwargs: Any) -> torch.Tensor:
        """Map the first argument."""
        return super().forward(args[0])


def make_layer(*args: Any, **kwargs: Any) -> nn.Module:
    """Stand for a function that makes a network: a linear layer of the first two numbers it is given."""
    sizes = [value for value in [*args, *kwargs.values()] if type(value) is int and value > 0]
    return AnyLinear(sizes[0], sizes[1]) if len(sizes) > 1 else PassThrough()


def _layer_maker(_attributes: dict[str, Any]) -> Callable[..., nn.Module]:
    return make_layer


class Returns:
    """Stands for a method of a service (a data set that counts): takes every call, always gives the same."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Return the value."""
        return self.value


def _array(attributes: dict[str, Any]) -> Any:
    return attributes["value"].detach().numpy()


HELPERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "PassThrough": PassThrough,
    "Several": Several,
    "Record": Record,
    "PerSample": _loss,
    "make_layer": _layer_maker,
    "Anything": lambda _attributes: Anything(),
    "array": _array,
    "Tokens": lambda _attributes: Tokens(),
    "Returns": lambda attributes: Returns(attributes["value"]),
}
OPEN = ("PassThrough", "Several", "Record")
"""The helpers that can be given attributes."""
_BATCHES = 3
_MOST_VALUES = 4096


def literal(value: Any) -> Spec:
    """Describe None, a bool, a number or a string."""
    return {"kind": "literal", "value": value}


def sequence(kind: str, items: list[Spec]) -> Spec:
    """Describe a ``list``, ``tuple`` or ``set``."""
    return {"kind": kind, "items": items}


def namespace(items: dict[str, Spec] | None = None) -> Spec:
    """Describe an object whose entries are attributes and items."""
    return {"kind": "namespace", "items": dict(items or {})}


def tensor(
    shape: list[int] | tuple[int, ...],
    dtype: str = "float32",
    low: float | None = None,
    high: float | None = None,
) -> Spec:
    """Describe a tensor: normal if floating and unbounded, else uniform in [low, high)."""
    spec: Spec = {"kind": "tensor", "shape": [int(size) for size in shape], "dtype": dtype}
    if low is not None or high is not None:
        spec.update(low=low or 0, high=1 if high is None else high)
    elif dtype not in FLOATING + COMPLEX:
        spec.update(low=0, high=2)
    return spec


def named(value: Any) -> Spec:
    """Describe a class, function or constant that a module defines, by its dotted name."""
    return {"kind": "name", "module": value.__module__, "value": value.__qualname__}


def helper(name: str, **items: Spec) -> Spec:
    """Describe one of this module's stand-ins."""
    return {"kind": "helper", "value": name, "items": items}


def new(cls: type, arguments: dict[str, Spec] | None = None, positional: list[Spec] | None = None) -> Spec:
    """Describe an instance of a class."""
    return {"kind": "new", "class": named(cls), "args": positional or [], "kwargs": dict(arguments or {})}


def is_importable(value: Any) -> bool:
    """Whether `named(value)` will find the same object again."""
    try:
        return find_named(value.__module__, value.__qualname__, {}) is value
    except Exception:  # the object may define its attributes in any way it likes
        return False


def is_tensor(spec: Spec) -> bool:
    """Whether the spec describes a tensor."""
    return bool(spec["kind"] == "tensor")


def is_floating(spec: Spec) -> bool:
    """Whether the spec describes a floating tensor."""
    return is_tensor(spec) and spec["dtype"] in FLOATING


def is_integer(spec: Spec) -> bool:
    """Whether the spec describes a tensor of integers."""
    return is_tensor(spec) and spec["dtype"] in ("int64", "int32")


def is_none(spec: Spec) -> bool:
    """Whether the spec describes None."""
    return bool(spec["kind"] == "literal" and spec["value"] is None)


def spec_of(value: Any, exact: bool = False) -> Spec | None:
    """Describe a value that exists, or None if it cannot be described (tensors: by shape, type and range).

    `exact` keeps what stands in small tensors of integers: offsets and neighbours go with each other.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return literal(value)
    if isinstance(value, torch.Tensor):
        return _exactly(value) if exact else _spec_of_tensor(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        kind = "list" if isinstance(value, list) else "tuple" if isinstance(value, tuple) else "set"
        items = [spec_of(item, exact) for item in value]
        return None if None in items else sequence(kind, [item for item in items if item is not None])
    if isinstance(value, dict) or type(value).__name__ in ("SimpleNamespace", "Namespace"):
        entries = value if isinstance(value, dict) else vars(value)
        described = {key: spec_of(item, exact) for key, item in entries.items()}
        if all(isinstance(key, str) and item is not None for key, item in described.items()):
            return namespace({key: item for key, item in described.items() if item is not None})
        return None
    if isinstance(value, torch.dtype):
        return {"kind": "name", "module": "torch", "value": str(value).split(".")[1]}
    if isinstance(value, types.BuiltinFunctionType):  # ``torch.tanh`` does not say where it is
        name = value.__name__
        return {"kind": "name", "module": "torch", "value": name} if vars(torch).get(name) is value else None
    return named(value) if is_importable(value) else None


def _spec_of_tensor(value: torch.Tensor) -> Spec:
    dtype = str(value.dtype).split(".")[1]
    if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool or not value.numel():
        return tensor(list(value.shape), dtype)
    return tensor(list(value.shape), dtype, int(value.min()), int(value.max()) + 1)


def _exactly(value: torch.Tensor) -> Spec:
    spec = _spec_of_tensor(value)
    floats = value.is_floating_point() or value.is_complex()
    if floats or value.is_sparse or not 0 < value.numel() <= _MOST_VALUES:
        return spec
    return {**spec, "values": [int(item) for item in value.flatten().tolist()]}


def find_named(module: str, name: str, fallback: dict[str, Any]) -> Any:
    """Look a dotted name up in a module, or in `fallback` (the globals of a class) if there is none."""
    try:
        owner = sys.modules.get(module) or importlib.import_module(module)
        entries: dict[str, Any] = vars(owner)
    except ImportError:
        entries = fallback
    first, *rest = name.split(".")
    found = entries[first] if first in entries else fallback[first]
    for part in rest:
        found = getattr(found, part)
    return found


def _drawn_as(dtype: torch.dtype) -> torch.dtype:
    return torch.complex64 if dtype.is_complex else torch.float32


class Maker:
    """Makes the values that specs describe; floating tensors become leaves if `leaves`."""

    def __init__(
        self,
        seed: int,
        dtype: torch.dtype | None = None,
        leaves: bool = False,
        scope: dict[str, Any] | None = None,
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.leaves = leaves
        self.scope = scope or {}
        self.tensors: dict[Path, torch.Tensor] = {}
        self.made: dict[str, Any] = {}

    def make(self, spec: Spec, path: Path = ()) -> Any:
        """Make one value; the tensors in it are remembered under their paths."""
        make: Callable[[Spec, Path], Any] = getattr(self, "_" + spec["kind"])
        return make(spec, path)

    def _literal(self, spec: Spec, _path: Path) -> Any:
        return spec["value"]

    def _list(self, spec: Spec, path: Path) -> list[Any]:
        return [self.make(item, (*path, str(index))) for index, item in enumerate(spec["items"])]

    def _tuple(self, spec: Spec, path: Path) -> tuple[Any, ...]:
        return tuple(self._list(spec, path))

    def _set(self, spec: Spec, path: Path) -> set[Any]:
        return set(self._list(spec, path))

    def _namespace(self, spec: Spec, path: Path) -> Namespace:
        return Namespace({key: self.make(item, (*path, key)) for key, item in spec["items"].items()})

    def _name(self, spec: Spec, _path: Path) -> Any:
        return find_named(spec["module"], spec["value"], self.scope)

    def _helper(self, spec: Spec, path: Path) -> Any:
        items = {key: self.make(item, (*path, key)) for key, item in spec["items"].items()}
        return self._converted(HELPERS[spec["value"]](items))

    def _new(self, spec: Spec, path: Path) -> Any:
        cls = self.make(spec["class"], path)
        args = [self.make(item, (*path, str(index))) for index, item in enumerate(spec["args"])]
        kwargs = {key: self.make(item, (*path, key)) for key, item in spec["kwargs"].items()}
        return self._converted(cls(*args, **kwargs))

    def _batches(self, spec: Spec, path: Path) -> Batches:
        return Batches(self.make(spec["items"][0], (*path, "0")) for _ in range(_BATCHES))

    def _parameters(self, _spec: Spec, _path: Path) -> Any:
        """The parameters of the first model among the arguments that are made already."""
        model = next((value for value in self.made.values() if isinstance(value, nn.Module)), None)
        return [nn.Parameter(torch.ones(2))] if model is None else model.parameters()

    def _converted(self, value: Any) -> Any:
        return value.to(self.dtype) if self.dtype is not None and isinstance(value, nn.Module) else value

    def _tensor(self, spec: Spec, path: Path) -> torch.Tensor:
        dtype: torch.dtype = getattr(torch, spec["dtype"])
        value = self._draw(spec, dtype)
        if value.is_floating_point() or value.is_complex():
            if self.dtype is not None and value.is_floating_point():
                value = value.to(self.dtype)
            value.requires_grad_(self.leaves)
        self.tensors[path] = value
        return value

    def _draw(self, spec: Spec, dtype: torch.dtype) -> torch.Tensor:
        shape, low, high = spec["shape"], spec.get("low"), spec.get("high")
        if len(spec.get("values", ())) == math.prod(shape) and "values" in spec:
            return torch.tensor(spec["values"]).reshape(shape).to(dtype)
        if spec.get("definite") and shape[-2:-1] == shape[-1:]:
            factor = torch.randn(shape, generator=self.generator, dtype=_drawn_as(dtype))
            whole: torch.Tensor = factor @ factor.mH / shape[-1] + torch.eye(shape[-1])
            return whole.to(dtype)
        if low is None or high is None:
            normal: torch.Tensor = torch.randn(shape, generator=self.generator, dtype=_drawn_as(dtype))
            return normal.to(dtype)
        if dtype.is_floating_point or dtype.is_complex:
            uniform: torch.Tensor = torch.rand(shape, generator=self.generator) * (high - low) + low
            return uniform.to(dtype)
        if spec.get("distinct") and shape[:1] == [2] and len(shape) == 2 and shape[1] <= int(high) ** 2:
            pairs = torch.randperm(int(high) ** 2, generator=self.generator)[: shape[1]]
            return torch.stack([pairs // int(high), pairs % int(high)]).to(dtype)
        integers: torch.Tensor = torch.randint(
            int(low), max(int(high), int(low) + 1), shape, generator=self.generator
        )
        return integers.to(dtype)


def _field(spec: Spec) -> str:
    """Return where a spec keeps those of what it holds: an object's, among its arguments."""
    return "kwargs" if spec["kind"] == "new" else "items"


def leaves(spec: Spec, path: Path = ()) -> Iterator[tuple[Path, Spec]]:
    """Yield every spec that holds no other, with its path."""
    items = spec.get(_field(spec))
    if isinstance(items, dict):
        for key, item in items.items():
            yield from leaves(item, (*path, key))
    elif isinstance(items, list):
        for index, item in enumerate(items):
            yield from leaves(item, (*path, str(index)))
    else:
        yield path, spec


def namespaces(spec: Spec, path: Path) -> Iterator[tuple[Path, Spec]]:
    """Yield every spec whose entries can be added to, with its path."""
    if spec["kind"] == "namespace" or (spec["kind"] == "helper" and spec["value"] in OPEN):
        yield path, spec
    items = spec.get(_field(spec))
    for key, item in items.items() if isinstance(items, dict) else ():
        yield from namespaces(item, (*path, key))


def holders(spec: Spec, path: Path) -> Iterator[tuple[Path, Spec]]:
    """Yield every spec that may hold others, with its path: objects, lists, records."""
    items = spec.get(_field(spec))
    if items is not None:
        yield path, spec
    for key, item in items.items() if isinstance(items, dict) else enumerate(items or ()):
        yield from holders(item, (*path, str(key)))


def at(state: State, path: Path) -> Spec:
    """Return the spec at a path."""
    spec = state[path[0]]
    for step in path[1:]:
        items = spec[_field(spec)]
        spec = items[int(step) if isinstance(items, list) else step]
    return spec


def replaced(state: State, path: Path, spec: Spec) -> State:
    """Return the state with another spec at a path."""
    return {**state, path[0]: _replaced(state[path[0]], path[1:], spec) if path[1:] else spec}


def _replaced(owner: Spec, path: Path, spec: Spec) -> Spec:
    if not path:
        return spec
    items = owner[_field(owner)]
    if isinstance(items, list):
        position = int(path[0])
        changed: Any = [*items[:position], _replaced(items[position], path[1:], spec), *items[position + 1 :]]
    else:
        changed = {**items, path[0]: _replaced(items[path[0]], path[1:], spec) if path[0] in items else spec}
    return {**owner, _field(owner): changed}


def resized(state: State, path: Path, axis: int, size: int) -> State:
    """Return the state with another size of one axis of a tensor."""
    spec = at(state, path)
    shape = list(spec["shape"])
    shape[axis] = size
    return replaced(state, path, {**spec, "shape": shape})


def text_of(spec: Spec) -> str:
    """Write a spec as Python people would: ``float32[2, 8]``, ``[3, 3]``, ``Encoder(width=8)``."""
    kind = spec["kind"]
    if kind == "literal":
        return repr(spec["value"])
    if kind == "tensor":
        return f"{spec['dtype']}[{', '.join(map(str, spec['shape']))}]"
    if kind == "name":
        return str(spec["value"])
    if kind == "parameters":
        return "parameters()"
    if kind == "new":
        parts = [text_of(item) for item in spec["args"]]
        parts += [f"{key}={text_of(item)}" for key, item in spec["kwargs"].items()]
        return f"{spec['class']['value']}({', '.join(parts)})"
    if spec == helper("make_layer"):
        return "make_layer"
    if kind in ("namespace", "helper"):
        name = "Namespace" if kind == "namespace" else spec["value"]
        return f"{name}({', '.join(f'{key}={text_of(item)}' for key, item in spec['items'].items())})"
    if kind == "batches":
        return f"Batches of {text_of(spec['items'][0])}"
    brackets = {"list": "[]", "tuple": "()", "set": "{}"}[kind]
    comma = "," if kind == "tuple" and len(spec["items"]) == 1 else ""
    return brackets[0] + ", ".join(map(text_of, spec["items"])) + comma + brackets[1]
