"""Where paths really lead, looked up once for each job: imports ask about the same few over and over."""

from __future__ import annotations

import functools
import os


@functools.lru_cache(maxsize=4096)
def real(path: str) -> str:
    """The path without symbolic links, as it was when it was asked for first."""
    return os.path.realpath(path)


def forget() -> None:
    """Look again: something else may lie there."""
    real.cache_clear()
