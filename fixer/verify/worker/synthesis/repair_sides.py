"""Repairs of sides and lengths: what kernels, pools and flattened features need."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from . import mismatch, names, room, specs

if TYPE_CHECKING:
    from .case import Case
    from .specs import Path, State

LARGEST_SIZE = 4096
LARGEST_VOLUME = 1_000_000
_SIDES = (32, 64, 28, 8, 128, 224, 48, 96, 256, 299)
_MOST_SIZES = 5
_MOST_PAIRS = 14
_MOST_NAMED = 3
_LEAST_SIDE = 5
_OF_VOLUME = 3
_LARGE_ITEM = 100_000
"""Numbers in one of a batch, from which on one is enough."""
_ROUNDING = 1e-6


def named_sides(case: Case) -> Iterator[State]:
    """Sides by their names: ``image_size``, or two of ``num_electrodes`` and ``window_size``."""
    known = case.probe.sides
    if not known or not _AT_ODDS.search(case.message):
        return
    single = [item[0] for item in known if len(item) == 1][:_MOST_NAMED]
    pairs = [item for item in known if len(item) == 2]
    pairs += [list(pair) for pair in itertools.permutations(single, 2)]
    pairs += [[side, side] for side in single]
    least = 3 if _DEPENDS_ON_SIDES.search(case.message) else 4  # else features are at odds, not sides
    volumes = [item for item in known if len(item) == _OF_VOLUME]
    for path, spec in case.suspects:
        shape = spec["shape"]
        several = [sides for sides in pairs if len(shape) >= least]
        several += [sides for sides in volumes if len(shape) == _OF_VOLUME + 2]
        for sides in several if specs.is_floating(spec) else ():
            changed = [*shape[: -len(sides)], *sides]
            if changed != shape and math.prod(changed) <= LARGEST_VOLUME:
                yield specs.replaced(case.state, path, {**spec, "shape": changed})


def sides_of_model(case: Case) -> Iterator[State]:
    """Sides that the model was built with: one for all (`image_size`), or two (`num_nodes`, `window`)."""
    if not _DEPENDS_ON_SIDES.search(case.message):
        return
    yield from _exact(case)
    if _has_kernels(case.probe.owner):  # else features alone do not fit
        yield from _in_one_direction(case)
    kept = [*case.probe.numbers, *getattr(case.probe.owner, "__dict__", {}).values()]
    sizes = list(dict.fromkeys(item for item in kept if type(item) is int and item >= _LEAST_SIDE))[
        :_MOST_SIZES
    ]
    places = sorted(itertools.product(range(len(sizes)), repeat=2), key=lambda pair: (max(pair), -pair[0]))
    pairs = sorted(((sizes[high], sizes[wide]) for high, wide in places[:_MOST_PAIRS]), key=math.prod)
    for path, spec in case.suspects:
        leading = spec["shape"][:-2]
        if len(spec["shape"]) >= 3 and specs.is_floating(spec):
            for pair in pairs:
                if math.prod(leading) * math.prod(pair) <= LARGEST_VOLUME:
                    yield specs.replaced(case.state, path, {**spec, "shape": [*leading, *pair]})


def _exact(case: Case) -> Iterator[State]:
    """The one side of a square that makes as many features as are wanted."""
    volume = mismatch.wanted_volume(case.message)
    pairs = [volume] if volume else list(mismatch.sizes(case.failure, case.probe.context.sources))[:1]
    for path, spec in case.suspects:
        leading, sides = spec["shape"][:2], spec["shape"][2:]
        for seen, wanted in pairs if len(set(sides)) == 1 else ():
            side = sides[0] * (wanted / max(seen, 1)) ** (1 / len(sides))
            changed = [*leading, *[round(side)] * len(sides)]
            is_whole = abs(side - round(side)) < _ROUNDING and round(side) != sides[0]
            if is_whole and 0 < math.prod(changed) <= LARGEST_VOLUME:
                yield specs.replaced(case.state, path, {**spec, "shape": changed})


def _has_kernels(owner: object) -> bool:
    """Whether a module convolves or pools, so that what comes out depends on the sides of what goes in."""
    modules = owner.modules() if isinstance(owner, nn.Module) else ()
    return any(hasattr(module, "kernel_size") for module in modules)


def _in_one_direction(case: Case) -> Iterator[State]:
    """As many features as are wanted by one side alone, or by a side of one: signals have a single one."""
    volume = mismatch.wanted_volume(case.message)
    pairs = [volume] if volume else list(mismatch.sizes(case.failure, case.probe.context.sources))[:1]
    for seen, wanted in pairs:
        ratio = wanted / max(seen, 1)
        yield from nearer(case, ratio)
        for path, spec in case.suspects:
            leading, sides = spec["shape"][:2], spec["shape"][2:]
            whole = round(math.prod(sides) * ratio)
            if len(sides) == 2 and 1 not in sides and 0 < whole <= LARGEST_SIZE:
                for changed in ([whole, 1], [1, whole]):
                    yield specs.replaced(case.state, path, {**spec, "shape": [*leading, *changed]})


_DEPENDS_ON_SIDES = re.compile(
    r"mat1 and mat2|invalid for input of size|[Kk]ernel size|[Oo]utput size is too small"
    r"|Padding size should be less|more than 1 spatial"
)


_AT_ODDS = re.compile(
    rf"{_DEPENDS_ON_SIDES.pattern}|must match the size|Sizes of tensors must match|broadcast|shape"
)


def other_sides(case: Case, ratio: float, are_larger: bool = False) -> Iterator[State]:
    """Yield images (and signals) with other sides, first those whose area has the ratio that is asked for.

    Images that are alike stay so.
    """
    groups: dict[tuple[int, ...], list[Path]] = {}
    for path, spec in case.suspects:
        if len(spec["shape"]) > 2:
            groups.setdefault(tuple(spec["shape"]), []).append(path)
    for shape, paths in groups.items():
        spatial = len(shape) - 2
        fitting = round(shape[-1] * ratio ** (1 / spatial))
        named = [int(number) for number in re.findall(r"\b\d{2,3}\b", case.message)]
        doubled = (2 * shape[-1],) if are_larger and spatial > 2 else ()  # skips need sides that halve well
        sides = (*named, *doubled, fitting, *_SIDES)
        for side in dict.fromkeys(side for side in sides if side > shape[-1] or not are_larger):
            if 0 < side <= LARGEST_SIZE and math.prod(shape[:2]) * side**spatial <= LARGEST_VOLUME:
                changed = case.state
                for path in paths:
                    spec = specs.at(case.state, path)
                    changed = specs.replaced(
                        changed, path, {**spec, "shape": [*shape[:2], *[side] * spatial]}
                    )
                yield changed


def nearer(case: Case, ratio: float) -> Iterator[State]:
    """Bring one side nearer to what would give the size that is wanted: it may depend on it in any way."""
    for path, spec in case.suspects:
        shape = spec["shape"]
        for axis in range(len(shape) - 1, 0, -1) if len(shape) > 2 else ():
            size = round(shape[axis] * ratio)
            if 0 < size <= LARGEST_SIZE and math.prod(shape) / shape[axis] * size <= LARGEST_VOLUME:
                yield specs.resized(case.state, path, axis, size)
        for axis in range(len(shape) - 1, 1, -1) if ratio != 1 else ():
            size = shape[axis] + (1 if ratio > 1 else -1)  # a kernel may leave little more than nothing of it
            if size > 0:
                yield specs.resized(case.state, path, axis, size)


_HALVED = re.compile(
    r"size of tensor a \(\d+\) must match the size of tensor b \(\d+\) at non-singleton dimension [2-4]"
    r"|Sizes of tensors must match except in dimension 1\."
)
_HALVES = (32, 64)


def often_halved(case: Case) -> Iterator[State]:
    """What was halved again and again and doubled as often is as large as before only if it was even."""
    if not _HALVED.search(case.message) or not _has_kernels(case.probe.owner):
        return
    for side in _HALVES:
        changed = case.state
        for path, spec in case.suspects:
            shape = spec["shape"]
            square = [*shape[:2], *[side] * (len(shape) - 2)]
            if len(shape) > 3 and min(shape[2:]) < side and math.prod(square) <= LARGEST_VOLUME:
                changed = specs.replaced(changed, path, {**spec, "shape": square})
        if changed != case.state:
            yield changed


def in_chunks(case: Case) -> Iterator[State]:
    """What is left of a side after it was halved again and again must divide into windows."""
    match = re.search(r"divide axis of length \d+ in chunks of (\d+)", case.message)
    for power in (2, 3, 4, 5, 1) if match else ():
        side, changed = int(match[1]) * 2**power if match else 0, case.state
        for path, spec in case.suspects:
            shape = [*spec["shape"][:2], *[side] * (len(spec["shape"]) - 2)]
            if len(shape) > 3 and math.prod(shape) <= LARGEST_VOLUME:
                changed = specs.replaced(changed, path, {**spec, "shape": shape})
        yield changed


_SMALL = (
    r"[Kk]ernel size|[Oo]utput size|too small|[Pp]adding size should be less|more than 1 (value|spatial)"
    r"|non-zero size|maximum size for tensor|at least|non-empty|greater than|unfold|sizes must be non-empty"
)


def too_small(case: Case) -> Iterator[State]:
    """Not enough room for a kernel, a pool or a statistic."""
    if not re.search(_SMALL, case.message, re.IGNORECASE):
        return
    if re.search(r"value|empty|(?<!spatial )element", case.message):
        yield from larger_batch(case)
    for path, spec in case.suspects:
        rank = len(spec["shape"])
        for size in (16, 64, 256, 1024) if rank == 3 else ():
            yield specs.resized(case.state, path, 2, size)
            yield specs.resized(case.state, path, 1, size)
        if rank == 2:
            yield specs.resized(case.state, path, 1, 4 * spec["shape"][1])
    yield from other_sides(case, 4.0, are_larger=True)


def larger_batch(case: Case) -> Iterator[State]:
    """Statistics and neighbours may need more rows than two."""
    changed = case.state
    for path, spec in case.tensors.items():
        if spec["shape"][:1] == [names.BATCH] and math.prod(spec["shape"]) <= LARGEST_VOLUME // names.WIDTH:
            changed = specs.resized(changed, path, 0, names.WIDTH)
    yield changed


def _growth(side: int, kernel: int) -> float:
    """Return how much larger a side has to be: a whole factor, unless the side is no mere remainder."""
    factor = max(kernel / max(side, 1), 1.0)
    return factor if side > 1 and factor > 2 else math.ceil(factor)


def room_for_kernel(case: Case) -> Iterator[State]:
    """Grow those sides alone that a kernel does not fit into, then each side alone: axes may be swapped."""
    sides = room.needed(case.failure)
    growth = [_growth(side, kernel) for side, kernel in sides]
    for path, spec in case.suspects if sides else ():
        shape = spec["shape"]
        first = len(shape) - len(growth)
        if first < 1:
            continue
        grown = [*shape[:first], *(math.ceil(size * factor) for size, factor in zip(shape[first:], growth))]
        alone = [
            {axis: math.ceil(shape[axis] * max(growth))} for axis in range(len(shape) - 1, first - 1, -1)
        ]
        for sizes in (dict(enumerate(grown)), *alone):
            changed = [sizes.get(axis, size) for axis, size in enumerate(shape)]
            if len(case.tensors) == 1 and changed[0] == names.BATCH and math.prod(changed[1:]) > _LARGE_ITEM:
                changed[0] = 1  # networks for such images are slow
            if max(changed) <= LARGEST_SIZE and math.prod(changed) <= LARGEST_VOLUME:
                yield specs.replaced(case.state, path, {**spec, "shape": changed})
