"""What is known of names and attribute paths at one point of a function."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fixer.facts.kinds import UNKNOWN, Kind, join


class Value(NamedTuple):
    """What an expression evaluates to."""

    kind: Kind = UNKNOWN
    given: bool = False
    """Whether it depends on an argument of the function (other than `self`)."""


@dataclass
class Env:
    """Names and attribute paths at one point of a function."""

    values: dict[str, Value] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    """Paths whose slot was tampered with (`del`, `_parameters`, parametrize): nothing is known of them."""
    dead: bool = False
    """Whether this point cannot be reached."""

    def copy(self) -> Env:
        """An independent copy."""
        return Env(dict(self.values), self.gone, self.dead)

    def joined(self, other: Env) -> Env:
        """What holds whichever way this point was reached."""
        if self.dead:
            return other.copy()
        if other.dead:
            return self.copy()
        values = {}
        for path in self.values.keys() | other.values.keys():
            mine, theirs = self.values.get(path), other.values.get(path)
            if mine is None or theirs is None:
                # What one branch did not bind was looked up by the flow where anything is known of it.
                values[path] = Value(UNKNOWN, (mine or theirs or Value()).given)
            elif mine == theirs:
                values[path] = mine
            else:
                values[path] = Value(join((mine.kind, theirs.kind)), mine.given or theirs.given)
        return Env(values, self.gone | other.gone)

    def assign(self, path: str, value: Value) -> None:
        """Bind a path; what was known of paths below it is forgotten."""
        below = path + "."
        for known in [known for known in self.values if known.startswith(below)]:
            del self.values[known]
        self.values[path] = value
