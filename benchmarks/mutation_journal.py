"""Results kept on disk place by place, so that a long run can be done in parts and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from mutation_result import Result

Judge = Callable[[], list[Result]]
"""Judges every mistake of one model or one golden case."""


class Journal:
    """A file of results; without a path, nothing is kept and nothing is known."""

    def __init__(self, path: Path | None, part: str, settings: Sequence[object], redo: bool) -> None:
        """Only what was judged for the same `part` with the same `settings` counts.

        With `redo`, nothing counts: what is judged now takes its place.
        """
        self._path = path
        self._key = [part, *map(str, settings)]
        lines = path.read_text("utf-8").splitlines() if path is not None and path.exists() else []
        kept = (json.loads(line) for line in lines)
        self._known = {
            place: [Result(**result) for result in results]
            for key, place, results in kept
            if key == self._key and not redo
        }

    def of(self, place: str, judge: Judge) -> Iterator[Result]:
        """The results of one place, which is judged only if they are not known."""
        if place not in self._known:
            results = judge()
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([self._key, place, [asdict(result) for result in results]]) + "\n")
            self._known[place] = results
        yield from self._known[place]
