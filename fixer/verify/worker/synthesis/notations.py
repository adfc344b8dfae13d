"""What classes of the package that read a notation are built from: the texts and tables of their examples."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from . import harvest, signatures, specs

if TYPE_CHECKING:
    from .arguments import Context
    from .specs import Spec, State

_MOST = 4


def read_by(callee: object, place: int | str, context: Context) -> Iterator[Spec]:
    """Yield what the examples of a class that is no module give at a place of its constructor."""
    if not inspect.isclass(callee) or issubclass(callee, nn.Module):
        return
    parameters = signatures.constructor_parameters(callee)
    names = [item.name for index, item in enumerate(parameters) if place in (index, item.name)]
    for state in itertools.islice(examples(callee, context), _MOST) if names else ():
        spec = state.get(names[0])
        if spec is not None and _is_text(spec):
            yield spec


def examples(cls: type, context: Context) -> list[State]:
    """Return the arguments that docstrings and the class's own file build it from, small numbers first."""
    if cls.__module__.split(".")[0] in ("builtins", "torch", "typing", "collections"):
        return []
    parameters = signatures.constructor_parameters(cls)
    found = harvest.constructions(cls, parameters, context.sources, elsewhere=False)
    return sorted(found, key=_size)


def is_value(cls: type) -> bool:
    """Whether a class is made of what it is given, as tuples and numbers are: it has a ``__new__``."""
    return signatures.constructor(cls).__name__ == "__new__"


def _is_text(spec: Spec) -> bool:
    """Whether something is a string, or a list that is no plain list of numbers."""
    if spec["kind"] in ("list", "tuple"):
        return any(_is_text(item) or item["kind"] in ("list", "tuple") for item in spec["items"])
    return spec["kind"] == "literal" and isinstance(spec["value"], str) and bool(spec["value"])


def _size(state: State) -> tuple[bool, int]:
    """Return whether arguments say nothing, and the largest number in them, also inside of texts."""
    text = " ".join(map(specs.text_of, state.values()))
    largest = max((int(number[:9]) for number in re.findall(r"\d+", text)), default=0)
    return not re.search(r"\w", text), largest
