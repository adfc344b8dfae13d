"""Arguments that make a smaller model of the same kind: ratios and divisibility stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import names, signatures, specs

if TYPE_CHECKING:
    from .repair_arguments import Plan
    from .specs import Spec, State

_SHRINK_FROM = 16


def shrunk(state: State, plan: Plan) -> Iterator[State]:
    """Yield arguments that make a smaller model; nothing if none of them is a size.

    Sides of images, kernels and strides stay as they are at first: others depend on them, few parameters do.
    """
    defaults = {name: specs.spec_of(value) for name, value in plan.defaults.items() if name not in state}
    given = {**state, **{name: spec for name, spec in defaults.items() if spec is not None}}
    for factor in (8, 4, 16, 32, 2):
        changed = {name: _shrunk(spec, factor) for name, spec in given.items()}
        smaller = {name: spec for name, spec in changed.items() if name in state or spec != given[name]}
        alike = {
            name: given[name] if name in state and (names.is_side(name) or names.is_step(name)) else spec
            for name, spec in smaller.items()
        }
        for found in (alike, smaller):
            if found != state and (found is smaller or found != smaller):
                yield found


def _shrunk(spec: Spec, factor: int) -> Spec:
    value = spec.get("value")
    if spec["kind"] == "literal" and type(value) is int and value >= _SHRINK_FROM:
        return specs.literal(max(value // factor, 4))
    if spec["kind"] == "new":
        spec = {**spec, "kwargs": {**_large_defaults(spec["class"]), **spec["kwargs"]}}
    for field in ("items", "kwargs"):
        held = spec.get(field)
        if isinstance(held, dict):
            spec = {**spec, field: {key: _shrunk(item, factor) for key, item in held.items()}}
        elif isinstance(held, list):
            spec = {**spec, field: [_shrunk(item, factor) for item in held]}
    return spec


def _large_defaults(named: Spec) -> State:
    """Return the defaults of a class (a configuration, say) that are worth shrinking."""
    cls = specs.find_named(named["module"], named["value"], {})
    defaults = {item.name: item.default for item in signatures.constructor_parameters(cls)}
    return {
        name: specs.literal(value)
        for name, value in defaults.items()
        if type(value) is int and value >= _SHRINK_FROM
    }
