"""What a fix promises, and what verification said of it.

A rule attaches a `Contract` to each fix; `fixer.verify` runs the code before and after the fix and answers
with a `Verification`. Both are plain data, so that they cross process borders and land in reports unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


class Promise(str, Enum):
    """The kinds of contract (docs/verification.md)."""

    PRESERVES = "preserves"
    """Outputs, every gradient and K training steps equal the original's."""

    KEEPS = "keeps"
    """As `preserves`, of a change that a person made: equal up to rounding will do, and is said."""

    REPAIRS = "repairs"
    """The original shows the symptom at the finding's line; the result does not and passes the oracles."""


@dataclass(frozen=True)
class Subject:
    """What has to run so that the changed lines run: a class, a function, or a whole script.

    The subjects of a contract are tried in order; the first whose run executes the changed lines counts.
    """

    path: Path
    class_name: str | None = None
    """Qualified name of an `nn.Module` subclass in the file (`Outer.Inner`), or None."""
    function: str | None = None
    """Name of a function (`train`, `Outer.method` without a class_name), or of a method of `class_name` that
    neither construction nor `forward` may reach. None with a class: construct it and call it. None without
    a class: run the file as `__main__`."""
    was: tuple[Path, str] | None = None
    """File and qualified name of the class before the change, if it has moved since."""


@dataclass(frozen=True)
class Region:
    """A span of the *original* file whose counterpart in the fixed file is found by following the edits.

    Text that the fix inserts at either border belongs to the counterpart.
    """

    path: Path
    start: int
    end: int


@dataclass(frozen=True)
class Wiring:
    """One place that builds an optimizer, steps it, or overwrites the parameters of a model that holds the
    constrained class.

    Verification runs the region of the original and its counterpart in the fixed file, with `model` bound to
    a model it has built, so that a registration that is missing or wrong shows.
    """

    region: Region
    kind: str
    """``"construction"`` (the statement that builds the optimizer), ``"step"`` (the one that steps it), or
    ``"initialisation"`` (one that gives parameters new values, behind which the projection has to run)."""
    model: str
    """The expression whose parameters are taken or overwritten: ``"gate"``, ``"self.net"``."""
    model_class: tuple[Path, str] | None
    """File and qualified name of the model's class if it is known: what should be built."""
    optimizer: str
    """The expression the optimizer is bound to once the fix is in: ``"optimizer"``, ``"self.opt"``; for an
    initialisation the model's."""
    function: str | None = None
    """Qualified name of the function that the region lies in, None at module level."""


@dataclass(frozen=True)
class Projection:
    """The author's own constraint: the original statements, run as an oracle after every step."""

    path: Path
    class_name: str
    statements: tuple[str, ...]
    """The original statements as text without indentation, in order, in the guards and loops around them."""
    method: str = "project_parameters"
    exact: bool = True
    """False where repeating the projection may change the last bits (division by a norm)."""


@dataclass(frozen=True)
class Contract:
    """What verification must show before a fix counts as proven."""

    promise: Promise
    subjects: tuple[Subject, ...]
    symptom: str | None = None
    """For `repairs`: the exception's class name (``"TypeError"``), ``"gradient"`` (None or wrong by finite
    differences) or ``"never-updated"``."""
    symptom_region: Region | None = None
    """The finding's statement: where the symptom must show."""
    parameter: str | None = None
    """For an assignment that becomes a copy: the expression that must stay the same Parameter object and hold
    the assigned value afterwards (``"self.fc.weight"``)."""
    projection: Projection | None = None
    wiring: tuple[Wiring, ...] = ()


class Verdict(str, Enum):
    """What verification found; `unverified` is a good answer, a wrong `equivalent` the worst defect."""

    EQUIVALENT = "equivalent"
    REPAIRED = "repaired"
    REFUTED = "refuted"
    UNVERIFIED = "unverified"

    @property
    def proven(self) -> bool:
        """Whether a fix with this verdict may be written without its author's say."""
        return self in (Verdict.EQUIVALENT, Verdict.REPAIRED)


@dataclass(frozen=True)
class Verification:
    """A verdict with its reason (one sentence) and its evidence (JSON-ready data)."""

    verdict: Verdict
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
