"""A best-first search over arguments: what came furthest is repaired first."""

from __future__ import annotations

import heapq
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
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
        self, starts: Iterable[State], run: Run, repair: Repair, deadline: float, limit: int = 400
    ) -> None:
        self.last: Failure | None = None
        self._starts = iter(starts)
        self._run = run
        self._repair = repair
        self._deadline = deadline
        self._left = limit
        self._seen: set[str] = set()

    def __iter__(self) -> Iterator[Found]:
        """Yield what works, in the order in which it is found."""
        queue: list[tuple[tuple[Any, ...], Iterator[State]]] = []
        order = itertools.count()

        def push(rank: tuple[int, ...], taken: int, states: Iterator[State]) -> None:
            # A failure that many repairs did not help waits until the others have had as many.
            heapq.heappush(queue, ((taken // _REPAIRS_IN_A_ROW, rank, taken, next(order)), states))

        push((1,), 0, self._starts)
        while queue and self._left > 0 and time.monotonic() < self._deadline:
            (_, rank, taken, _), states = heapq.heappop(queue)
            state = next(states, None)
            if state is None:
                continue
            push(rank, taken + 1, states)
            key = json.dumps(state, sort_keys=True)
            if key in self._seen:
                continue
            self._seen.add(key)
            self._left -= 1
            attempt = self._run(state)
            if attempt.failure is None:
                yield Found(state, attempt.value)
                continue
            if self.last is None or attempt.failure.progress >= self.last.progress:
                self.last = attempt.failure
            progress = tuple(-part for part in attempt.failure.progress)
            push(progress, 0, iter(self._repair(attempt.failure, state)))
