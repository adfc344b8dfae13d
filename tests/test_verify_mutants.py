"""Right and wrong rewrites over many kinds of models: right ones are proven, wrong ones never."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixer.contract import Verdict, Verification
from tests.judge_support import verify
from tests.mutants import (
    COPIES,
    DELETIONS,
    PROJECTIONS,
    Copying,
    Deletion,
    Projection,
    copying_job,
    deletion_job,
    job_of,
    made,
    projection_job,
)
from tests.mutants.anatomy import Anatomy, Model
from tests.mutants.kinds import KINDS, Kind
from tests.mutants.oracle import Question, difference, observations

SEEDS = 20
SLOW = pytest.mark.slow
PROVEN = {Verdict.EQUIVALENT, Verdict.REPAIRED}


def projected(folder: Path, mutant: Projection, after: str, seed: int = 0) -> Verification:
    return verify(projection_job(folder, mutant, after), seed=seed)


def deleted(folder: Path, mutant: Deletion, after: str, seed: int = 0) -> Verification:
    return verify(deletion_job(folder, mutant, after), seed=seed)


def copied(folder: Path, mutant: Copying, after: str, seed: int = 0) -> Verification:
    return verify(copying_job(folder, mutant, after), seed=seed)


def named(mutants: tuple[Projection, ...] | tuple[Deletion, ...] | tuple[Copying, ...]) -> list[object]:
    return [pytest.param(mutant, id=mutant.name) for mutant in mutants]


@pytest.mark.parametrize("mutant", named(PROJECTIONS))
def test_a_moved_projection(tmp_path: Path, mutant: Projection) -> None:
    found = projected(tmp_path, mutant, mutant.after)
    assert found.verdict is (Verdict.REPAIRED if mutant.repaired else Verdict.EQUIVALENT), found.reason


@pytest.mark.parametrize("mutant", named(DELETIONS))
def test_a_deleted_backward(tmp_path: Path, mutant: Deletion) -> None:
    found = deleted(tmp_path, mutant, mutant.after)
    assert found.verdict is Verdict.EQUIVALENT, found.reason


@pytest.mark.parametrize("mutant", named(COPIES))
def test_an_assignment_that_became_a_copy(tmp_path: Path, mutant: Copying) -> None:
    found = copied(tmp_path, mutant, mutant.after)
    assert found.verdict is Verdict.REPAIRED, found.reason


def wrong(mutants: tuple[Projection, ...] | tuple[Deletion, ...]) -> list[object]:
    """Every mistake with every model; the first with every second model is quick."""
    return [
        pytest.param(
            mutant, *mistake, id=f"{mutant.name}-{number}", marks=SLOW if number or place % 2 else ()
        )
        for place, mutant in enumerate(mutants)
        for number, mistake in enumerate(mutant.wrong)
    ]


@pytest.mark.parametrize(("mutant", "old", "new"), wrong(PROJECTIONS))
def test_a_projection_moved_wrongly(tmp_path: Path, mutant: Projection, old: str, new: str) -> None:
    assert old in mutant.after
    found = projected(tmp_path, mutant, mutant.after.replace(old, new))
    assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.parametrize(("mutant", "old", "new"), wrong(DELETIONS))
def test_a_deletion_that_changes_more(tmp_path: Path, mutant: Deletion, old: str, new: str) -> None:
    assert old in mutant.after
    found = deleted(tmp_path, mutant, mutant.after.replace(old, new))
    assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.parametrize(
    ("mutant", "statement"),
    [
        pytest.param(mutant, statement, id=f"{mutant.name}-{number}", marks=SLOW if number else ())
        for mutant in COPIES
        for number, statement in enumerate(mutant.wrong)
    ],
)
def test_a_wrong_copy(tmp_path: Path, mutant: Copying, statement: str) -> None:
    found = copied(tmp_path, mutant, mutant.wrongly(statement))
    assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.slow
@pytest.mark.parametrize("mutant", named(PROJECTIONS))
def test_no_seed_refutes_a_right_projection(tmp_path: Path, mutant: Projection) -> None:
    for seed in range(1, SEEDS + 1):
        found = projected(tmp_path, mutant, mutant.after, seed)
        assert found.verdict in PROVEN, f"seed {seed}: {found.reason}"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", named(DELETIONS))
def test_no_seed_refutes_a_right_deletion(tmp_path: Path, mutant: Deletion) -> None:
    for seed in range(1, SEEDS + 1):
        found = deleted(tmp_path, mutant, mutant.after, seed)
        assert found.verdict in PROVEN, f"seed {seed}: {found.reason}"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", named(COPIES))
def test_no_seed_refutes_a_right_copy(tmp_path: Path, mutant: Copying) -> None:
    for seed in range(1, SEEDS + 1):
        found = copied(tmp_path, mutant, mutant.after, seed)
        assert found.verdict in PROVEN, f"seed {seed}: {found.reason}"


AROUND = (
    *("arguments of the hook refused", "gradient dropped with the projection", "learning rate changed"),
    *("a key of state_dict renamed", "something kept that cannot be copied"),
    "load_state_dict hook that copies share",
)


@pytest.mark.parametrize("mutant", named(tuple(m for m in PROJECTIONS if m.symptom == "gradient")))
@pytest.mark.parametrize("kind", AROUND)
def test_more_than_the_gradient_is_compared(tmp_path: Path, mutant: Projection, kind: str) -> None:
    (text,) = next(k for k in KINDS if k.name == kind).texts(Anatomy(mutant))
    found = projected(tmp_path, mutant, text)
    assert found.verdict is Verdict.REFUTED, found.reason


def test_layers_whose_own_values_are_in_range_start_out_of_it_as_well(tmp_path: Path) -> None:
    mutant = next(m for m in PROJECTIONS if m.name == "a bound that is off unless it is asked for")
    (text,) = next(k for k in KINDS if k.name == "call in __init__ dropped").texts(Anatomy(mutant))
    found = projected(tmp_path, mutant, text)
    assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.slow
def test_one_mistake_of_every_kind_is_refuted(tmp_path: Path) -> None:
    models: list[Model] = [*PROJECTIONS, *DELETIONS, *COPIES]
    chosen: list[tuple[Kind, Model, str]] = []
    for turn, kind in enumerate(KINDS):
        places = [(kind, m, text) for m in models for text in kind.texts(Anatomy(m))]
        chosen.append(places[(turn * 7) % len(places)])
    questions = [[Question(t, made(m), m.inputs) for t in (m.after, text)] for _, m, text in chosen]
    seen = observations([question for pair in questions for question in pair])
    missed = []
    for index, (kind, model, text) in enumerate(chosen):
        folder = tmp_path / str(index)
        folder.mkdir()
        found = verify(job_of(folder, model, text))
        change = difference(*seen[2 * index : 2 * index + 2], getattr(model, "exact", True))
        if change is not None and found.verdict is not Verdict.REFUTED:
            missed.append(f"{kind.name}, {model.name}: {found.reason}; but {change}")
    assert not missed


HIDDEN = (
    "a random number more in forward",
    "a random number of Python's more in forward",
    "default type changed by forward",
    "gradient dropped with the projection",
    "input overwritten",
    "projected in training mode only",
    "projected at the first steps only",
)
"""Kinds of mistakes that outputs, gradients and parameters alone do not show."""


@pytest.mark.parametrize("name", HIDDEN)
def test_a_mistake_that_outputs_do_not_show(tmp_path: Path, name: str) -> None:
    model = next(model for model in PROJECTIONS if model.name == "several optimizers")
    kind = next(kind for kind in KINDS if kind.name == name)
    for number, text in enumerate(kind.texts(Anatomy(model))):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = projected(folder, model, text)
        assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("    model = Net()\n", "    model = Net()\n    model.eval()\n", Verdict.UNVERIFIED),  # not replayed
        ("    return model", "    model.eval()\n    return model", Verdict.REFUTED),
    ],
)
def test_a_line_beside_the_replayed_statement(tmp_path: Path, old: str, new: str, verdict: Verdict) -> None:
    model = next(model for model in PROJECTIONS if model.name == "several optimizers")
    found = projected(tmp_path, model, model.after.replace(old, new))
    assert found.verdict is verdict, found.reason


LATE = [mutant for mutant in PROJECTIONS if mutant.symptom == "gradient"]


@pytest.mark.parametrize("mutant", named(tuple(LATE)))
@pytest.mark.parametrize("seed", range(1, 4))
def test_a_late_constraint_has_work_on_both_sides(tmp_path: Path, mutant: Projection, seed: int) -> None:
    found = projected(tmp_path, mutant, mutant.after, seed)
    assert found.verdict is Verdict.REPAIRED, found.reason
    names = [trajectory["optimizer"] for trajectory in found.evidence["trajectories"]]
    assert any("noise" in name for name in names)


def test_every_model_has_a_name_of_its_own() -> None:
    names = [model.name for model in (*PROJECTIONS, *DELETIONS, *COPIES)]
    assert len(names) == len(set(names))
