"""A best-first search over arguments: what came furthest is repaired first."""

from __future__ import annotations

import heapq
import itertools
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .probing import Attempt, Failure
    from .specs import State

    Run = Callable[[State], Attempt]
    Repair = Callable[[Failure, State], Iterable[State]]

_REPAIRS_IN_A_ROW = 12
_ATTEMPTS_IF_HOPELESS = 10
_MOST_TRUSTED = 100
_UNMOVED = 4
_IF_UNMOVED = 3
"""After how many failures with the very same numbers each further one counts for several."""
_BATCH = re.compile(r"\(\d+x(?=\d+ and )")
_SHRINKING = 5
"""How many repairs of what was too large come before everything else."""
_MADE_FIRST = 2
"""For how many objects that could not be made a way to make them is looked for before everything else."""
_URGENT_FIRST = 8
"""How much of what is urgent comes before what is trusted."""


class _Node:
    """A failure and the repairs of it that are still to be tried.

    `cost` counts the repairs since the last one that came further: those before it and those already taken.
    """

    def __init__(self, progress: tuple[float, ...], cost: int, states: Iterator[State]) -> None:
        self.progress = progress
        self.cost = cost
        self.states = states

    @property
    def priority(self) -> tuple[Any, ...]:
        """Sorts first what came furthest; a failure that many repairs did not help waits for the others."""
        return (self.cost // _REPAIRS_IN_A_ROW, (*(-part for part in self.progress), 1), self.cost)


class Found(NamedTuple):
    """Arguments that worked, and what they gave."""

    state: State
    value: Any


def until_it_fails(states: Iterator[State]) -> Iterator[State]:
    """Yield what a repair finds; it looks at objects of the code under test, whose attributes do anything."""
    while True:
        state = _next(states)
        if state is None:
            return
        yield state


def _next(states: Iterator[State]) -> State | None:
    try:
        return next(states, None)
    except Exception:
        return None


class Search:
    """Iterates over arguments that work; `last` is the failure that came furthest.

    It pauses after `patience` attempts in a row that failed as others did before (`known` may hold failures
    of other searches). With a later `deadline` or after a pause it goes on where it stopped.
    """

    def __init__(
        self,
        starts: Iterator[State],
        run: Run,
        repair: Repair,
        deadline: float,
        limit: int,
        trusted: Iterator[State],
        patience: int | None = None,
        known: set[Any] | None = None,
        later: Iterator[State] | None = None,
    ) -> None:
        """What is `trusted` comes before all else, even before what has failed is repaired.

        What comes `later` waits until some repairs have not helped.
        """
        self.patience = patience
        self._known: set[Any] = set() if known is None else known
        self._told: Counter[Any] = Counter()
        self._made_first = _MADE_FIRST
        self._urgent_left = _URGENT_FIRST
        self.last: Failure | None = None
        self.furthest: State | None = None
        """The arguments that the last failure came from."""
        self._run = run
        self._repair = repair
        self.deadline = deadline
        self._left = limit
        self._seen: set[str] = set()
        self._queue: list[tuple[tuple[Any, ...], int, _Node]] = []
        self._order = itertools.count()
        self._push(_Node((), 0, starts))
        self._push(_Node((), -_MOST_TRUSTED, trusted))
        if later is not None:
            self._push(_Node((10**9,), _REPAIRS_IN_A_ROW, later))

    def __iter__(self) -> Iterator[Found]:
        """Yield what works, in the order in which it is found."""
        stale = 0
        while self._queue and self._left > 0 and clock.now() < self.deadline:
            node = heapq.heappop(self._queue)[2]
            state = _next(node.states)
            if state is None:
                continue
            node.cost += 1
            self._push(node)
            key = json.dumps(state, sort_keys=True)
            if key in self._seen:
                continue
            self._seen.add(key)
            self._left -= 1
            value, failure = self._run(state)
            if failure is None:
                yield Found(state, value)
                continue
            self._note(failure, state)
            if failure.is_out_of_time and clock.now() >= self.deadline:
                # It was cut short for the others' sake: it comes first when the search goes on.
                self._seen.discard(key)
                self._push(_Node((), -_MOST_TRUSTED, iter([state])))
                continue
            stale = stale + self._weight(failure) if failure.signature in self._known else 0
            self._known.add(failure.signature)
            if failure.is_hopeless:
                self._left = min(self._left, _ATTEMPTS_IF_HOPELESS)
            repairs = iter(self._repair(failure, state))
            if failure.is_too_large:
                self._push(_Node(failure.progress, -_MOST_TRUSTED, itertools.islice(repairs, _SHRINKING)))
            if failure.is_in_argument and self._made_first:
                self._made_first -= 1
                self._push(_Node(failure.progress, -_MOST_TRUSTED, itertools.islice(repairs, 1)))
            came_further = failure.progress > node.progress or failure.is_in_argument
            cost = 0 if came_further else node.cost
            self._push(_Node(failure.progress, cost, repairs))
            if self.patience is not None and stale >= self.patience:
                return

    def _weight(self, failure: Failure) -> int:
        """Return for how many attempts one counts: for several if nothing that was tried changes a number."""
        told = (failure.signature, _BATCH.sub("(#x", failure.message))
        self._told[told] += 1
        return _IF_UNMOVED if self._told[told] > _UNMOVED else 1

    def _note(self, failure: Failure, state: State) -> None:
        """Keep the failure that came furthest, of equals the latest; time running out says nothing."""
        last = self.last
        if (
            last is None
            or last.is_out_of_time
            or (
                not failure.is_out_of_time
                and (failure.progress, not last.is_hopeless, not failure.is_about_kind)
                >= (last.progress, True, not last.is_about_kind)
            )
        ):
            self.last, self.furthest = failure, state

    def reject(self, state: State, failure: Failure, urgent: Iterator[State]) -> None:
        """Say that arguments which worked failed later; repairing that comes first from now on.

        What is `urgent` comes even before what is trusted, the first few of it; else right after that.
        """
        self._push(_Node((), -2 * _MOST_TRUSTED, self._hurried(urgent)))
        self._push(_Node((), _REPAIRS_IN_A_ROW - _MOST_TRUSTED, urgent))
        self._push(_Node((10**9, *failure.progress), 0, iter(self._repair(failure, state))))

    def _hurried(self, urgent: Iterator[State]) -> Iterator[State]:
        """Yield what is urgent while few others were: repairs of repairs are as urgent, and have no end."""
        while self._urgent_left > 0:
            state = _next(urgent)
            if state is None:
                return
            self._urgent_left -= 1
            yield state

    def _push(self, node: _Node) -> None:
        heapq.heappush(self._queue, (node.priority, next(self._order), node))
