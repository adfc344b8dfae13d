"""The ways a trial can end, and what it knows of one side."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .frames import Message
from .observe import unpacked

if TYPE_CHECKING:
    from .observe import Entry


class Unverified(Exception):  # noqa: N818 - an outcome, not an error
    """The harness could not show anything, and why."""


class CannotBuild(Unverified):
    """The model itself could not be built or called here."""


class Refuted(Exception):  # noqa: N818 - an outcome, not an error
    """The fix is wrong, with a counterexample."""

    def __init__(self, reason: str, counterexample: Message) -> None:
        super().__init__(reason)
        self.counterexample = counterexample


class Side:
    """What one stage answered, with the record it wrote."""

    def __init__(self, facts: Message, file: str) -> None:
        self.facts = facts
        saved = torch.load(file, weights_only=True)
        self.entries: list[Entry] = unpacked(saved["entries"])
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

    def executed(self, path: str) -> list[int]:
        """The lines of a changed file that ran inside functions."""
        lines: list[int] = self.facts["executed"].get(os.path.realpath(path), [])
        return lines


def told(error: Message) -> str:
    """An error of the target in one line."""
    return f"{error['phase']}: {error['type']}: {error['message']}"
