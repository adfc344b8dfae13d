"""The ways a trial can end, and what it knows of one side."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from . import records
from .frames import Message

if TYPE_CHECKING:
    from .observe import Entry


class Unverified(Exception):  # noqa: N818 - an outcome, not an error
    """The harness could not show anything, and why."""


class Unreached(Unverified):
    """A line that has to run did not."""


class CannotBuild(Unverified):
    """The model itself could not be built or called here."""

    @property
    def in_constructor(self) -> bool:
        """Whether it is the constructor that fails."""
        return "could not build" in str(self)


class Refuted(Exception):  # noqa: N818 - an outcome, not an error
    """The fix is wrong, with a counterexample."""

    def __init__(self, reason: str, counterexample: Message) -> None:
        super().__init__(reason)
        self.counterexample = counterexample


class Side:
    """What one stage answered, with the record it wrote."""

    def __init__(self, facts: Message, file: str, wide: bool = False) -> None:
        self.facts = facts
        self.wide = wide
        """Whether it was run in float64 for the sake of a comparison up to rounding."""
        saved = records.read(file)
        self.entries: list[Entry] = [(check, detail, value) for check, detail, value in saved["entries"]]
        self.rejected: list[Tensor | None] = saved["rejected"]
        """For each error, the value that a module refused as a parameter."""
        self.watched: list[Tensor | None] = saved["watched"]
        """The watched expression's value, each time its lines had run."""

    def error(self, *phases: str) -> Message | None:
        """The first error of one of the phases; without phases, the first at all."""
        for error in self.facts["errors"]:
            if not phases or error["phase"] in phases:
                found: Message = error
                return found
        return None

    @property
    def failed(self) -> set[str]:
        """The phases that raised."""
        return {error["phase"] for error in self.facts["errors"]}

    def executed(self, path: str) -> list[int]:
        """The lines of a changed file that ran inside functions."""
        lines: list[int] = self.facts["executed"].get(os.path.realpath(path), [])
        return lines


class Target(NamedTuple):
    """One thing to run, and the wirings to replay on it."""

    subject: Message
    wirings: list[int]
    stand_in: bool
    """Whether it only stands for the wired model, whose class is unknown or does not build."""
    hosted: bool = False
    """Whether its constructor may do without the statements that fail."""

    @property
    def is_model(self) -> bool:
        """Whether it is a model to be built and called, not a function or a script."""
        return bool(self.subject["class_name"]) and not self.subject["function"]

    @property
    def name(self) -> str:
        """What it is called in words."""
        parts = [part for part in (self.subject["class_name"], self.subject["function"]) if part]
        return ".".join(parts) or str(self.subject["path"])


def told(error: Message) -> str:
    """An error of the target in one line."""
    return f"{error['phase']}: {error['type']}: {error['message']}"


def shown(difference: Message) -> str:
    """A difference between two records in one line."""
    where = f"{difference['check']}: {difference['where']}"
    if "max_abs" in difference:
        return f"{where} differs by {difference['max_abs']:.3g} (relative {difference['max_rel']:.3g})"
    return f"{where} was {difference['before']}, is {difference['after']}"
