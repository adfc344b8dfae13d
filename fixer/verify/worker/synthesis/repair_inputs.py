"""Turns the failure of a forward call into inputs worth trying next, likeliest first.

Every step has the same shape: it takes the `Case` and yields other inputs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from . import inputs, repair_shapes, shapes, specs
from .arguments import ABSENT
from .case import Case
from .repair_arguments import missing_key, namespaces, without_absent

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


_SCALAR = (
    r"only integer tensors of a single element|interpreted as an integer|integer argument|must be (an )?int"
    r"|Boolean value of Tensor|ambiguous|only one element tensors|with \d+ elements cannot be converted|unhashable"
    r"|tuple of ints|must be a number|must be Number|must be (float|bool|str)|number, not Tensor"
)


def _not_a_tensor(case: Case) -> Iterator[State]:
    """A number or a flag where a tensor was given."""
    for name in case.blamed if re.search(_SCALAR, case.message) else ():
        if specs.is_tensor(case.state[name]):
            yield from (
                {**case.state, name: specs.literal(value)} for value in (False, True, 2, 1, 0.5, "mean")
            )
            yield {**case.state, name: specs.tensor([])}


def _missing_entry(case: Case) -> Iterator[State]:
    """A batch lacks an entry: add a tensor of that name."""
    key = missing_key(case.failure)
    for name in case.blamed if key is not None else ():
        for path, spec in namespaces(case.state[name], (name,)):
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


# What an error says about element types, and the type to try.
_DTYPES = (
    (
        r"indices' to have .*scalar types: Long|used as indices must be|only applicable to index tensor",
        "int64",
    ),
    (
        r"expected scalar type Long|Expected object of scalar type Long|[Ee]xpected (dtype|.*type) (torch\.)?int",
        "int64",
    ),
    (
        r"one_hot|LongTensor|\"bitwise|nll_loss.*not implemented for 'Float'|must be (torch\.)?(long|int64)",
        "int64",
    ),
    (r"index\w*\(\): [Ee]xpected|[Ee]xpected .*int(32|64)|not implemented for 'Int'", "int64"),
    (r"expected scalar type (Float|Half|Double)|the same dtype|should be the same|can't be cast", "float32"),
    (
        r"not implemented for '(Long|Bool|Int|Char|Byte)'|dtypes? .*[Ff]loat|infer dtype|floating point",
        "float32",
    ),
    (r"must be a float|[Ee]xpected.*[Ff]loat|subtraction, the `-` operator|on a bool tensor", "float32"),
    (r"must be bool|[Ee]xpected.*bool|only supports bool|torch\.bool|not implemented for 'Float'", "bool"),
    (r"[Cc]omplex", "complex64"),
)


def _wrong_dtype(case: Case) -> Iterator[State]:
    for dtype in dict.fromkeys(dtype for pattern, dtype in _DTYPES if re.search(pattern, case.message)):
        for path, spec in case.suspects:
            if spec["dtype"] != dtype:
                yield specs.replaced(case.state, path, _as_dtype(spec, dtype))
                if dtype == "int64" and len(spec["shape"]) > 1:
                    shorter = {**spec, "shape": spec["shape"][:-1]}
                    yield specs.replaced(case.state, path, _as_dtype(shorter, dtype))


def _as_dtype(spec: Spec, dtype: str) -> Spec:
    """Return the spec with another element type; integers stay below 2."""
    low, high = (0, 2) if dtype in ("int64", "bool") else (None, None)
    return specs.tensor(spec["shape"], dtype, low, high)


_DOMAIN = (
    r"between 0 and 1|finite|\bnan\b|positive|simplex|constraint|Expected value|>= ?0|negative|support|invertible"
    r"|singular|[Dd]omain|[Rr]ange|\[0, ?1\]"
)


def _out_of_domain(case: Case) -> Iterator[State]:
    """Probabilities, positive numbers: try numbers between 0 and 1, in one input and in all of them."""
    if not re.search(_DOMAIN, case.message, re.IGNORECASE):
        return
    everything = case.state
    for path, spec in case.suspects:
        if specs.is_floating(spec) and "low" not in spec:
            bounded = specs.tensor(spec["shape"], spec["dtype"], 0, 1)
            everything = specs.replaced(everything, path, bounded)
            yield specs.replaced(case.state, path, bounded)
    yield everything


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
    _not_a_tensor,
    _wrong_container,
    _wrong_dtype,
    repair_shapes.wrong_rank,
    repair_shapes.wrong_size,
    repair_shapes.wrong_volume,
    repair_shapes.out_of_range,
    _out_of_domain,
    repair_shapes.wrong_lengths,
    repair_shapes.too_small,
    _none_given,
    repair_shapes.alike,
    _other_guess,
    repair_shapes.other_rank,
    repair_shapes.known_sizes,
)
