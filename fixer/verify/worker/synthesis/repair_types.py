"""Repairs of element types and values: every step takes the `Case` and yields other inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from . import mismatch, specs

if TYPE_CHECKING:
    from .case import Case
    from .specs import Spec, State

_SCALAR = re.compile(
    r"only integer tensors of a single element|interpreted as an integer|integer argument|must be (an )?int"
    r"|Boolean value of Tensor|ambiguous|only one element tensors|with \d+ elements cannot be converted"
    r"|unhashable|tuple of ints|must be a number|must be Number|must be (float|bool|str)|number, not Tensor"
    r"|only for scalar outputs|arange\(\) received an invalid combination"
)


def _not_a_tensor(case: Case) -> Iterator[State]:
    """A number or a flag where a tensor was given."""
    if not _SCALAR.search(case.message):
        return
    flags, numbers = (False, True), (2, 1, 0.5)
    values = (*flags, *numbers, "mean") if "Bool" in case.message else (*numbers, *flags, "mean")
    for path in sorted(case.tensors, key=lambda path: case.blamed.index(path[0])):
        for value in values:
            yield specs.replaced(case.state, path, specs.literal(value))
        yield specs.replaced(case.state, path, specs.tensor([]))
        together = case.state  # of ``*sizes`` all are numbers
        for other in (other for other in case.tensors if other[:-1] == path[:-1] != ()):
            together = specs.replaced(together, other, specs.literal(numbers[0]))
        yield together


# What an error says about element types, and the type to try.
_DTYPES = (
    ("bool", r"operator\.invert"),
    (
        "int64",
        r"indices' to have .*scalar types: Long|used as indices must be|only applicable to index tensor",
    ),
    ("int64", r"(expected|object of) scalar type Long|[Ee]xpected (dtype|.*type) (torch\.)?int|LongTensor"),
    ("int64", r"one_hot|\"bitwise|nll_loss.*not implemented for 'Float'|must be (torch\.)?(long|int64)"),
    ("int64", r"index\w*\(\): [Ee]xpected|[Ee]xpected .*int(32|64)|not implemented for 'Int'"),
    ("int64", r"(must|should|[Ee]xpect\w*|[Nn]eeds?|[Rr]equire\w*)\b[^.]{0,40}\b(torch\.)?(int64|long)\b"),
    ("float32", r"expected scalar type (Float|Half|Double)|the same dtype|should be the same|can't be cast"),
    ("float32", r"not implemented for '(Long|Bool|Int|Char|Byte)'|dtypes? .*[Ff]loat|infer (output )?dtype"),
    ("float32", r"floating point|must be a float|[Ee]xpected.*[Ff]loat|the `-` operator|on a bool tensor"),
    ("bool", r"must be bool|[Ee]xpected.*bool|only supports bool|torch\.bool|not implemented for 'Float'"),
    ("complex64", r"[Cc]omplex"),
)


def _wrong_dtype(case: Case) -> Iterator[State]:
    for dtype in dict.fromkeys(dtype for dtype, pattern in _DTYPES if re.search(pattern, case.message)):
        named = sorted(case.suspects, key=lambda suspect: not case.is_named(suspect[0][0]))
        for path, spec in named:
            if spec["dtype"] != dtype:
                yield specs.replaced(case.state, path, _as_dtype(spec, dtype))
                if dtype == "int64" and len(spec["shape"]) > 2:  # classes have an axis, their numbers none
                    without = {**spec, "shape": [spec["shape"][0], *spec["shape"][2:]]}
                    yield specs.replaced(case.state, path, _as_dtype(without, dtype))
                if dtype == "int64" and len(spec["shape"]) > 1:
                    shorter = {**spec, "shape": spec["shape"][:-1]}
                    yield specs.replaced(case.state, path, _as_dtype(shorter, dtype))


def _as_dtype(spec: Spec, dtype: str) -> Spec:
    """Return the spec with another element type; integers stay below 2."""
    low, high = (0, 2) if dtype in ("int64", "bool") else (None, None)
    return specs.tensor(spec["shape"], dtype, low, high)


_DOMAIN = re.compile(
    r"between 0 and 1|greater (than )?or equal"
    r"|finite|\bnan\b|positive|simplex|constraint|Expected value|>= ?0|negative|\bsupport\b"
    r"|invertible|singular|domain|\brange\b|\[0, ?1\]",
    re.IGNORECASE,
)


def _out_of_domain(case: Case) -> Iterator[State]:
    """Probabilities, positive numbers: try numbers between 0 and 1, in one input and in all of them."""
    if not _DOMAIN.search(case.message) and not _compares_values(case):
        return
    everything = case.state
    for path, spec in case.suspects:
        if specs.is_floating(spec) and "low" not in spec:
            bounded = specs.tensor(spec["shape"], spec["dtype"], 0, 1)
            everything = specs.replaced(everything, path, bounded)
            yield specs.replaced(case.state, path, bounded)
    yield everything


def _compares_values(case: Case) -> bool:
    """Whether the guard which raised compared what stands in a tensor with a number."""
    sides = (
        {type(left), type(right)}
        for left, right, _ in mismatch.compared(case.failure, case.probe.context.sources)
    )
    return any(torch.Tensor in found and found & {int, float} for found in sides)


def _not_definite(case: Case) -> Iterator[State]:
    """Matrices that are factorised: symmetric, and far from being singular."""
    if not re.search(r"positive[- ]definite|cholesky", case.message, re.IGNORECASE):
        return
    everything = case.state
    for path, spec in case.suspects:
        if len(spec["shape"]) > 1 and spec["dtype"] in specs.FLOATING + specs.COMPLEX:
            square = [*spec["shape"][:-2], spec["shape"][-1], spec["shape"][-1]]
            definite = {**spec, "shape": square, "definite": True}
            everything = specs.replaced(everything, path, definite)
            yield specs.replaced(case.state, path, definite)
    yield everything


STEPS: tuple[Callable[[Case], Iterator[State]], ...] = (
    _not_a_tensor,
    _wrong_dtype,
    _not_definite,
    _out_of_domain,
)
