"""Turns the failure of a forward call into inputs worth trying next, likeliest first.

Every step has the same shape: it takes the `Case` and yields other inputs.
"""

from __future__ import annotations

import ast
import functools
import itertools
import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from torch import nn

from . import (
    distributions,
    inputs,
    mismatch,
    names,
    repair_fields,
    repair_series,
    repair_shapes,
    repair_sides,
    repair_told,
    repair_types,
    shapes,
    source,
    specs,
)
from .annotations import hinted
from .arguments import ABSENT, without_absent
from .case import Case
from .kinds import modules_with, of_kind
from .repair_objects import within
from .repair_values import is_named
from .roles import in_role
from .search import until_it_fails
from .uses import KIND_OF_METHOD

if TYPE_CHECKING:
    from .case import Probe
    from .probing import Failure
    from .specs import Path, Spec, State


_LARGEST_TENSOR = 1_000_000
_AT_ODDS = re.compile(r"must match|[Ss]hape mismatch|same (size|shape|dim)|broadcast|[Ss]izes of tensors")
"""Two tensors do not fit together: what changes one of them alone comes first."""


def repairs(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    """Yield inputs to try after a failure."""
    case = Case(failure, state, probe)
    at_odds = _AT_ODDS.search(failure.message) is not None
    for step in _STEPS:
        for changed in filter(functools.partial(_is_small, state), until_it_fails(step(case))):
            together = _together(case, changed)
            if together is None:
                yield changed
            else:
                yield from (changed, together) if at_odds else (together, changed)


def _is_small(before: State, changed: State) -> bool:
    """Whether no tensor has grown beyond what a quick call takes."""
    return changed is before or all(
        math.prod(spec["shape"]) <= _LARGEST_TENSOR
        for name, value in changed.items()
        if value is not before.get(name)
        for _, spec in specs.leaves(value)
        if specs.is_tensor(spec)
    )


def _together(case: Case, changed: State) -> State | None:
    """Give the other inputs that had the same shape the new shape, too; None if there are none."""
    reshaped = {
        tuple(spec["shape"]): path
        for path, spec in case.tensors.items()
        if path[0] in changed and _shape_at(changed, path) not in (None, spec["shape"])
    }
    if len(reshaped) != 1:
        return None
    (shape, path), together = next(iter(reshaped.items())), changed
    for other, spec in case.tensors.items():
        is_alike = tuple(spec["shape"]) == shape and spec["dtype"] == case.tensors[path]["dtype"]
        if is_alike and other[0] in together and _shape_at(together, other) == spec["shape"]:
            alike = {**spec, "shape": _shape_at(changed, path)}
            together = specs.replaced(together, other, alike)
    return together if together != changed else None


def _shape_at(state: State, path: Path) -> list[int] | None:
    """Return the shape of the tensor at a path, None if something else is there now."""
    try:
        spec = specs.at(state, path)
    except (KeyError, IndexError, ValueError):
        return None
    return spec["shape"] if specs.is_tensor(spec) else None


def _missing_argument(case: Case) -> Iterator[State]:
    match = re.search(r"missing \d+ required .*?arguments?: (.*)", case.message)
    for name in re.findall(r"'(\w+)'", match[1]) if match else ():
        yield from ({**case.state, name: spec} for spec in case.probe.guesses(name)[:4] if spec != ABSENT)


def _missing_entry(case: Case) -> Iterator[State]:
    """A batch or a configuration lacks an entry, a stand-in an attribute: add what the name stands for."""
    key = mismatch.missing_key(case.failure)
    if key is None:
        yield from _demanded_entries(case)
        return
    guesses = _entry(key, case)
    if case.probe.takes_any_name and key not in case.state:
        yield from ({**case.state, key: guess} for guess in guesses)
    for name in case.blamed:
        if case.state[name] == specs.helper("PassThrough"):
            yield from ({**case.state, name: module} for module in modules_with(key, case.probe.context)[:4])
        for path, spec in specs.namespaces(case.state[name], (name,)):
            if not spec["items"] and KIND_OF_METHOD.get(key) == "tensor":  # it is no batch at all
                yield from _as_tensor(case, name)
            if key not in spec["items"]:
                yield from (specs.replaced(case.state, (*path, key), guess) for guess in guesses)


def _named_option(case: Case) -> Iterator[State]:
    """A message quotes an option that the method takes as one of any: ``'level' is required``."""
    if not case.probe.takes_any_name:
        return
    node = case.probe.context.sources.function(case.probe.function)
    asked = {source.constant(item) for item in ast.walk(node)} if node is not None else set()
    for key in dict.fromkeys(re.findall(r"['\"`](\w+)['\"`]", case.failure.message)):
        if key in asked and key not in case.state:
            number = specs.literal(0)
            yield from ({**case.state, key: guess} for guess in (*_entry(key, case)[:4], number))


def _demanded_entries(case: Case) -> Iterator[State]:
    """A guard asks for entries, all of which may be there."""
    keys = mismatch.demanded_keys(case.failure, case.probe.context.sources)
    for name in case.blamed if keys else ():
        for path, spec in specs.namespaces(case.state[name], (name,)):
            added = {key: _entry(key, case)[0] for key in keys if key not in spec["items"]}
            yield specs.replaced(case.state, path, {**spec, "items": {**spec["items"], **added}})


def _entry(key: str, case: Case) -> list[Spec]:
    tensors = (specs.tensor(shapes.plain(rank)) for rank in (2, 3, 4))
    is_batch = isinstance(case.probe.owner, nn.Module)  # it holds no model, whatever the entry is called
    return [
        *_asked_of_entry(key, case),
        *inputs.by_name(key),
        *(() if is_batch else in_role(key, case.probe.context)),
        *tensors,
        specs.literal(names.integer(key)),
    ]


def _asked_of_entry(key: str, case: Case) -> Iterator[Spec]:
    """Yield what the failing function goes on to do with the entry that it did not get."""
    sources = case.probe.context.sources
    for frame in reversed(case.failure.own_frames):
        statement = sources.statement(frame.filename, frame.line)
        definition = sources.enclosing(frame.filename, frame.line)
        if statement is None or definition is None:
            continue
        if source.is_record(definition, key, frame.scope):
            yield specs.namespace()
        paths = [source.dotted(use.node) for use in source.entries(statement, key)]
        held = {name for path in paths if path for name in source.aliases(definition, path)}
        held |= {name for name in map(source.dotted, getattr(statement, "targets", ())) if name}
        for name in sorted(held):
            owner = frame.scope.get("self")
            found = inputs.asked_in(definition, name, within(frame), owner, case.probe.context)
            yield from itertools.islice(found, 2)


def _as_object(case: Case, name: str) -> Iterator[Spec]:
    match = re.search(r"'Tensor' object has no attribute '(\w+)'", case.message)
    kind = KIND_OF_METHOD.get(match[1], "namespace") if match else "namespace"
    if match and kind == "namespace" and match[1] not in KIND_OF_METHOD:
        yield specs.namespace({match[1]: _entry(match[1], case)[0]})
    yield from of_kind(kind, name, case.probe.context)


def _as_list(case: Case, name: str) -> Iterator[Spec]:
    item = case.state[name] if specs.is_tensor(case.state[name]) else specs.tensor(shapes.plain(2))
    yield from (specs.sequence("list", [item] * count) for count in (2, 3, 4))


def _as_sizes(_case: Case, _name: str) -> Iterator[Spec]:
    numbers = ([names.SIDE, names.SIDE], [4, 4], [names.BATCH, names.WIDTH], [2, 2, 2])
    yield from (specs.sequence("tuple", [specs.literal(item) for item in sizes]) for sizes in numbers)
    yield specs.sequence("list", [specs.tensor(shapes.plain(4))] * 2)


def _as_array(case: Case, name: str) -> Iterator[Spec]:
    if specs.is_tensor(case.state[name]):
        yield specs.helper("array", value=case.state[name])


def _as_callable(_case: Case, _name: str) -> Iterator[Spec]:
    yield specs.helper("PassThrough")


def _as_tensor(case: Case, name: str) -> Iterator[Spec]:
    if not specs.is_tensor(case.state[name]):
        yield from (spec for spec in case.probe.guesses(name) if specs.is_tensor(spec))


# What an error says about the container that was given, and what to give instead.
_CONTAINERS: tuple[tuple[str, Callable[[Case, str], Iterator[Spec]]], ...] = (
    (
        r"'Tensor' object has no attribute|got 'str'|only integers, slices|indices must be integers",
        _as_object,
    ),
    ("values expected sparse tensor", _as_object),  # as a record has values
    (r"must be a mapping|invalid data type", _as_object),
    (r"numpy|ndarray", _as_array),
    (r"'(Tensor|int|float|NoneType|Namespace|str)' object is not callable", _as_callable),
    (
        r"must be (list|tuple)|tuple of Tensors|not '?Tensor|sequence|attribute '(append|pop|reverse|sort)'",
        _as_list,
    ),
    (r"IndexError(?!: index out of range in self)|step must be", _as_list),
    (
        r"has no len|'(int|float|bool)' object is not (iterable|subscriptable)|must be (a )?(tuple|list)",
        _as_sizes,
    ),
    (r"\b(list|tuple|int|bool|float|str|dict|Namespace)\b", _as_tensor),
)


def _wrong_container(case: Case) -> Iterator[State]:
    """An object, a list, a function where a tensor was given; or a tensor instead of one of those."""
    for pattern, instead in _CONTAINERS:
        for name in case.blamed if re.search(pattern, case.message) else ():
            yield from ({**case.state, name: spec} for spec in instead(case, name))


def _none_given(case: Case) -> Iterator[State]:
    """Something was None, or the message names it: give the arguments that were left out."""
    named = [name for name in case.absent if is_named(name, case.failure)]
    for name in case.absent if "None" in case.message else named:
        useful = (spec for spec in case.probe.guesses(name) if spec != ABSENT and not specs.is_none(spec))
        yield from ({**case.state, name: spec} for spec in itertools.islice(useful, 4))


def _of_hinted_type(case: Case) -> Iterator[State]:
    """What checks annotations names the input that was given something else: none, or one of that type."""
    probe = case.probe
    found = hinted(case.failure.message, probe.parameters, probe.function, probe.context)
    if found is None:
        return
    parameter, values = found
    if parameter.default is not parameter.empty and parameter.name in case.state:
        yield {name: spec for name, spec in case.state.items() if name != parameter.name}
    yield from ({**case.state, parameter.name: spec} for spec in values)


_LEAST = 2
_OF_VECTORS = 3
"""The rank of a batch of sequences of vectors."""


def _smaller(case: Case) -> Iterator[State]:
    """A call took too long: shorter sequences and smaller sides, all at once; features stay as they are."""
    for part in (2, 4) if case.failure.is_too_large else ():
        changed = case.state
        for path, spec in case.tensors.items():
            changed = specs.replaced(changed, path, {**spec, "shape": _shorter(spec, part)})
        if changed != case.state:
            yield changed


def _shorter(spec: Spec, part: int) -> list[int]:
    """Return the shape with shorter sequences and smaller sides."""
    shape: list[int] = spec["shape"]
    rank = len(shape)
    first, last = (1, rank) if specs.is_integer(spec) else (1, 2) if rank == _OF_VECTORS else (2, rank)
    return [
        max(size // part, _LEAST) if first <= axis < last and size > _LEAST else size
        for axis, size in enumerate(shape)
    ]


_REFUSED_BY_LAYER = re.compile(r"shapes cannot be multiplied|to have \d+ channels|normalized_shape")
_LEFT_OUT = 2


def _instead_of_another(case: Case) -> Iterator[State]:
    """An input that was left out is made up for by another of other width, as in attention to a context."""
    pairs = list(mismatch.sizes(case.failure, case.probe.context.sources))[:1]
    if not pairs or not _REFUSED_BY_LAYER.search(case.message):
        return
    for name in [name for name in case.absent_here if "mask" not in name][:_LEFT_OUT]:
        for spec in itertools.islice(filter(specs.is_floating, case.probe.guesses(name)), _LEFT_OUT):
            axis = shapes.feature_axis(len(spec["shape"]))
            fitting = specs.resized({name: spec}, (name,), axis, pairs[0][1])
            yield {**case.state, **fitting}


def _other_guess(case: Case) -> Iterator[State]:
    for name in case.blamed:
        yield from (without_absent({**case.state, name: spec}) for spec in case.probe.guesses(name))


def _unset_fields(case: Case) -> Iterator[State]:
    """Something was None: the tensors that a record leaves out, like the one that it has; one, then all."""
    for path, spec in repair_fields.objects_in(case.state) if "None" in case.message else ():
        like = next((leaf for _, leaf in specs.leaves(spec) if specs.is_tensor(leaf)), None)
        if like is None:
            continue
        unset = [item.name for item in repair_fields.unset(spec) if "Tensor" in str(item.annotation)]
        for fields in (*([name] for name in unset), unset if len(unset) > 1 else ()):
            if fields:
                yield repair_fields.with_fields(case.state, path, spec, dict.fromkeys(fields, like))


_STEPS: tuple[Callable[[Case], Iterator[State]], ...] = (
    _smaller,
    _missing_argument,
    _of_hinted_type,
    _missing_entry,
    _named_option,
    repair_shapes.expected_by_layer,
    _instead_of_another,
    distributions.wanted,
    repair_series.known,
    _wrong_container,
    *repair_types.STEPS,
    *repair_shapes.STEPS,
    repair_told.sizes_of_objects,
    _none_given,
    _unset_fields,
    repair_shapes.same_rank,
    repair_shapes.alike,
    _other_guess,
    repair_shapes.other_rank,
    repair_sides.larger_batch,
    repair_shapes.known_sizes,
)
