"""The files of the target's tree that build a class: what others give to it is worth more than any guess."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Callable, Iterator

from . import overlay, reached
from .calling import files_calling

Mentioning = Callable[[str], Iterator["tuple[str, str]"]]

_MAX_FOUND = 12


def mentioning(path: str, roots: list[str]) -> Mentioning:
    """Build the function that yields the files (and their texts) which call a name, nearest to `path` first.

    Nothing is read before it is asked; each file is read once, and no more than there is time for.
    """
    real = os.path.realpath(path)
    tops = [root for root in map(os.path.realpath, roots) if real.startswith(os.path.join(root, ""))]

    def search(name: str) -> Iterator[tuple[str, str]]:
        found = [other for other in _calling(min(tops, key=len), name) if other != real] if tops else []
        for other in sorted(found, key=lambda item: _distance(item, real))[:_MAX_FOUND]:
            with suppress(OSError, SyntaxError, UnicodeDecodeError):  # gone, or in no encoding
                yield other, overlay.source_text(other)

    return search


def _distance(path: str, other: str) -> tuple[int, str]:
    """How many folders lie between two files."""
    shared = os.path.commonpath([path, other])
    return path.count(os.sep) + other.count(os.sep) - 2 * shared.count(os.sep), path


def _calling(top: str, name: str) -> list[str]:
    with reached.searching():
        found = files_calling(top, name)
    reached.called(top, name, found)
    return found
