"""Lists of feature maps, as a backbone hands them to a neck: channels from the constructor, sides halving."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import names, signatures, specs

if TYPE_CHECKING:
    from .recipe import Arguments
    from .specs import Spec

_LARGEST_SIDE = 64
_LONGEST = 6
_MOST_CHANNELS = 2048
_SEVERAL = re.compile(r"[Ll]ist|Sequence|[Tt]uple|Iterable")
_MAPS = re.compile(r"feat|maps|pyramid|^xs$|^inputs$|hidden_states|levels")


def guesses(
    owner: Any, construct: Arguments | None, parameters: list[inspect.Parameter]
) -> Iterator[tuple[str, Spec]]:
    """Yield an input's name with a list of maps, for every list of channels that built the module."""
    several = [parameter.name for parameter in parameters if takes_several(parameter)]
    found = list(_channel_lists(owner, construct)) if several else []
    for name in several:
        for channels in found:
            for kind in (_halving(channels, 1), _halving(channels[::-1], 1), _halving(channels, 0)):
                yield name, specs.sequence("list", kind)


def takes_several(parameter: inspect.Parameter) -> bool:
    """Whether an input is a list of tensors by its annotation, or by its name where it has none."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return True
    annotation = parameter.annotation
    return bool(_SEVERAL.search(str(annotation)) and "Tensor" in str(annotation)) or bool(
        annotation is parameter.empty and _MAPS.search(parameter.name)
    )


def _channel_lists(owner: Any, construct: Arguments | None) -> Iterator[list[int]]:
    """Yield the lists of sizes among the constructor's arguments and defaults."""
    given = {} if construct is None else {**dict(construct.args), **construct.kwargs}
    values: list[Any] = [
        [item.get("value") for item in spec["items"]]
        for spec in given.values()
        if spec["kind"] in ("list", "tuple")
    ]
    others = (item for item in signatures.constructor_parameters(type(owner)) if item.name not in given)
    values.extend(item.default for item in others)
    for value in values:
        is_list = isinstance(value, (list, tuple)) and 1 < len(value) <= _LONGEST
        if is_list and all(type(item) is int and 0 < item <= _MOST_CHANNELS for item in value):
            yield list(value)


def _halving(channels: list[int], step: int) -> list[Spec]:
    """Describe one map for each number of channels; each side is half of the one before, or all are equal."""
    sides = [max(_LARGEST_SIDE >> (place * step), 1) for place in range(len(channels))]
    if not step:
        sides = [names.SIDE] * len(channels)
    return [specs.tensor([names.BATCH, count, side, side]) for count, side in zip(channels, sides)]
