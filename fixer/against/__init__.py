"""What a person has changed since a git revision, class by class, and whether each still does the same."""

from __future__ import annotations

from fixer.against.git import GitError
from fixer.against.results import Compared, Status
from fixer.against.run import Origin, Tree, compare, errors, survey
from fixer.against.unreached import joined, questions

__all__ = [
    "Compared",
    "GitError",
    "Origin",
    "Status",
    "Tree",
    "compare",
    "errors",
    "joined",
    "questions",
    "survey",
]
