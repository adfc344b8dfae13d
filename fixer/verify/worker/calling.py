"""Which files of a tree call a name; asked again, without torch, by whoever reads a stored verdict."""

from __future__ import annotations

import functools
import os
import re
from typing import Iterator

from . import clock

_MAX_FILES = 3000
_MAX_BYTES = 1 << 19
_MAX_SECONDS = 0.3
_NOT_THE_TREE = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}


@functools.lru_cache(maxsize=256)
def files_calling(top: str, name: str) -> list[str]:
    """Return the files below a folder that call a name; each file is read once, while there is time."""
    word = name.encode()
    called = re.compile(rb"(?<!class )(?<![\w])" + re.escape(word) + rb"\s*\(")
    # Most files do not have the name at all, which is found out much faster than where it is called.
    return [path for path, data in _texts(top).items() if word in data and called.search(data)]


def forget() -> None:
    """Read the trees again the next time."""
    files_calling.cache_clear()
    _texts.cache_clear()


@functools.lru_cache(maxsize=2)
def _texts(top: str) -> dict[str, bytes]:
    return dict(_read(top))


def _read(top: str) -> Iterator[tuple[str, bytes]]:
    begun = clock.now()
    for count, path in enumerate(_python_files(top)):
        if count >= _MAX_FILES or clock.now() - begun > _MAX_SECONDS:
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
