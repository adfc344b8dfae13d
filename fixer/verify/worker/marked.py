"""The user's marked harnesses: which of them are for a class, by what they say, return and read."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from . import overlay
from .frames import Message

_UNSAID = 2
_TUPLES = {"Any", "Module", "Sequence", "Tensor", "Tuple", "dict", "nn", "object", "torch", "tuple", "typing"}
"""Names in an annotation that say nothing about the class."""


class Factory(NamedTuple):
    """A marked function that may build a class."""

    name: str
    """What it is called, and where, in words."""
    load: Callable[[], Any]
    certain: bool
    """Whether it says that it is for the class: then it has to work."""


def factories_for(
    marks: list[Message], path: str, name: str, imported: Callable[[str], Any]
) -> list[Factory]:
    """The marked functions that may build a class, surest first; none is imported yet.

    One says so by its comment, annotation or body; one that says nothing is run to see what it builds.
    """
    found = []
    for mark in marks:
        rank, reference = _rank(mark, path, name), mark["factory"]
        if rank is not None and overlay.exists(reference.rpartition(":")[0]):
            file, _, function = reference.rpartition(":")
            words = f"{function}() in {os.path.basename(file)}"
            factory = Factory(words, functools.partial(imported, reference), rank < _UNSAID)
            found.append((rank, factory))
    return [factory for _, factory in sorted(found, key=lambda item: item[0])]


def _rank(mark: Message, path: str, name: str) -> int | None:
    """How surely a function is for a class; None if it is for another."""
    last = name.rpartition(".")[2]
    if mark["target"] is not None:
        place, _, target = mark["target"].rpartition(":")
        return 0 if target in (name, last) and (not place or is_file(place, path)) else None
    said = set(mark["returns"]) - _TUPLES
    if last in said or (not said and last in mark["names"]):
        return 1
    return None if said else _UNSAID


def is_file(place: str, path: str) -> bool:
    """Whether a file or a module, as users write them, is the one at `path`."""
    if place.endswith(".py"):
        real = os.path.realpath(path)
        return os.path.realpath(place) == real or real.endswith(os.sep + os.path.normpath(place))
    package, stem, _ = overlay.module_name(path)
    return f"{package}.{stem}.".lstrip(".").startswith(f"{place}.")
