"""Turns the failure of a forward call into inputs worth trying next, likeliest first.

Every step has the same shape: it takes the `Case` and yields other inputs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from . import inputs, mismatch, repair_shapes, repair_types, shapes, specs
from .arguments import ABSENT, without_absent
from .case import Case

if TYPE_CHECKING:
    from .case import Probe
    from .probing import Failure
    from .specs import Spec, State


def repairs(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    """Yield inputs to try after a failure."""
    case = Case(failure, state, probe)
    for step in _STEPS:
        yield from step(case)


def _missing_argument(case: Case) -> Iterator[State]:
    match = re.search(r"missing \d+ required .*?arguments?: (.*)", case.message)
    for name in re.findall(r"'(\w+)'", match[1]) if match else ():
        yield from ({**case.state, name: spec} for spec in case.probe.guesses(name)[:4] if spec != ABSENT)


def _missing_entry(case: Case) -> Iterator[State]:
    """A batch lacks an entry: add a tensor of that name."""
    key = mismatch.missing_key(case.failure)
    for name in case.blamed if key is not None else ():
        for path, spec in specs.namespaces(case.state[name], (name,)):
            if key is not None and key not in spec["items"]:
                yield from (specs.replaced(case.state, (*path, key), guess) for guess in _entry(key))


def _entry(key: str) -> list[Spec]:
    return [*inputs.by_name(key), *(specs.tensor(shapes.plain(rank)) for rank in (2, 3, 4))]


def _wrong_container(case: Case) -> Iterator[State]:
    """An object, a batch or a list where a tensor was given."""
    attribute = re.search(r"'Tensor' object has no attribute '(\w+)'", case.message)
    by_key = re.search(
        r"got 'str'|only integers, slices|indices must be integers|new\(\): invalid data type", case.message
    )
    for name in case.blamed if attribute or by_key else ():
        if attribute and attribute[1] not in ("keys", "items", "values", "get"):
            yield {**case.state, name: specs.namespace({attribute[1]: _entry(attribute[1])[0]})}
        yield {**case.state, name: specs.namespace()}
    listed = r"must be (list|tuple)|tuple of Tensors|not '?Tensor|sequence|has no attribute '(append|pop)'|IndexError"
    for name in case.blamed if re.search(listed, case.message) else ():
        if specs.is_tensor(case.state[name]):
            yield from (
                {**case.state, name: specs.sequence("list", [case.state[name]] * count)}
                for count in (2, 3, 4)
            )
    if re.search(r"'?\b(list|tuple|int|bool|float|str|dict|Namespace)\b'?", case.message):
        for name in case.blamed:
            if not specs.is_tensor(case.state[name]):
                yield from (
                    {**case.state, name: spec} for spec in case.probe.guesses(name) if specs.is_tensor(spec)
                )


def _none_given(case: Case) -> Iterator[State]:
    """Something was None: give the arguments that were left out."""
    for name in case.absent if "None" in case.message else ():
        useful = (spec for spec in case.probe.guesses(name) if spec != ABSENT and not specs.is_none(spec))
        yield from ({**case.state, name: spec} for spec in itertools.islice(useful, 4))


def _other_guess(case: Case) -> Iterator[State]:
    for name in case.blamed:
        yield from (without_absent({**case.state, name: spec}) for spec in case.probe.guesses(name))


_STEPS: tuple[Callable[[Case], Iterator[State]], ...] = (
    _missing_argument,
    _missing_entry,
    repair_shapes.expected_by_layer,
    _wrong_container,
    *repair_types.STEPS,
    *repair_shapes.STEPS,
    _none_given,
    repair_shapes.alike,
    _other_guess,
    repair_shapes.other_rank,
    repair_shapes.known_sizes,
)
