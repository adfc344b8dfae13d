"""Repairs of inputs that are series: as long and as wide as the model was told that they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import names, specs

if TYPE_CHECKING:
    from .case import Case
    from .specs import State

_LENGTH = re.compile(
    r"^(n|num)_?(time)?_?steps$|^n_times?$|^seq(uence)?_?len(gth)?$|^(lookback|window|horizon|n_timestamps)$"
    r"|^(input|context|history|hist|window|lookback|time|in)_?(len|length|size|steps|chunk_length|timesteps)$"
)
_WIDTH = re.compile(
    r"^(n|num)_(features?|feats?|var(iable)?s|series|channels|chans|nodes|sensors|inputs)$|^(c|enc)_in$"
    r"|^(feature|feat|input|in)_(dim|dims|size|features|channels|num)$|^d_input$|^n_?features$|^nvars$"
)
_LARGEST = 512
_SERIES = 3
_ABOUT_SHAPES = (RuntimeError, IndexError, ValueError, AssertionError)


def known(case: Case) -> Iterator[State]:
    """All floating inputs become series: steps and features as the model was built for, in either order."""
    if not isinstance(case.failure.error, _ABOUT_SHAPES):
        return
    values = getattr(case.probe, "values", {})
    lengths, widths = _told(values, _LENGTH), _told(values, _WIDTH)
    for length in [item for item in lengths[:2] if widths]:
        for shape in ([names.BATCH, length, widths[0]], [names.BATCH, widths[0], length]):
            changed = case.state
            for path, spec in case.tensors.items():
                if specs.is_floating(spec) and 0 < len(spec["shape"]) <= _SERIES:
                    changed = specs.replaced(changed, path, {**spec, "shape": shape})
            if changed != case.state:
                yield changed


def _told(values: dict[str, Any], wanted: re.Pattern[str]) -> list[int]:
    """Return the numbers that a model was built with under such names."""
    return [
        value
        for name, value in values.items()
        if wanted.search(name) and type(value) is int and 0 < value <= _LARGEST
    ]
