"""Who is traced: the target's calls, not our own work around them, which would take three times as long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Any, Iterator

_waiting: list[Any] = []
"""The trace function that calls of the target get, where everything else is ours."""


class Untraced:
    """While it is entered, no trace function is called."""

    def __enter__(self) -> None:
        self._trace = sys.gettrace()
        sys.settrace(None)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._trace)


class Traced:
    """While it is entered, the trace function that waits is called, if there is one."""

    def __enter__(self) -> None:
        self._trace = sys.gettrace()
        if _waiting:
            sys.settrace(_waiting[-1])

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._trace)


@contextmanager
def waiting(trace: Any) -> Iterator[None]:
    """Let a trace function wait for what is `Traced` inside."""
    _waiting.append(trace)
    try:
        yield
    finally:
        _waiting.pop()
