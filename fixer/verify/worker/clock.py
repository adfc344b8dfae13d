"""Time that is fair on a busy machine: what is found must not depend on what else runs there."""

from __future__ import annotations

import time

_PATIENCE = 4.0
"""How many seconds of waiting count as one of work: a machine so busy makes no difference, sleeping ends."""


class _Clock:
    def __init__(self) -> None:
        self._elapsed = 0.0
        self._cpu = time.process_time()
        self._wall = time.monotonic()

    def __call__(self) -> float:
        cpu, wall = time.process_time(), time.monotonic()
        # In a process that has just been forked the first is less than it was.
        self._elapsed += max(cpu - self._cpu, (wall - self._wall) / _PATIENCE)
        self._cpu, self._wall = cpu, wall
        return self._elapsed


now = _Clock()
"""Seconds of work since some point in the past."""


def waiting(seconds: float) -> float:
    """The wall time after which so many seconds of work are over in any case."""
    return seconds * _PATIENCE
