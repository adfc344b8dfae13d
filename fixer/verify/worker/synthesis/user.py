"""The first strategies: what the user or the class itself says about construction and inputs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from . import signatures, specs
from .recipe import Arguments

if TYPE_CHECKING:
    from .specs import Spec, State

CONVENTIONS = ("example_input_array", "dummy_inputs", "example_inputs", "example_input")


def configured_arguments(harness: dict[str, Any], parameters: list[inspect.Parameter]) -> State | None:
    """Return the constructor's arguments of a user's harness, None if it has none."""
    if "args" not in harness and "kwargs" not in harness:
        return None
    names = [parameter.name for parameter in parameters]
    args = list(harness.get("args") or [])
    place = signatures.place_of_variadic(parameters)
    if place is not None and place < len(args):
        args[place:] = [tuple(args[place:])]
    given = {**dict(zip(names, args)), **(harness.get("kwargs") or {})}
    described = {name: specs.spec_of(value) for name, value in given.items()}
    return {name: spec for name, spec in described.items() if spec is not None}


def configured_inputs(harness: dict[str, Any], parameters: list[inspect.Parameter]) -> Arguments | None:
    """Return the inputs of a user's harness: a list in the order of the parameters, or a dict by name."""
    given = harness.get("inputs")
    if not given:
        return None
    if isinstance(given, dict):
        return Arguments([], {name: _configured(entry) for name, entry in given.items()})
    names = [parameter.name for parameter in parameters] + [f"input_{place}" for place in range(len(given))]
    return Arguments([(names[place], _configured(entry)) for place, entry in enumerate(given)])


def _configured(entry: Any) -> Spec:
    if isinstance(entry, dict) and "shape" in entry:
        return specs.tensor(
            entry["shape"], entry.get("dtype", "float32"), entry.get("low"), entry.get("high")
        )
    return specs.spec_of(entry) or specs.literal(None)


def conventional_inputs(module: Any, parameters: list[inspect.Parameter]) -> Iterator[tuple[str, State]]:
    """Yield the inputs that the instance itself offers under a usual name."""
    names = [parameter.name for parameter in parameters]
    for name in CONVENTIONS:
        try:
            value = getattr(module, name, None)
        except Exception:  # a property may fail in any way
            continue
        if isinstance(value, torch.Tensor):
            value = (value,)
        entries = (
            value
            if isinstance(value, dict)
            else dict(zip(names, value))
            if isinstance(value, (tuple, list))
            else {}
        )
        described = {key: specs.spec_of(item) for key, item in entries.items()}
        if described and None not in described.values():
            yield name, {key: spec for key, spec in described.items() if spec is not None}
