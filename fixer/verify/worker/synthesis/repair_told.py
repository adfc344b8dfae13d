"""Repairs of sizes that only objects tell: a module holds a specification that knows its own dimension."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import specs

if TYPE_CHECKING:
    from .case import Case
    from .specs import Path, Spec, State

_LARGEST = 4096
_SIZES = 6
_PROPERTIES = 12
_COMBINATIONS = 24
_MOST_INPUTS = 3
_PLAIN = (int, float, str, bytes, list, dict, set, type(None), torch.Tensor, nn.Module)


def sizes_of_objects(case: Case) -> Iterator[State]:
    """Give the features of inputs a size that an object tells which the failing modules hold."""
    inputs = [(path, spec) for path, spec in case.suspects if specs.is_floating(spec) and spec["shape"]]
    named = _as_named(case, inputs)
    if named != case.state:
        yield named
    owners = [frame.scope.get("self") for frame in reversed(case.failure.own_frames)] + [case.probe.owner]
    sizes = list(dict.fromkeys(size for owner in owners for _, size in _told(owner)))[:_SIZES]
    places = inputs if len(inputs) <= _MOST_INPUTS else inputs[:1]
    alike = [(size,) * len(places) for size in sizes]
    mixed = itertools.product(sizes, repeat=len(places)) if len(places) > 1 else ()
    for combination in itertools.islice(dict.fromkeys([*alike, *mixed]) if places else (), _COMBINATIONS):
        changed = case.state
        for (path, _), size in zip(places, combination):
            changed = specs.resized(changed, path, -1, size)
        yield changed


def _as_named(case: Case, inputs: list[tuple[Path, Spec]]) -> State:
    """Give each input the first size of the object that is called after it: ``spec_points`` of ``points``."""
    changed = case.state
    for path, spec in inputs:
        size = next((size for name, size in _told(case.probe.owner) if path[0] in name), 0)
        if size:
            batch = spec["shape"][:-1] or spec["shape"]
            changed = specs.replaced(changed, path, {**spec, "shape": [*batch, size]})
    return changed


def _told(owner: Any) -> Iterator[tuple[str, int]]:
    """Yield the sizes that the objects tell which a module holds, with the names of its attributes.

    Objects of its package, that is, not torch's.
    """
    for name, value in list(getattr(owner, "__dict__", {}).items()):
        if not isinstance(value, _PLAIN) and type(value).__module__.split(".")[0] not in (
            "builtins",
            "torch",
        ):
            yield from ((name, size) for size in _properties(value))


def _properties(value: Any) -> Iterator[int]:
    """Yield the whole numbers among the properties of an object."""
    found = [
        name for cls in type(value).__mro__ for name, item in vars(cls).items() if type(item) is property
    ]
    for name in found[:_PROPERTIES]:
        try:
            size = getattr(value, name)
        except Exception:  # a property may do anything
            continue
        if type(size) is int and 0 < size <= _LARGEST:
            yield size
