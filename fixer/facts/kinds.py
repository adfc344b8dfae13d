"""Kinds: what a name or an attribute path may hold.

The lattice is small on purpose. A rule asks "is this certainly a Parameter?" and gets yes, no or unknown;
only yes may be rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

Shape = tuple[int, ...] | None
"""Sizes where they are literal in the code, else None."""


class Answer(Enum):
    """Three-valued truth."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Symbol:
    """A definition: in a file of the tree (`path` set), or a dotted name from outside it."""

    name: str
    path: Path | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Kind:
    """Base of all kinds; itself the answer "anything"."""


UNKNOWN = Kind()


@dataclass(frozen=True)
class NoneKind(Kind):
    """The object None."""


NONE = NoneKind()


@dataclass(frozen=True)
class AbsentKind(Kind):
    """No such attribute: reading it raises, assigning it makes a new one."""


ABSENT = AbsentKind()


@dataclass(frozen=True)
class Plain(Kind):
    """A Python value that is no tensor and no module: a number, a string, a size, a flag."""

    value: object = None


PLAIN = Plain()


@dataclass(frozen=True)
class TensorKind(Kind):
    """A plain tensor, certainly not a Parameter."""

    shape: Shape = None


@dataclass(frozen=True)
class BufferKind(TensorKind):
    """A tensor registered with `register_buffer`."""


@dataclass(frozen=True)
class ParameterKind(Kind):
    """An `nn.Parameter`; as an attribute of a module, a registered one."""

    shape: Shape = None


@dataclass(frozen=True)
class ModuleKind(Kind):
    """An instance of an `nn.Module` subclass."""

    cls: Symbol
    arguments: tuple[tuple[str, Kind], ...] = ()
    """Constructor arguments by name, as far as they are known."""
    items: tuple[Kind, ...] | None = None
    """What a `Sequential` or `ModuleList` holds in order, or what a wrapper wraps."""
    element: Kind | None = None
    """What each item is, where their number is unknown."""
    exact: bool = False
    """Whether it was constructed in sight (a subclass is ruled out)."""


ANY_MODULE = ModuleKind(Symbol("torch.nn.Module"))
"""What an annotation `nn.Module` says: some module."""


@dataclass(frozen=True)
class OptimizerKind(Kind):
    """A `torch.optim.Optimizer`."""

    cls: Symbol


@dataclass(frozen=True)
class ClassKind(Kind):
    """A class object."""

    symbol: Symbol


@dataclass(frozen=True)
class FunctionKind(Kind):
    """A function or method object."""

    symbol: Symbol


@dataclass(frozen=True)
class SequenceKind(Kind):
    """A list, tuple or iterator."""

    items: tuple[Kind, ...] | None = None
    element: Kind = UNKNOWN


@dataclass(frozen=True)
class OneOf(Kind):
    """One of several kinds (branches, `isinstance` with a tuple, an optional slot)."""

    options: frozenset[Kind] = field(default_factory=frozenset)


MAYBE_PARAMETER = OneOf(frozenset({ParameterKind(), TensorKind()}))
"""A tensor that may or may not be a Parameter: `p.to(device)`, an argument annotated `Tensor`."""

_MOST_OPTIONS = 6


def options(kind: Kind) -> frozenset[Kind]:
    """The kinds that `kind` stands for."""
    return kind.options if isinstance(kind, OneOf) else frozenset({kind})


def join(kinds: Iterable[Kind]) -> Kind:
    """The least kind that covers all of `kinds`."""
    merged: set[Kind] = set()
    for kind in kinds:
        merged |= options(kind)
    if UNKNOWN in merged or not merged or len(merged) > _MOST_OPTIONS:
        return UNKNOWN
    return merged.pop() if len(merged) == 1 else OneOf(frozenset(merged))


def without_none(kind: Kind) -> Kind:
    """`kind` after a test `is not None` succeeded."""
    return without(kind, lambda option: option == NONE)


def without(kind: Kind, unwanted: Callable[[Kind], bool]) -> Kind:
    """`kind` less the options that are ruled out; unchanged where that would leave nothing."""
    left = [option for option in options(kind) if not unwanted(option)]
    return join(left) if left else kind


def answer(kind: Kind, wanted: Callable[[Kind], bool]) -> Answer:
    """Whether `kind` is certainly, certainly not, or perhaps what `wanted` accepts."""
    if kind == UNKNOWN:
        return Answer.UNKNOWN
    found = {wanted(option) for option in options(kind)}
    if len(found) == 2:
        return Answer.UNKNOWN
    return Answer.YES if True in found else Answer.NO


def is_parameter(kind: Kind) -> Answer:
    """Whether `kind` is a Parameter."""
    return answer(kind, lambda option: isinstance(option, ParameterKind))


def is_plain_tensor(kind: Kind) -> Answer:
    """Whether `kind` is a tensor that is no Parameter."""
    return answer(kind, lambda option: isinstance(option, TensorKind))


def is_tensor_like(kind: Kind) -> bool:
    """Whether every option is a tensor, Parameter or not."""
    return all(isinstance(option, (TensorKind, ParameterKind)) for option in options(kind))


def shape_of(kind: Kind) -> Shape:
    """The shape of a tensor or Parameter kind where all options agree on it."""
    shapes = {option.shape for option in options(kind) if isinstance(option, (TensorKind, ParameterKind))}
    return shapes.pop() if len(shapes) == 1 else None
