"""A job as the worker gets it: texts, lines and plain data instead of byte spans."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fixer.contract import Contract, Projection, Region, Subject, Wiring
from fixer.edits import Edit, moved
from fixer.source import Source
from fixer.verify.job import Job, Lines, Revision, VerifySettings


class _Side:
    """The texts before or after the fix, and how spans of the current texts are found in them."""

    def __init__(self, job: Job, name: str) -> None:
        self._job = job
        self._edits = (job.before if name == "before" else job.after).files
        self.texts = {path: source.apply(self._edits.get(path, ())) for path, source in job.sources.items()}

    def span(self, region: Region) -> tuple[int, int]:
        """The counterpart of a region, with the text inserted at its borders."""
        edits = self._edits.get(region.path, ())
        encoder = self._job.sources[region.path].encoder
        start = moved(region.start, edits, encoder, after_insertions=False)
        return start, moved(region.end, edits, encoder, after_insertions=True)

    def text(self, region: Region) -> str:
        """The counterpart's whole statements, dedented."""
        return _dedented(self.texts[region.path], *self.span(region))

    def lines(self, region: Region) -> Lines | None:
        """The lines of the counterpart, None if nothing is left of it."""
        return _lines(self.texts[region.path], *self.span(region))


def encode(job: Job | Revision, settings: VerifySettings, root: Path) -> dict[str, Any]:
    """Build the request for a job, all but its number."""
    request = _revision(job) if isinstance(job, Revision) else _fix(job)
    contract = request["contract"]
    contract["subjects"] = [_subject(item) for item in job.contract.subjects]
    sides = request["overlay"].values()
    files = {Path(name) for texts in sides for name in texts} | set(_paths(job.contract))
    made = {Path(name) for texts in sides for name, text in texts.items() if text is not None}
    roots, siblings = import_roots(sorted(files), root, settings.roots, made)
    return {
        **request,
        "roots": roots,
        "siblings": siblings,
        "steps": settings.steps,
        "seed": settings.seed,
        "seeds": settings.seeds,
        "timeout": settings.timeout,
        "budget": settings.timeout * 2 / 3,
        "memory": settings.memory,
        "device": settings.device.value,
        "harness": [asdict(harness) for harness in settings.harnesses],
        "marks": [asdict(mark) for mark in settings.marks],
    }


def _fix(job: Job) -> dict[str, Any]:
    """What is particular to a change that is written as edits."""
    before, after = _Side(job, "before"), _Side(job, "after")
    contract = job.contract
    return {
        "overlay": {
            "before": {_absolute(path): source.text for path, source in before.texts.items()},
            "after": {_absolute(path): source.text for path, source in after.texts.items()},
        },
        "names": {"before": "the original", "after": "the fixed code"},
        "contract": {
            "promise": contract.promise.value,
            "symptom": contract.symptom,
            "symptom_lines": _symptom_lines(contract.symptom_region, before, after),
            "changed_lines": changed_lines(job),
            "reach": None,
            "parameter": contract.parameter,
            "projection": _projection(contract.projection),
            "wiring": [_wiring(item, before, after) for item in contract.wiring],
        },
    }


def _revision(job: Revision) -> dict[str, Any]:
    """What is particular to a change of whole files."""
    sides = dict(zip(("before", "after"), range(2), strict=True))
    reach = {
        side: {_absolute(path): wanted for path, wanted in job.reach[place].items()}
        for side, place in sides.items()
    }
    return {
        "overlay": {
            side: {_absolute(path): (held := texts[place]) and held.text for path, texts in job.texts.items()}
            for side, place in sides.items()
        },
        "names": {side: job.names[place] for side, place in sides.items()},
        "contract": {
            "promise": job.contract.promise.value,
            "symptom": None,
            "symptom_lines": None,
            "changed_lines": {
                side: {
                    path: _joined([span for entry in wanted for span in entry])
                    for path, wanted in files.items()
                }
                for side, files in reach.items()
            },
            "reach": reach,
            "parameter": None,
            "projection": None,
            "wiring": [],
        },
    }


def _subject(subject: Subject) -> dict[str, Any]:
    was = subject.was and [_absolute(subject.was[0]), subject.was[1]]
    return {**asdict(subject), "path": _absolute(subject.path), "was": was}


def changed_lines(job: Job) -> dict[str, dict[str, list[Lines]]]:
    """The lines that the fix itself touches in each text; a pure insertion touches none before it."""
    changed: dict[str, dict[str, list[Lines]]] = {"before": {}, "after": {}}
    for path, edits in job.after.files.items():
        source = job.sources[path]
        others = set(job.before.files.get(path, ()))
        own = set(edits) - others
        for side, all_edits in (("before", others | own), ("after", set(edits))):
            written = others if side == "before" else all_edits
            text = source.apply(written)
            spans = (span for edit, span in _new_spans(source, all_edits, written) if edit in own)
            lines = [found for span in spans if (found := _lines(text, *span))]
            if lines:
                changed[side][_absolute(path)] = _joined(lines)
    return changed


def _new_spans(
    source: Source, edits: Iterable[Edit], written: set[Edit]
) -> Iterator[tuple[Edit, tuple[int, int]]]:
    """Where each edit's span lies in the text that only the `written` ones have been applied to."""
    shift = 0
    for edit in sorted(edits):
        length = len(source.encoder(edit.text)) if edit in written else edit.end - edit.start
        start = edit.start + shift
        yield edit, (start, start + length)
        shift += length - (edit.end - edit.start)


def import_roots(
    files: Iterable[Path], root: Path, extra: Iterable[Path] = (), made: Collection[Path] = ()
) -> tuple[list[str], list[str]]:
    """Folders that the files import from: those in front of the import path, and those inside packages.

    The files `made` count as there, whether or not they are on disk.

    Scripts inside a package may import their neighbours, but those must not stand in for libraries.
    """
    front: dict[str, None] = {}
    inside: dict[str, None] = {}
    for file in files:
        folder = top = Path(_absolute(file)).parent
        while (marker := top / "__init__.py") in made or marker.is_file():
            top = top.parent
        front[str(top)] = None
        if folder != top:
            inside[str(folder)] = None
    for folder in (root, root / "src", *extra):
        front[_absolute(folder)] = None
    return list(front), list(inside)


def _paths(contract: Contract) -> Iterator[Path]:
    for subject in contract.subjects:
        yield subject.path
        if subject.was is not None:
            yield subject.was[0]
    if contract.projection is not None:
        yield contract.projection.path
    for wiring in contract.wiring:
        yield wiring.region.path
        if wiring.model_class is not None:
            yield wiring.model_class[0]


def _symptom_lines(region: Region | None, before: _Side, after: _Side) -> dict[str, Any] | None:
    if region is None:
        return None
    return {"path": _absolute(region.path), "before": before.lines(region), "after": after.lines(region)}


def _projection(projection: Projection | None) -> dict[str, Any] | None:
    if projection is None:
        return None
    return {
        "path": _absolute(projection.path),
        "class_name": projection.class_name,
        "method": projection.method,
        "exact": projection.exact,
        "statements": list(projection.statements),
    }


def _wiring(wiring: Wiring, before: _Side, after: _Side) -> dict[str, Any]:
    model_class = wiring.model_class
    return {
        "path": _absolute(wiring.region.path),
        "kind": wiring.kind,
        "model": wiring.model,
        "model_class": model_class and [_absolute(model_class[0]), model_class[1]],
        "optimizer": wiring.optimizer,
        "function": wiring.function,
        "before": before.text(wiring.region),
        "after": after.text(wiring.region),
        "lines": {"before": before.lines(wiring.region), "after": after.lines(wiring.region)},
    }


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - links stay: imports and frames spell paths this way


def _trimmed(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The span without the white space at its borders."""
    start += len(data[start:end]) - len(data[start:end].lstrip())
    return start, start + len(data[start:end].rstrip())


def _lines(source: Source, start: int, end: int) -> Lines | None:
    start, end = _trimmed(source.data, start, end)
    return [source.location(start)[0], source.location(end - 1)[0]] if start < end else None


def _joined(lines: list[Lines]) -> list[Lines]:
    """The same lines in order, ranges that touch or overlap made one."""
    joined: list[Lines] = []
    for first, last in sorted(lines):
        if joined and first <= joined[-1][1] + 1:
            joined[-1][1] = max(joined[-1][1], last)
        else:
            joined.append([first, last])
    return joined


def _dedented(source: Source, start: int, end: int) -> str:
    """The text of a span with the indentation of its first line taken off every line that has it."""
    start, end = _trimmed(source.data, start, end)
    row, column = source.location(start)
    indent = source.line(row)[: column - 1]
    if indent.strip():  # it shares its line with what comes before: there is no indentation of its own
        indent = ""
    lines = source.slice(start, end).splitlines(keepends=True)
    return "".join(line.removeprefix(indent) for line in lines)
