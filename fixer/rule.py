"""What a rule is: everything that a codemod imports beside `fixer.facts`.

A rule is a subclass of `Rule` in one file. Its class attributes say what it is, `check` says where it applies
and attaches fixes whose edits come from a `fixer.rewrite.Editor`. The docstring of its module is its page.
"""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from fixer.contract import Contract, Projection, Promise, Region, Subject, Wiring
from fixer.edits import EditSet

if TYPE_CHECKING:
    from fixer.facts import File, Project

__all__ = [
    "Applicability",
    "Contract",
    "Finding",
    "Fix",
    "Projection",
    "Promise",
    "Region",
    "Rule",
    "Subject",
    "Wiring",
]


class Applicability(str, Enum):
    """How far a fix may be applied unasked, in Ruff's terms."""

    SAFE = "safe"
    """Behaviour is kept, or code that cannot run today starts to do what it says."""
    UNSAFE = "unsafe"
    """Behaviour may change in a way that its author must agree to."""
    DISPLAY = "display"
    """Reported, never rewritten."""


@dataclass(frozen=True)
class Fix:
    """One way to mend a finding; its edits go in together, in all their files, or not at all."""

    message: str
    """Imperative, one line: "Move the clamp to `project_parameters`"."""
    applicability: Applicability
    edits: EditSet
    contract: Contract


@dataclass(frozen=True)
class Finding:
    """One thing a rule has to say about a span of a file."""

    code: str
    name: str
    message: str
    path: Path
    start: int
    """First byte of the span the message is about."""
    end: int
    """First byte behind it."""
    fixes: tuple[Fix, ...] = ()
    """Best first; the first is applied unless the user chooses another."""
    help: str | None = None
    """What to do by hand where there is no fix, or why the fix is unsafe."""

    @property
    def fix(self) -> Fix | None:
        """The preferred fix."""
        return self.fixes[0] if self.fixes else None


class Rule(ABC):
    """A rule. The engine creates one instance per run; rules hold no state between files."""

    code: ClassVar[str]
    """``PRM101``; three letters and three digits."""
    name: ClassVar[str]
    """kebab-case: ``projection-in-forward``."""
    summary: ClassVar[str]
    """One line for lists."""
    applicability: ClassVar[Applicability]
    """The default; a finding's fixes may differ."""
    contract: ClassVar[str]
    """One line: what verification must show."""
    default: ClassVar[bool] = True
    """Whether the rule is on unless it is selected by name."""
    tokens: ClassVar[tuple[tuple[bytes, ...], ...]]
    """The prefilter: a file is looked at only if, for each group, it holds at least one of the group's byte
    strings. An empty tuple looks at every file."""

    @abstractmethod
    def check(self, file: File, project: Project) -> Iterator[Finding]:
        """Yield what is to be said about `file`, in any order; never print, never write."""

    @classmethod
    def page(cls) -> str:
        """The rule's documentation: the docstring of the module that defines it."""
        return inspect.cleandoc(sys.modules[cls.__module__].__doc__ or "")

    def finding(
        self,
        file: File,
        span: tuple[int, int],
        message: str,
        *fixes: Fix,
        help: str | None = None,  # noqa: A002 - the field's own name
    ) -> Finding:
        """Build a finding of this rule."""
        return Finding(self.code, self.name, message, file.path, *span, fixes, help)
