"""Jobs written as two texts a file, for the tests of the judge."""

from __future__ import annotations

import atexit
import difflib
import functools
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixer.contract import Contract, Projection, Promise, Region, Subject, Verification, Wiring
from fixer.edits import Edit, EditSet
from fixer.source import Source
from fixer.verify import Job, Verifier, VerifySettings

HEADER = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n\n\n"


def text(code: str, header: str = HEADER) -> str:
    """A file: the usual imports and the dedented code."""
    return header + textwrap.dedent(code).strip() + "\n"


def line_edits(before: str, after: str) -> tuple[Edit, ...]:
    """The edits, whole lines each, that turn one text into the other, one a line where lines pair up."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line.encode()))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changed = [(a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]
    pieces = [
        (a + row, a + row + 1, c + row, c + row + 1) if b - a == d - c else (a, b, c, d)
        for a, b, c, d in changed
        for row in range(b - a if b - a == d - c else 1)
    ]
    return tuple(Edit(starts[a], starts[b], "".join(new[c:d])) for a, b, c, d in pieces)


class Case:
    """Files before and after a fix, with helpers that find places in them."""

    def __init__(self, folder: Path, **files: tuple[str, str]) -> None:
        self.folder = folder
        self.before = {f"{name}.py": before for name, (before, _) in files.items()}
        self.after = {f"{name}.py": after for name, (_, after) in files.items()}
        for name, content in self.before.items():
            (folder / name).write_text(content)

    def path(self, name: str) -> Path:
        return self.folder / name

    def region(self, name: str, snippet: str) -> Region:
        """Where a piece of text lies in the original, whole lines without the first one's indentation."""
        content = self.before[name]
        assert content.count(snippet) == 1, f"{snippet!r} is there {content.count(snippet)} times"
        start = content.index(snippet)
        return Region(self.path(name), start, start + len(snippet))

    def subject(self, name: str, class_name: str | None = None, function: str | None = None) -> Subject:
        return Subject(self.path(name), class_name, function)

    def projection(self, name: str, class_name: str, *statements: str, exact: bool = True) -> Projection:
        content = self.before[name]
        regions = [self.region(name, statement) for statement in statements]
        lines = [content[content.rindex("\n", 0, r.start) + 1 : r.end] for r in regions]
        return Projection(self.path(name), class_name, tuple(map(textwrap.dedent, lines)), exact=exact)

    def wiring(self, name: str, snippet: str, model: str, **options: Any) -> Wiring:
        options = {"kind": "construction", "model_class": None, "optimizer": "optimizer", **options}
        return Wiring(self.region(name, snippet), options.pop("kind"), model, **options)

    def indented(self, name: str, snippet: str) -> str:
        """A piece of text as it is written in the original, with the indentation it has there."""
        first = snippet.splitlines()[0]
        line = next(line for line in self.before[name].splitlines() if line.strip() == first.strip())
        return textwrap.indent(snippet.rstrip() + "\n", line[: len(line) - len(line.lstrip())])

    def verify(self, contract: Contract) -> Verification:
        return verify(self.job(contract))

    def job(self, contract: Contract) -> Job:
        sources = {self.path(name): Source.read(self.path(name)) for name in self.before}
        edits: Mapping[Path, tuple[Edit, ...]] = {
            self.path(name): line_edits(self.before[name], self.after[name]) for name in self.before
        }
        return Job(contract, sources, EditSet({}), EditSet(edits))


def preserves(*subjects: Subject, **more: Any) -> Contract:
    return Contract(Promise.PRESERVES, subjects, **more)


def repairs(symptom: str, region: Region, *subjects: Subject, **more: Any) -> Contract:
    return Contract(Promise.REPAIRS, subjects, symptom=symptom, symptom_region=region, **more)


def some_are_slow(values: Sequence[Any], every: int = 3) -> list[Any]:
    """Parameters of a test, of which one in `every` is quick and the rest run with the slow tests."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
        if index % every
        else value
        for index, value in enumerate(values)
    ]


def verifier_python() -> Path:
    """The interpreter of the tests: it has torch."""
    return Path(sys.executable)


def verify(job: Job, **settings: Any) -> Verification:
    """The verdict, from a worker that all tests of a process share: starting one takes longer than a job."""
    verifier = _verifier()
    usual, verifier._settings = verifier._settings, replace(verifier._settings, **settings)
    try:
        return verifier.verify(job)
    finally:
        verifier._settings = usual


@functools.cache
def _verifier() -> Verifier:
    verifier = Verifier(VerifySettings(python=verifier_python(), steps=5, seeds=1), Path(__file__).parent)
    atexit.register(verifier.close)
    return verifier
