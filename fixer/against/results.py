"""What became of each class since a revision: plain data for reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from fixer.contract import Verdict, Verification
from fixer.facts.units import Unit


class Status(str, Enum):
    """What a comparison is about."""

    CHANGED = "changed"
    """The class is there on both sides."""
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class Compared:
    """A class whose code has changed since the revision."""

    path: Path
    """The file that it stands in, or stood in if it is gone."""
    name: str
    """Its qualified name."""
    row: int
    status: Status
    was: tuple[Path, str] | None = None
    """File and name before, where they are others."""
    because: tuple[Unit, ...] = ()
    """What of its code changed: its own text, or what it uses."""
    verification: Verification | None = None
    """What running both sides found; None where there is nothing to compare with."""

    @property
    def proven(self) -> bool:
        """Whether nothing speaks against it."""
        return self.verification is None or self.verification.verdict is Verdict.EQUIVALENT
