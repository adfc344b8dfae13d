"""Asking again where a model's own run left changed functions out: each is then run by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from fixer.against.reach import Reach
from fixer.contract import Subject, Verdict, Verification
from fixer.facts.file import File
from fixer.verify import Revision

_MOST = 6
"""Functions of one class that are worth a run each."""
_OF_THE_RUN = ("", "__init__", "forward")
"""What the run of a model calls anyway, and what lies in no function: nothing more can be tried."""
_TOLD = ("counterexample", "differences")
_SIDES = ("before", "after")


def questions(job: Revision, answer: Verification) -> list[Revision]:
    """What to ask instead: about the model without the functions its run left out, then about each of them.

    Nothing where the answer is not about lines that were never reached, or one of them lies in a function
    that cannot be run by itself.
    """
    missed = answer.evidence.get("missed") if answer.verdict is Verdict.UNVERIFIED else None
    if not missed:
        return []
    (subject,) = job.contract.subjects
    functions: dict[str, tuple[Path, str]] = {}
    for side, path, line in missed:
        found = _function_at(job, _SIDES.index(side), Path(path), int(line))
        if _last(found) in _OF_THE_RUN:
            return []
        functions.setdefault(_last(found), (Path(path), found.rpartition(".")[0]))
    if len(functions) > _MOST:
        return []
    alone = [
        _only(job, name, _subject(subject, path, owner, name)) for name, (path, owner) in functions.items()
    ]
    return [_without(job, functions.keys()), *alone]


def _subject(model: Subject, path: Path, owner: str, name: str) -> Subject:
    """A method of the model or of another class, or a function of a file."""
    if owner == model.class_name:
        return replace(model, function=name)
    return Subject(path, owner or None, name)


def joined(asked: Sequence[Revision], answers: Sequence[Verification]) -> Verification:
    """One verdict of those on a model and on the functions that its run left out."""
    whole, *alone = answers
    names = [str(question.contract.subjects[0].function) for question in asked[1:]]
    if whole.verdict is not Verdict.EQUIVALENT:
        return whole
    apart = {
        name: {"verdict": a.verdict.value, "reason": a.reason} for name, a in zip(names, alone, strict=True)
    }
    evidence = {**whole.evidence, "apart": apart}
    for verdict in (Verdict.REFUTED, Verdict.UNVERIFIED):
        for name, answer in zip(names, alone, strict=True):
            if answer.verdict is verdict:
                told = {key: answer.evidence[key] for key in _TOLD if key in answer.evidence}
                tried = "" if verdict is Verdict.REFUTED else ", which the model's own run never calls"
                return Verification(verdict, f"`{name}`{tried}: {answer.reason}", {**evidence, **told})
    also = ", ".join(f"`{name}`" for name in names)
    return replace(
        whole,
        reason=f"{whole.reason}, and so do results and gradients of {also}, run by itself",
        evidence=evidence,
    )


def _without(job: Revision, names: Collection[str]) -> Revision:
    return replace(job, reach=_chosen(job, lambda name: name not in names))


def _only(job: Revision, name: str, subject: Subject) -> Revision:
    contract = replace(job.contract, subjects=(subject,))
    return replace(job, contract=contract, reach=_chosen(job, lambda other: other == name))


def _chosen(job: Revision, wanted: Callable[[str], bool]) -> tuple[Reach, Reach]:
    """What has to run in functions of some names."""
    before, after = (
        {
            path: [spans for spans in entries if wanted(_last(_function_at(job, side, path, spans[0][0])))]
            for path, entries in job.reach[side].items()
        }
        for side in range(2)
    )
    return before, after


def _function_at(job: Revision, side: int, path: Path, line: int) -> str:
    """The qualified name of the function or method that a line of one side lies in."""
    source = job.texts.get(path, (None, None))[side]
    functions = File(source).functions if source is not None else {}
    around = (name for name, node in functions.items() if node.lineno <= line <= (node.end_lineno or line))
    return next(around, "")


def _last(name: str) -> str:
    return name.rpartition(".")[2]
