"""Reads out of an exception how large something has to be for a kernel, a pool or a padding."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .probing import Failure

_KERNEL = r"input size per channel: \(([\dx ]+)\)\. Kernel size: \(([\dx ]+)\)"
_PADDED = r"got: padding \(([\d, ]+)\) at dimension (\d+) of input \[([\d, ]+)\]"
_POOLED = r"input size: \(\d+x([\dx]+)\)\. Calculated output size: \(\d+x([-\dx]+)\)"
_POOLED_ENOUGH = 4
_FIRST_SIDE = 2


def needed(failure: Failure) -> list[tuple[int, int]]:
    """Return each side with the least that it has to be, empty if the message names none."""
    message = failure.message
    match = re.search(_KERNEL, message)
    if match:
        sides, kernel = ([int(side) for side in group.split("x")] for group in match.groups())
        return list(zip(sides, kernel))
    match = re.search(_PADDED, message)
    if match:
        pads, dimension, sides = _numbers(match[1]), int(match[2]), _numbers(match[3])
        return [
            (side, max(pads) + 1 if place == dimension else side)
            for place, side in enumerate(sides)
            if place >= min(dimension, _FIRST_SIDE)
        ]
    match = re.search(_POOLED, message)
    if match:
        sides, pooled = ([int(side) for side in group.split("x")] for group in match.groups())
        pools = _pools(failure, len(sides))
        if pools:
            return list(zip(sides, pools))
        return [(side, side if out > 0 else _pool(side, out)) for side, out in zip(sides, pooled)]
    return []


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _pools(failure: Failure, count: int) -> list[int]:
    """Return the sides of the pool that has failed, empty if it cannot be told; no message does."""
    scope = failure.frames[-1].scope if failure.frames else {}
    size: Any = scope.get("kernel_size", getattr(scope.get("self"), "kernel_size", None))
    pools = list(size) if isinstance(size, (tuple, list)) else [size] * count
    return pools if len(pools) == count and all(type(side) is int and side > 0 for side in pools) else []


def _pool(side: int, out: int) -> int:
    """Return how large a pool is that makes so little of a side; its stride is one unless nothing is left."""
    return side - out + 1 if out < 0 else side * _POOLED_ENOUGH
