"""# toys

Rules that exist only for tests of the command line, as a third party's plug-in.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fixer.edits import Edit, EditSet
from fixer.facts import File, Project
from fixer.rule import Applicability, Contract, Finding, Fix, Promise, Rule, Subject


class Toy:
    """Replaces what `pattern` matches; the file's class `Net` must keep its behaviour."""

    pattern: bytes
    text: str | None
    contract = "preserves"
    applicability = Applicability.SAFE

    def check(self: Any, file: File, project: Project) -> Iterator[Finding]:
        for match in re.finditer(self.pattern, file.source.data):
            fixes = []
            if self.text is not None:
                edits = EditSet({file.path: (Edit(*match.span(), self.text),)})
                contract = Contract(Promise.PRESERVES, (Subject(file.path, "Net"),))
                fixes.append(Fix(f"Write `{self.text}`", self.applicability, edits, contract))
            yield self.finding(file, match.span(), f"`{match.group().decode()}` is odd", *fixes)


class Double(Toy, Rule):
    """Right."""

    code, name, summary = "TOY101", "double", "Doubling by multiplication"
    tokens = ((b"* 2.0",),)
    pattern, text = rb"x \* 2\.0", "x + x"


class Triple(Toy, Rule):
    """Wrong: it doubles."""

    code, name, summary = "TOY102", "triple", "Tripling by multiplication"
    tokens = ((b"* 3.0",),)
    pattern, text = rb"x \* 3\.0", "x + x"


class Unsafe(Toy, Rule):
    """Right, but unsafe."""

    code, name, summary = "TOY103", "quadruple", "Quadrupling by multiplication"
    tokens = ((b"* 4.0",),)
    pattern, text = rb"x \* 4\.0", "x + x + x + x"
    applicability = Applicability.UNSAFE


class Shown(Toy, Rule):
    """Has no fix."""

    code, name, summary = "TOY104", "quintuple", "Quintupling by multiplication"
    tokens = ((b"* 5.0",),)
    pattern, text = rb"x \* 5\.0", None
    applicability = Applicability.DISPLAY


class Crashing(Rule):
    """Has a defect."""

    code, name, summary = "TOY105", "crash", "Crashes"
    tokens = ((b"crash",),)
    contract = "preserves"
    applicability = Applicability.SAFE

    def check(self, file: File, project: Project) -> Iterator[Finding]:
        if b"endless" in file.source.data:
            raise RecursionError
        raise ZeroDivisionError("the toy is broken")


class Slow(Rule):
    """Says that it is at work and takes its time."""

    code, name, summary = "TOY106", "slow", "Slow"
    tokens = ((b"slow",),)
    contract = "preserves"
    applicability = Applicability.SAFE

    def check(self, file: File, project: Project) -> Iterator[Finding]:
        Path(os.environ["TOY_MARKER"]).touch()
        time.sleep(60)
        yield from ()
