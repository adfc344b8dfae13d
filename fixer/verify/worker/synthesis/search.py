"""A best-first search over arguments: what came furthest is repaired first."""

from __future__ import annotations

import heapq
import itertools
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .probing import Attempt, Failure
    from .specs import State

    Run = Callable[[State], Attempt]
    Repair = Callable[[Failure, State], Iterable[State]]

_REPAIRS_IN_A_ROW = 12


class Found(NamedTuple):
    """Arguments that worked, and what they gave."""

    state: State
    value: Any


class Search:
    """Iterates over arguments that work; `last` is the failure that came furthest."""

    def __init__(
        self, starts: Iterator[State], run: Run, repair: Repair, deadline: float, limit: int
    ) -> None:
        self.last: Failure | None = None
        self._run = run
        self._repair = repair
        self._deadline = deadline
        self._left = limit
        self._seen: set[str] = set()
        self._queue: list[tuple[tuple[Any, ...], Iterator[State]]] = []
        self._order = itertools.count()
        self._push((1,), 0, starts)

    def __iter__(self) -> Iterator[Found]:
        """Yield what works, in the order in which it is found."""
        while self._queue and self._left > 0 and time.monotonic() < self._deadline:
            (_, rank, taken, _), states = heapq.heappop(self._queue)
            state = next(states, None)
            if state is None:
                continue
            self._push(rank, taken + 1, states)
            key = json.dumps(state, sort_keys=True)
            if key in self._seen:
                continue
            self._seen.add(key)
            self._left -= 1
            value, failure = self._run(state)
            if failure is None:
                yield Found(state, value)
                continue
            if self.last is None or failure.progress >= self.last.progress:
                self.last = failure
            self._push(tuple(-part for part in failure.progress), 0, iter(self._repair(failure, state)))

    def reject(self, state: State, failure: Failure) -> None:
        """Say that arguments which worked failed later; repairing that comes first from now on."""
        self._push((-(10**9), *(-part for part in failure.progress)), 0, iter(self._repair(failure, state)))

    def _push(self, rank: tuple[int, ...], taken: int, states: Iterator[State]) -> None:
        # A failure that many repairs did not help waits until the others have had as many.
        heapq.heappush(self._queue, ((taken // _REPAIRS_IN_A_ROW, rank, taken, next(self._order)), states))
