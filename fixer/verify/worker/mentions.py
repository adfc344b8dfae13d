"""The files of the target's tree that build a class: what others give to it is worth more than any guess."""

from __future__ import annotations

import functools
import os
import re
from contextlib import suppress
from typing import Callable, Iterator

from . import overlay
from .synthesis import clock

Mentioning = Callable[[str], Iterator["tuple[str, str]"]]

_MAX_FILES = 3000
_MAX_BYTES = 1 << 19
_MAX_SECONDS = 0.3
_MAX_FOUND = 12
_NOT_THE_TREE = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}


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


@functools.lru_cache(maxsize=256)
def _calling(top: str, name: str) -> list[str]:
    """Return the files below a folder that call a name."""
    word = name.encode()
    called = re.compile(rb"(?<!class )(?<![\w])" + re.escape(word) + rb"\s*\(")
    # Most files do not have the name at all, which is found out much faster than where it is called.
    return [path for path, data in _texts(top).items() if word in data and called.search(data)]


@functools.lru_cache(maxsize=2)
def _texts(top: str) -> dict[str, bytes]:
    return dict(_read(top))


def _read(top: str) -> Iterator[tuple[str, bytes]]:
    end = clock.now() + _MAX_SECONDS
    for count, path in enumerate(_python_files(top)):
        if count >= _MAX_FILES or clock.now() > end:
            return
        try:
            with open(path, "rb") as file:
                yield path, file.read(_MAX_BYTES)
        except OSError:
            continue


def _python_files(top: str) -> Iterator[str]:
    for folder, inner, files in os.walk(top):
        inner[:] = sorted(name for name in inner if name not in _NOT_THE_TREE and not name.startswith("."))
        yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(".py"))
