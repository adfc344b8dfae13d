"""Shapes that docstrings and comments give for inputs: ``x: a tensor of shape (batch, channels, time)``.

The same letter or name stands for the same size in all inputs of a call.
"""

from __future__ import annotations

import inspect
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import names, shapes, specs

if TYPE_CHECKING:
    from .case import Probe
    from .specs import Spec, State

_HIGHEST_RANK = 6
_ROWS = 2
_LINES = 3
"""How many lines of a docstring may speak of one input."""
_LONGER = 24
_MOST_VALUES = 200_000
_LARGEST_SIZE = 2048
_ITEM = r"(?:\*?[A-Za-z_]\w*|\d+(?: or \d+)?|\.\.\.|\*)(?: ?(?:[-+*/]|//) ?\w+)*"
_BY = "[x\u00d7]"
_SHAPE = re.compile(
    rf"[(\[]\s*({_ITEM}(?:\s*(?:,|{_BY})\s*{_ITEM})+|{_ITEM},)\s*,?\s*[)\]]"
    rf"|\b([A-Z]\w*(?: ?{_BY} ?(?:[A-Z]\w*|\d+))+)\b|\b([BN][CTDLHWSE]{{2,4}})\b"
)
_NO_SIZE = re.compile(
    r"^(int|float|bool|str|optional|tensor|list|tuple|dict|none|default|self|true|false|torch|ndarray|array"
    r"|callable|any|and|or|if|0)$",
    re.IGNORECASE,
)
_BATCH = re.compile(r"^(b|n|bs|bsz|batch\w*|n?_?batch(_?size)?|minibatch)$", re.IGNORECASE)
_LENGTH = re.compile(
    r"^([tlsnmkq]|seq\w*|len\w*|\w*_len(gth)?|\w*_?length|time\w*|\w*steps?|frames?|tokens?|points?|nodes?"
    r"|(n|num)_\w+)$",
    re.IGNORECASE,
)
_SIDE = re.compile(r"^(h|w|d|height|width|depth|[hw]_\w+|(img|image)_(size|[hw]\w*))$", re.IGNORECASE)
_OF_INTEGERS = re.compile(r"LongTensor|IntTensor|int64|torch\.long|\bindices\b|\bintegers?\b|\bids\b")


class _Sizes(dict):  # type: ignore[type-arg]
    """What the names in the shapes of one call stand for, and how long sequences are."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length


def guesses(probe: Probe, best: dict[str, Spec]) -> Iterator[State]:
    """Yield inputs of the shapes that are written down, the best guess for what has none.

    First short ones, then longer ones.
    """
    written = {name: found for name in best for found in [_written(name, probe)] if found is not None}
    for length in (names.LENGTH, _LONGER) if written else ():
        sizes = _Sizes(length)
        state = dict(best)
        for name, (items, text) in written.items():
            made = _made(best[name], items, text, sizes, probe)
            if made is not None:
                state[name] = made
        if state != best:
            yield state


def _written(name: str, probe: Probe) -> tuple[list[str], str] | None:
    """Return the sizes that are written down for an input, and where."""
    found = ((sizes_in(text), text) for text in _texts(name, probe))
    return next(((items, text) for items, text in found if items), None)


def sizes_in(text: str) -> list[str]:
    """Return the sizes of the first shape in a text, empty if there is none."""
    found = map(_items, _SHAPE.finditer(text))
    usable = (items for items in found if not any(_NO_SIZE.match(item) for item in items))
    return next((items for items in usable if len(items) <= _HIGHEST_RANK), [])


def _items(match: re.Match[str]) -> list[str]:
    if match[3]:
        return list(match[3])
    if match[2]:
        return [item.strip() for item in re.split(_BY, match[2])]
    separator = "," if "," in match[1] else rf"\s{_BY}\s|{_BY}"
    return [item.strip() for item in re.split(separator, match[1]) if item.strip()]


def _texts(name: str, probe: Probe) -> Iterator[str]:
    """Yield what docstrings and comments say of an input."""
    owner = type(probe.owner) if not inspect.isfunction(probe.function) else None
    called: Any = probe.function
    word = re.escape(name)
    for text in (inspect.getdoc(called), inspect.getdoc(owner) if owner is not None else None):
        lines = re.sub("[`{}]|:math:", "", text or "").splitlines()
        for place, line in enumerate(lines):
            if re.match(rf"\W*(?:param\s+)?(?:\w+\s+)?{word}\b\W", line + " "):
                depth = len(line) - len(line.lstrip())
                below = itertools.takewhile(
                    lambda other, depth=depth: other.strip() and len(other) - len(other.lstrip()) > depth,  # type: ignore[misc]
                    lines[place + 1 : place + _LINES],
                )
                yield " ".join([line.partition(name)[2], *below])
    yield from _comments(word, probe)


def _comments(word: str, probe: Probe) -> Iterator[str]:
    """Yield the comments beside a parameter, and those in the function that begin with its name."""
    node = probe.context.sources.function(probe.function)
    code = getattr(inspect.unwrap(getattr(probe.function, "__func__", probe.function)), "__code__", None)
    text = probe.context.sources.text(code.co_filename) if code is not None else None
    if node is None or text is None:
        return
    for line in text.splitlines()[node.lineno - 1 : node.end_lineno]:
        before, mark, comment = line.partition("#")
        if mark and (re.match(rf"\s*{word}\s*(:|,|=|$)", before) or re.match(rf"\s*{word}\b", comment)):
            yield re.sub(rf"^\s*{word}\b", "", comment)


def _made(spec: Spec, items: list[str], text: str, sizes: _Sizes, probe: Probe) -> Spec | None:
    """Return the spec with the shape that is written down, None if that says nothing of it."""
    if spec["kind"] in ("list", "tuple") and spec["items"] and all(map(specs.is_tensor, spec["items"])):
        made = _made(spec["items"][0], items, text, sizes, probe)
        return None if made is None else {**spec, "items": [made] * len(spec["items"])}
    if spec["kind"] in ("list", "tuple") and len(items) == _ROWS:  # the sides of several maps
        shape = _shape(specs.tensor([]), items, sizes, probe)
        row = specs.sequence("list", [specs.literal(names.UNKNOWN)] * shape[-1]) if shape else None
        return None if row is None else {**spec, "items": [row] * shape[0]}
    if not specs.is_tensor(spec):
        return None
    shape = _shape(spec, items, sizes, probe)
    if not shape or math.prod(shape) > _MOST_VALUES:
        return None
    if specs.is_floating(spec) and "high" not in spec and _OF_INTEGERS.search(text):
        return specs.tensor(shape, "int64", 0, 2)
    return {**spec, "shape": shape}


def _shape(spec: Spec, items: list[str], sizes: _Sizes, probe: Probe) -> list[int]:
    """Return the sizes; those of the guess where it has as many axes, if no other input told them."""
    given = spec["shape"]
    shape: list[int] = []
    for place, item in enumerate(items):
        if item in ("...", "*") or item.startswith("*"):
            shape += [names.BATCH] if not place else [names.SIDE, names.SIDE] if item != "*" else []
            continue
        if item not in sizes and item.isidentifier():
            known = _of_owner(item, probe)
            is_first = not place or bool(_BATCH.match(item))
            if is_first and not known and not _is_there(_BATCH, sizes):
                sizes[item] = sizes.length if _LENGTH.match(item) and not _BATCH.match(item) else names.BATCH
            elif known:
                sizes[item] = known
            elif place and len(given) == len(items):
                sizes[item] = sizes.length if given[place] == names.LENGTH else given[place]
            else:
                sizes[item] = _usual(item, given, place == shapes.feature_axis(len(items)), sizes.length)
        value = _value(item, sizes)
        if not 0 < value <= _LARGEST_SIZE:
            return []
        shape.append(value)
    return shape


def _is_there(pattern: re.Pattern[str], sizes: _Sizes) -> bool:
    return any(pattern.match(name) for name in sizes)


def _usual(item: str, given: list[int], is_feature: bool, length: int) -> int:
    """Return a size for a name: of features where those stand, unless the name says that it is a length."""
    if _SIDE.match(item):
        return names.SIDE
    if _LENGTH.match(item):
        return length
    if is_feature and len(given) > 1:
        return int(given[shapes.feature_axis(len(given))])
    return names.integer(item)


def _of_owner(item: str, probe: Probe) -> int:
    """Return the number of that name that a module holds or was built with, 0 if there is none."""
    held = {**probe.values, **getattr(probe.owner, "__dict__", {})}
    plain = {name.lstrip("_").lower(): value for name, value in held.items() if type(value) is int}
    word = item.lower()
    if len(word) == 1:
        return int(plain.get(word, 0))
    alike = (word, f"num_{word}", f"n_{word}", f"in_{word}", f"{word}_dim", f"{word}_size", f"input_{word}")
    return next((int(plain[name]) for name in alike if plain.get(name, 0) > 0), 0)


_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: left // right if right else 0,
}


def _value(item: str, sizes: _Sizes) -> int:
    """Return what an item of a shape comes to, read from the left: ``L``, ``12``, ``2*S-1``; 0 if unknown."""
    item = item.partition(" or ")[0]
    first, *rest = (part.strip() for part in re.split(r"([-+*/])/?", item))
    value = _known(first, sizes)
    for sign, other in zip(rest[::2], rest[1::2]):
        right = _known(other, sizes)
        value = _OPERATORS[sign](value, right) if value and right else 0
    return value


def _known(item: str, sizes: _Sizes) -> int:
    return int(item) if item.isdigit() else int(sizes.get(item, 0))
