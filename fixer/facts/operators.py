"""What operators, builtins and indexing give, and shapes where they are literal; pure functions of kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fixer.facts.kinds import (
    PLAIN,
    UNKNOWN,
    Kind,
    ModuleKind,
    ParameterKind,
    Plain,
    SequenceKind,
    Shape,
    TensorKind,
    is_tensor_like,
    join,
    without_none,
)

_SIZED = frozenset({"zeros", "ones", "rand", "randn", "empty", "full"})
_PASS_THROUGH = frozenset({"list", "tuple", "iter", "reversed", "sorted", "set"})
_PLAIN_BUILTINS = frozenset("len int float str bool range isinstance hasattr round repr type".split())
_SAME_SHAPE = frozenset("clone detach clamp abs relu sign exp log neg".split())
ADDING_METHODS = frozenset("append add insert extend update".split())
"""Methods that put things into a collection."""
REORDERING_METHODS = frozenset(
    "remove pop popitem clear sort reverse setdefault add_module register_module".split()
)
"""Methods after which nothing is known of a collection's items."""


def arithmetic(kinds: Sequence[Kind]) -> Kind:
    """The result of an operator; where an operand is None there is none."""
    kinds = [without_none(kind) for kind in kinds]
    if any(is_tensor_like(kind) and kind != UNKNOWN for kind in kinds):
        return TensorKind()
    return PLAIN if all(isinstance(kind, Plain) for kind in kinds) else UNKNOWN


def iterator(element: Kind, *, named: bool) -> Kind:
    """What yields elements, or pairs of a name and an element."""
    return SequenceKind(None, SequenceKind((PLAIN, element)) if named else element)


def element_of(kind: Kind) -> Kind:
    """What iterating gives."""
    if isinstance(kind, SequenceKind):
        return join(kind.items) if kind.items else kind.element
    if isinstance(kind, ModuleKind):
        return join(kind.items) if kind.items else kind.element or UNKNOWN
    return UNKNOWN


def item(owner: Kind, index: Kind) -> Kind:
    """What indexing gives."""
    position = index.value if isinstance(index, Plain) else None
    if isinstance(owner, (SequenceKind, ModuleKind)):
        items = owner.items
        if items is not None and isinstance(position, int) and -len(items) <= position < len(items):
            return items[position]
        return UNKNOWN if isinstance(position, str) else element_of(owner)
    if is_tensor_like(owner) and owner != UNKNOWN:
        return TensorKind()
    return UNKNOWN


def with_element(owner: Kind, added: Kind) -> Kind:
    """A collection of which nothing is known but that `added` went into it."""
    if isinstance(owner, SequenceKind):
        known = owner.items if owner.items is not None else (owner.element,)
        return SequenceKind(None, join([*known, added]))
    if isinstance(owner, ModuleKind) and (owner.items is not None or owner.element is not None):
        known = owner.items if owner.items is not None else (owner.element or UNKNOWN,)
        return replace(owner, items=None, element=join([*known, added]))
    return owner


def builtin(name: str, arguments: Sequence[Kind]) -> Kind:
    """The result of a builtin function."""
    if name in _PASS_THROUGH and arguments:
        first = arguments[0]
        if isinstance(first, SequenceKind):
            return first if name in ("list", "tuple", "iter") else SequenceKind(None, element_of(first))
        if isinstance(first, ModuleKind) and (first.items or first.element):
            ordered = name in ("list", "tuple", "iter")
            return SequenceKind(first.items if ordered else None, element_of(first))
        return UNKNOWN
    if name == "enumerate" and arguments:
        return SequenceKind(None, SequenceKind((PLAIN, element_of(arguments[0]))))
    if name == "zip":
        return SequenceKind(None, SequenceKind(tuple(element_of(kind) for kind in arguments)))
    if name == "filter" and len(arguments) == 2:
        return SequenceKind(None, element_of(arguments[1]))
    if name in _PLAIN_BUILTINS:
        return SequenceKind(None, PLAIN) if name == "range" else PLAIN
    return UNKNOWN


def literal_shape(function: str, arguments: Sequence[Kind]) -> Shape:
    """The shape that ``torch.zeros(3, 4)`` and its like are asked for."""
    kinds = list(arguments)
    if not kinds:
        return None
    if function == "eye" and len(kinds) == 1:
        kinds *= 2
    elif function not in _SIZED:
        return None
    elif isinstance(kinds[0], SequenceKind) and kinds[0].items is not None:
        kinds = list(kinds[0].items)
    elif function == "full":
        return None
    sizes = [kind.value for kind in kinds if isinstance(kind, Plain) and isinstance(kind.value, int)]
    return tuple(sizes) if len(sizes) == len(kinds) else None


def method_shape(shape: Shape, name: str) -> Shape:
    """The shape after a method of a tensor, where it follows from the tensor's own."""
    if shape is None:
        return None
    if name == "t" and len(shape) == 2:
        return shape[::-1]
    return shape if name.endswith("_") or name in _SAME_SHAPE else None


def parameter_of(kind: Kind) -> Kind:
    """The Parameter made of a tensor."""
    return ParameterKind(kind.shape if isinstance(kind, (TensorKind, ParameterKind)) else None)
