"""Mistakes in the fixed text of the golden cases, made by an algorithm that knows nothing of the fixes."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any
from unittest import mock

from mutation_journal import Journal
from mutation_operators import Change, changes
from mutation_result import Result
from rich.console import Console
from rich.progress import track

from fixer.contract import Verification
from fixer.edits import Edit, EditSet
from fixer.verify import Job, Verifier, VerifySettings
from tests import golden

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXPLAINED = Path(__file__).with_name("mutation_equal.toml")
PLACES = 60
"""How many mistakes are made in one fix at most, spread evenly over all that could be made."""


@dataclass(frozen=True)
class _Mistake:
    name: str
    shown: str
    """The line before and after, as people read it and as `mutation_equal.toml` names it."""
    job: Job


def judged(only: str, place: str, every: int, at_once: int, journal: Journal) -> Iterator[Result]:
    """Every mistake with its verdict; those that are explained as harmless have no `change`."""
    known = explained()
    settings = VerifySettings(python=Path(sys.executable), at_once=at_once)
    chosen = [case for case in golden.cases() if place in case.name and case.after != case.before]
    for case in track(chosen, console=Console(stderr=True), transient=True):
        harmless = {f"{case.name}: {shown}" for shown in known.get(case.name, {})}
        for result in journal.of(case.name, partial(_of_case, case, settings, only, every)):
            # The same line may stand in two places: what is refuted was not what is explained.
            explains = result.place in harmless and result.verdict != "refuted"
            yield replace(result, change=None) if explains else result


def _of_case(
    case: golden.Case, settings: VerifySettings, only: str, every: int, known: Collection[str]
) -> list[Result]:
    if known:
        return []
    with tempfile.TemporaryDirectory() as folder:
        jobs = _proven(case, Path(folder))
        mistakes = [m for job in jobs for m in _spread(list(_mistakes(job)))[::every] if only in m.name]
        with Verifier(settings, Path(folder)) as verifier:
            verdicts = verifier.verify_all([mistake.job for mistake in mistakes])
    return [
        Result(
            mistake.name,
            f"{case.name}: {mistake.shown}",
            number,
            "nobody has explained it",
            found.verdict.value,
            found.reason.replace(f"{folder}/", ""),
        )
        for number, (mistake, found) in enumerate(zip(mistakes, verdicts, strict=True))
    ]


def explained() -> dict[str, Any]:
    """For each case, the changes that change nothing, with the reason."""
    return tomllib.loads(EXPLAINED.read_text("utf-8")) if EXPLAINED.exists() else {}


def under_seeds(count: int, place: str, kept: Path | None) -> dict[str, Any]:
    """Judge every golden case under many seeds, and count the verdicts that are not the expected ones.

    With a file to keep the cases that are done in, a run goes on where another was stopped.
    """
    lines = kept.read_text("utf-8").splitlines() if kept is not None and kept.exists() else []
    known = {case: others for case, seeds, others in map(json.loads, lines) if seeds == count}
    chosen = [
        case
        for case in golden.cases()
        if place in case.name and any(finding["verdict"] != "none" for finding in case.findings)
    ]
    for case in track(chosen, console=Console(stderr=True), transient=True):
        if case.name not in known:
            known[case.name] = _flips(case, count)
            if kept is not None:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([case.name, count, known[case.name]]) + "\n")
    others = {told: times for case in chosen for told, times in known[case.name].items()}
    return {"cases": len(chosen), "seeds": count, "others": dict(sorted(others.items()))}


def _flips(case: golden.Case, count: int) -> dict[str, int]:
    """The verdicts of a case other than the expected ones, and under how many seeds."""
    flips: Counter[str] = Counter()
    for seed in range(1, count + 1):
        with tempfile.TemporaryDirectory() as folder, _seeded(seed):
            golden.write(case.before, Path(folder))
            found = golden.run(case, Path(folder)).findings
        for expected, got in zip_longest(case.findings, found, fillvalue={}):
            if expected.get("verdict") != got.get("verdict"):
                line = expected.get("line", got.get("line"))
                flips[f"{case.name}:{line}: {got.get('verdict')}, not {expected.get('verdict')}"] += 1
    return dict(flips)


def _seeded(seed: int) -> AbstractContextManager[object]:
    """Have golden cases run under this seed."""
    usual = golden._SharedVerifier.at

    def at(self: golden._SharedVerifier, settings: VerifySettings, root: Path) -> golden._SharedVerifier:
        return usual(self, replace(settings, seed=seed), root)

    return mock.patch.object(golden._SharedVerifier, "at", at)


def _proven(case: golden.Case, folder: Path) -> list[Job]:
    """The jobs of a case that were proven, with the tree as it was before lying in the folder."""
    found: list[tuple[Job, Verification]] = []
    original = golden._SharedVerifier.verify_all

    def recording(self: Verifier, jobs: list[Job]) -> list[Verification]:
        verdicts = original(self, jobs)  # type: ignore[arg-type]
        found.extend(zip(jobs, verdicts, strict=True))
        return verdicts

    golden.write(case.before, folder)
    with mock.patch.object(golden._SharedVerifier, "verify_all", recording):
        golden.run(case, folder)
    golden.write(case.before, folder)
    return [job for job, verdict in found if verdict.verdict.proven]


def _spread(mistakes: list[_Mistake]) -> list[_Mistake]:
    every = max(1, -(-len(mistakes) // PLACES))
    return mistakes[::every]


def _mistakes(job: Job) -> Iterator[_Mistake]:
    for path, edits in job.after.files.items():
        others = set(job.before.files.get(path, ()))
        source = job.sources[path]
        text = source.apply(edits).text
        if source.data != source.text.encode() or "\r" in text:
            continue  # byte offsets are those of the text only where nothing is translated
        pieces = _pieces(sorted(set(edits)))
        spans = [(new, new + len(e.text.encode())) for e, new in pieces if e not in others]
        for change in changes(text, spans):
            written = _composed(pieces, change)
            if others - set(written):
                continue  # it would change what another fix has written
            after = EditSet({**job.after.files, path: tuple(sorted(written))})
            yield _Mistake(change.name, change.shown, replace(job, after=after))


def _pieces(edits: list[Edit]) -> list[tuple[Edit, int]]:
    """Each edit with the offset at which its text begins in the new data."""
    found, shift = [], 0
    for edit in edits:
        found.append((edit, edit.start + shift))
        shift += len(edit.text.encode()) - (edit.end - edit.start)
    return found


def _composed(pieces: list[tuple[Edit, int]], change: Change) -> list[Edit]:
    """The edits that make of the old data what `change` makes of the new data."""
    kept: list[Edit] = []
    start = end = None
    head = tail = b""
    shift = 0
    for edit, new in pieces:
        text = edit.text.encode()
        new_end = new + len(text)
        touched = new < change.end and change.start < new_end
        if not touched and new_end <= change.start:
            shift = edit.end - new_end
        if not touched:
            kept.append(edit)
            continue
        if start is None:
            start = edit.start if new <= change.start else change.start + shift
            head = text[: max(0, change.start - new)]
        if new_end >= change.end:
            end, tail = edit.end, text[change.end - new :]
        shift = edit.end - new_end
    start = change.start + shift if start is None else start
    end = change.end + shift if end is None else end
    return [*kept, Edit(start, end, (head + change.text.encode() + tail).decode())]
