"""Results kept on disk place by place, so that a long run can be done in parts and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from mutation_result import Result

Judge = Callable[[Collection[str]], list[Result]]
"""Judges every mistake of one model or one golden case, but for the kinds that are known."""


class Journal:
    """A file of results; without a path, nothing is kept and nothing is known."""

    def __init__(
        self, path: Path | None, part: str, settings: Sequence[object], redo: bool, judges: bool = True
    ) -> None:
        """Only what was judged for the same `part` with the same `settings` counts.

        With `redo`, nothing counts: what is judged now takes its place. Without `judges`, nothing is judged.
        """
        self._path = path
        self._judges = judges
        self._key = [part, *map(str, settings)]
        self._known: dict[str, list[Result]] = {}
        lines = path.read_text("utf-8").splitlines() if path is not None and path.exists() else []
        for key, place, results in map(json.loads, lines):
            if key == self._key and not redo:
                self._add(place, [Result(**result) for result in results])

    def of(self, place: str, judge: Judge) -> Iterator[Result]:
        """The results of one place, which is judged for those kinds only that are not known."""
        results = judge({result.kind for result in self._known.get(place, ())}) if self._judges else []
        if self._path is not None and results:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([self._key, place, [asdict(result) for result in results]]) + "\n")
        self._add(place, results)
        yield from self._known.get(place, ())

    def _add(self, place: str, results: list[Result]) -> None:
        """Put results in the place of older ones of the same kinds."""
        kinds = {result.kind for result in results}
        kept = [result for result in self._known.get(place, ()) if result.kind not in kinds]
        self._known[place] = kept + results
