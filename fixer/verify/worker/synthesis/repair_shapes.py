"""Repairs of ranks, sizes and ranges: every step takes the `Case` and yields other inputs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from . import mismatch, names, shapes, specs
from .repair_sides import (
    LARGEST_SIZE,
    LARGEST_VOLUME,
    in_chunks,
    named_sides,
    nearer,
    often_halved,
    other_sides,
    room_for_kernel,
    sides_of_model,
    too_small,
)

if TYPE_CHECKING:
    from .case import Case
    from .specs import Spec, State


def expected_by_layer(case: Case) -> Iterator[State]:
    """A layer that refused an input as it came says itself what it takes."""
    known = {id(value): path for path, value in case.failure.tensors.items()}
    for frame in reversed(case.failure.frames):
        layer = frame.scope.get("self")
        wanted = shapes.expected(layer) if isinstance(layer, nn.Module) else None
        for value in list(frame.scope.values()) if wanted is not None else ():
            if wanted is not None and isinstance(value, torch.Tensor) and id(value) in known:
                path = known[id(value)]
                given = specs.at(case.state, path)
                if len(given["shape"]) >= len(wanted["shape"]):
                    yield specs.replaced(case.state, path, {**wanted, "shape": _with_features(given, wanted)})
                yield specs.replaced(case.state, path, wanted)


def _with_features(given: Spec, wanted: Spec) -> list[int]:
    """Return the shape that was given with the number of features that is wanted."""
    shape, rank = list(given["shape"]), len(wanted["shape"])
    shape[-1 if rank <= 3 else 1] = wanted["shape"][shapes.feature_axis(rank)]
    return shape


def _wrong_rank(case: Case) -> Iterator[State]:
    """The message asks for a number of dimensions."""
    wanted = mismatch.ranks(case.message) or list(
        mismatch.guarded_ranks(case.failure, case.probe.context.sources)
    )
    change = mismatch.rank_change(case.message)
    if change:
        yield from _reranked_by(case, change)
    yield from _as_template(case)
    yield from _joined(case)
    for rank in wanted:
        yield _all_reranked(case, rank)
    for rank in wanted:
        for path, spec in case.suspects:
            if len(spec["shape"]) != rank:
                yield specs.replaced(case.state, path, shapes.reranked(spec, rank))
    if re.search(
        r"out of range(?! in self)|unpack|too many indices|same number of dim|len\(dims\)|not compatible",
        case.message,
    ):
        for other in (1, -1, 2):
            yield from _reranked_by(case, other)


def _joined(case: Case) -> Iterator[State]:
    """Two tensors of different ranks were joined: those that were, and what is in one list with them."""
    near = {path[0] for path in case.involved}
    for rank in mismatch.joined_ranks(case.message):
        changed = case.state
        for path, spec in case.suspects:
            if path[0] in near and specs.is_floating(spec) and len(spec["shape"]) != rank:
                changed = specs.replaced(changed, path, shapes.reranked(spec, rank))
        yield changed


def _as_template(case: Case) -> Iterator[State]:
    """The message spells the shape out: ``['B', '3', 'H', 'W']``."""
    template = mismatch.template(case.message)
    for path, spec in case.suspects if any(template) else ():
        usual = spec["shape"] if len(spec["shape"]) == len(template) else shapes.plain(len(template))
        shape = [size or given for size, given in zip(template, usual)]
        if specs.is_floating(spec) and math.prod(shape) <= LARGEST_VOLUME:
            yield specs.replaced(case.state, path, {**spec, "shape": shape})


def _all_reranked(case: Case, rank: int, is_wanted: Callable[[Spec], bool] = specs.is_floating) -> State:
    """Give all inputs of a type the same rank."""
    changed = case.state
    for path, spec in case.suspects:
        if is_wanted(spec) and len(spec["shape"]) != rank:
            changed = specs.replaced(changed, path, shapes.reranked(spec, rank))
    return changed


def _reranked_by(case: Case, change: int) -> Iterator[State]:
    for path, spec in case.suspects:
        if 0 < len(spec["shape"]) + change <= 5:
            yield specs.replaced(case.state, path, shapes.reranked(spec, len(spec["shape"]) + change))
            if change == 1:  # a sequence of what was given
                yield specs.replaced(case.state, path, {**spec, "shape": [names.BATCH, *spec["shape"]]})


def _wrong_size(case: Case) -> Iterator[State]:
    """The message, or the guard that raised, says which size it saw and which it wanted."""
    for seen_shape, wanted_shape in mismatch.whole_shapes(case.message):
        matching = [(path, spec) for path, spec in case.suspects if spec["shape"] == seen_shape]
        changed = case.state
        for path, spec in matching:
            changed = specs.replaced(changed, path, {**spec, "shape": wanted_shape})
            yield specs.replaced(case.state, path, {**spec, "shape": wanted_shape})
        if len(matching) > 1:
            yield changed
    pairs = list(dict.fromkeys(mismatch.sizes(case.failure, case.probe.context.sources)))[:8]
    yield from _swapped(case, pairs)
    for seen, wanted in pairs:
        for path, spec in case.suspects:
            axes = [
                axis for axis in _axes(spec) if spec["shape"][axis] == seen and 0 < wanted <= LARGEST_SIZE
            ]
            if len(axes) > 1:
                everywhere = [wanted if size == seen else size for size in spec["shape"]]
                yield specs.replaced(case.state, path, {**spec, "shape": everywhere})
            yield from (specs.resized(case.state, path, axis, wanted) for axis in axes)
    for seen, wanted in pairs:
        for path, spec in case.suspects:
            for axis in _axes(spec):
                size = spec["shape"][axis]
                for other in dict.fromkeys(_in_proportion(size, seen, wanted)):
                    if other == int(other) and 0 < other <= LARGEST_SIZE:
                        yield specs.resized(case.state, path, axis, int(other))
        yield from _all_resized(case, wanted / max(seen, 1))
        yield from other_sides(case, wanted / max(seen, 1))
        yield from nearer(case, wanted / max(seen, 1))


def _in_proportion(size: int, seen: int, wanted: int) -> tuple[float, ...]:
    """Return sizes that may make what was seen what was wanted: a part of it, a factor twice, a summand."""
    seen = max(seen, 1)
    return (size * wanted / seen, size * math.sqrt(wanted / seen), size + wanted - seen)


def _swapped(case: Case, pairs: list[tuple[int, int]]) -> Iterator[State]:
    """Both sizes are there, on each other's axes: features stand before the length, or behind it."""
    for seen, wanted in pairs:
        for path, spec in case.suspects:
            shape = spec["shape"]
            if seen != wanted and shape[1:].count(seen) == 1 and shape[1:].count(wanted) == 1:
                other = {seen: wanted, wanted: seen}
                changed = [shape[0], *(other.get(size, size) for size in shape[1:])]
                yield specs.replaced(case.state, path, {**spec, "shape": changed})


def _all_resized(case: Case, ratio: float) -> Iterator[State]:
    """What was concatenated grows and shrinks together."""
    changed = case.state
    for path, spec in case.suspects:
        axis = shapes.feature_axis(len(spec["shape"]))
        if specs.is_floating(spec) and spec["shape"]:
            changed = specs.resized(changed, path, axis, max(round(spec["shape"][axis] * ratio), 1))
    yield changed


def _axes(spec: Spec) -> list[int]:
    """Return the axes of a tensor, features first and the batch last."""
    rank = len(spec["shape"])
    return list(dict.fromkeys([shapes.feature_axis(rank), *range(rank - 1, 0, -1), 0])) if rank else []


def _wrong_volume(case: Case) -> Iterator[State]:
    """A ``view`` that does not fit: another size of some axis makes the product right."""
    volume = mismatch.wanted_volume(case.message)
    if volume is None:
        return
    seen, wanted = volume
    whole = mismatch.viewed_as(case.message)
    if whole and wanted <= LARGEST_VOLUME:
        yield from (
            specs.replaced(case.state, path, {**spec, "shape": whole}) for path, spec in case.suspects
        )
    if any(len(spec["shape"]) >= 4 for _, spec in case.suspects):
        yield from other_sides(case, wanted / max(seen, 1))
    yield from same_rank(case)
    for path, spec in case.suspects:
        for axis in _axes(spec):
            size = spec["shape"][axis]
            exact = size * wanted // max(seen, 1) if size * wanted % max(seen, 1) == 0 else 0
            multiple = size * wanted // max(math.gcd(seen, wanted), 1)
            for other in dict.fromkeys((exact, multiple, wanted)):
                if 0 < other <= 1024:
                    yield specs.resized(case.state, path, axis, other)
        if len(spec["shape"]) > 1 and wanted <= LARGEST_SIZE:
            yield specs.replaced(case.state, path, {**spec, "shape": [spec["shape"][0], wanted]})
    yield from other_sides(case, wanted / max(seen, 1))


_NUMBER_NOT_KNOWN = re.compile(r"^KeyError: '?-?\d+'?$|\b(all|must|should)\b.*\b(the same|equal|identical)\b")


def _all_the_same(case: Case) -> Iterator[State]:
    """Integers that tell cases apart (tasks, domains): zero or one throughout, as most models have those."""
    for number in (0, 1) if _NUMBER_NOT_KNOWN.search(case.message) else ():
        for path, spec in case.suspects:
            if specs.is_integer(spec):
                yield specs.replaced(case.state, path, {**spec, "low": number, "high": number + 1})
        for name in case.blamed:
            if type(case.state[name].get("value")) is int:
                yield {**case.state, name: specs.literal(number)}


def _out_of_range(case: Case) -> Iterator[State]:
    """An index that is too large: smaller integers, or more of what is indexed."""
    if not re.search(
        r"out of (range|bounds)|index \d+|Class values must be|less than|smaller than", case.message
    ):
        return
    for high in (2, 1):
        for path, spec in case.suspects:
            if spec["dtype"] in ("int64", "int32") and spec["high"] > high:
                yield specs.replaced(case.state, path, {**spec, "low": 0, "high": high})
    for path, spec in case.suspects:  # numbers that the code itself makes integers of
        if specs.is_floating(spec) and "high" not in spec:
            yield specs.replaced(case.state, path, {**spec, "low": 0, "high": 2})
            yield specs.replaced(case.state, path, {**spec, "low": 0, "high": 1})  # a place between two ends
    match = re.search(
        r"index (-?\d+) is out of bounds for dimension \d+ with size (\d+)|=(\d+)\) out of bounds \((\d+)\)",
        case.message,
    )
    index, size = [int(group) for group in match.groups() if group is not None] if match else (0, 0)
    for path, spec in case.suspects if match else ():
        for axis in _axes(spec):
            if spec["shape"][axis] == size:
                yield specs.resized(case.state, path, axis, abs(index) + 1)


def _wrong_lengths(case: Case) -> Iterator[State]:
    """Lengths must not exceed the sequence, and must be in order: all alike is both."""
    if not re.search(r"length", case.message, re.IGNORECASE):
        return
    for path, spec in case.suspects:
        if spec["dtype"] == "int64" and len(spec["shape"]) == 1:
            for length in (names.LENGTH, names.BATCH, 1):
                yield specs.replaced(case.state, path, {**spec, "low": length, "high": length + 1})


STEPS: tuple[Callable[[Case], Iterator[State]], ...] = (
    _all_the_same,
    _wrong_rank,
    room_for_kernel,
    named_sides,
    sides_of_model,
    in_chunks,
    often_halved,
    _wrong_size,
    _wrong_volume,
    _out_of_range,
    _wrong_lengths,
    too_small,
)
"""The steps that a message calls for."""


def alike(case: Case) -> Iterator[State]:
    """Two inputs may have to agree: give one the shape of the other."""
    for path, spec in case.suspects:
        for other in case.tensors.values():
            if spec["shape"] != other["shape"]:
                yield specs.replaced(case.state, path, {**spec, "shape": other["shape"]})


def same_rank(case: Case) -> Iterator[State]:
    """Another rank for all floating inputs at once, or for all integers."""
    for is_wanted in (specs.is_floating, specs.is_integer):
        yield from (_all_reranked(case, rank, is_wanted) for rank in (3, 2, 4, 1))


def other_rank(case: Case) -> Iterator[State]:
    """Any other rank, whatever the message says."""
    for path, spec in case.suspects:
        for rank in (2, 3, 4, 1, 5):
            if len(spec["shape"]) != rank:
                yield specs.replaced(case.state, path, shapes.reranked(spec, rank))


def known_sizes(case: Case) -> Iterator[State]:
    """The sizes that the failing objects hold as attributes, and those of their parameters."""
    owners = [frame.scope.get("self") for frame in reversed(case.failure.own_frames)] + [case.probe.owner]
    sizes: dict[int, None] = {}
    for owner in owners:
        for value in list(getattr(owner, "__dict__", {}).values()):
            items = value if isinstance(value, (tuple, list)) and len(value) <= 4 else [value]
            sizes.update((item, None) for item in items if type(item) is int and 0 < item <= 1024)
        if isinstance(owner, nn.Module):
            held = [*owner.parameters(recurse=False), *owner.buffers(recurse=False)]
            sizes.update((size, None) for value in held for size in _shape(value) if 0 < size <= 1024)
    for path, spec in case.suspects:
        for size in list(sizes)[:12]:
            for axis in _axes(spec):
                yield specs.resized(case.state, path, axis, size)


def _shape(value: torch.Tensor) -> list[int]:
    return [] if nn.parameter.is_lazy(value) else list(value.shape)
