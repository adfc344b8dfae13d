"""Mistakes of every kind in the fixes of the models of `tests/mutants`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Collection, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from mutation_journal import Journal
from mutation_result import Result
from rich.console import Console
from rich.progress import track

from fixer.verify import Verifier, VerifySettings
from tests.mutants import COPIES, DELETIONS, PROJECTIONS, job_of, made
from tests.mutants.anatomy import Anatomy, Model
from tests.mutants.kinds import KINDS
from tests.mutants.oracle import Question, difference, observations

STEPS, SEEDS = 5, 1
"""Less than users have it do: what is found with less is found with more."""
PLACES = 3
"""In how many places of one model a kind of mistake is made."""


def judged(only: str, place: str, every: int, at_once: int, journal: Journal) -> Iterator[Result]:
    """Every mistake with its verdict."""
    settings = VerifySettings(python=Path(sys.executable), steps=STEPS, seeds=SEEDS, at_once=at_once)
    models: list[Model] = [*PROJECTIONS, *DELETIONS, *COPIES]
    chosen = [model for model in models if place in model.name]
    with Verifier(settings, Path(__file__).parent) as verifier, tempfile.TemporaryDirectory() as folder:
        for index, model in enumerate(track(chosen, console=Console(stderr=True), transient=True)):
            part = slice(index % every, None, every)
            judge = partial(_of_model, verifier, Path(folder) / str(index), model, only, part)
            yield from (result for result in journal.of(model.name, judge) if only in result.kind)


def _of_model(
    verifier: Verifier, folder: Path, model: Model, only: str, part: slice, known: Collection[str]
) -> list[Result]:
    folder.mkdir()
    anatomy = Anatomy(model)
    mistakes = [
        (kind.name, number, text)
        for kind in KINDS
        if only in kind.name and kind.name not in known
        for number, text in enumerate(islice(kind.texts(anatomy), PLACES))
    ][part]
    if not mistakes:
        return []
    exact = getattr(model, "exact", True)
    questions = [
        Question(text, made(model), model.inputs, exact) for _, _, text in [("", 0, model.after), *mistakes]
    ]
    right, *seen = observations(questions)
    verdicts = verifier.verify_all([job_of(folder, model, text) for _, _, text in mistakes])
    return [
        Result(
            kind,
            model.name,
            number,
            difference(right, observed, exact),
            found.verdict.value,
            found.reason.replace(f"{folder}/", ""),
        )
        for (kind, number, _), observed, found in zip(mistakes, seen, verdicts, strict=True)
    ]
