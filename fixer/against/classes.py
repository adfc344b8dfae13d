"""Which `nn.Module` classes changed between two states of a tree, by their own code or by what they use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fixer.facts import Answer, Class, Project
from fixer.facts.units import Unit, Units
from fixer.source import Source

Key = tuple[Path, str]
"""File and qualified name of a class."""


@dataclass(eq=False)
class Side:
    """A tree at one time."""

    sources: Mapping[Path, Source]
    project: Project
    units: Units = field(init=False)

    def __post_init__(self) -> None:
        self.units = Units(self.project)

    def models(self, paths: Iterable[Path]) -> dict[Key, Class]:
        """Every class in some files that is a module for certain, or may be one and has a `forward`."""
        found: dict[Key, Class] = {}
        for path in sorted(paths):
            file = self.project.file(path)
            for name, node in file.classes.items() if file else ():
                cls = self.project.class_at(file, node) if file else None
                if cls is not None and self._is_model(cls):
                    found[path, name] = cls
        return found

    def _is_model(self, cls: Class) -> bool:
        answer = self.project.is_module(cls.symbol)
        may_be = answer is Answer.UNKNOWN and self.project.method(cls, "forward") is not None
        return answer is Answer.YES or may_be


def unit_of(key: Key) -> Unit:
    """The unit that a class, or the class around it, is."""
    return Unit(key[0], key[1].split(".")[0])


def paired(gone: set[Key], new: set[Key], renamed: Mapping[str, str]) -> dict[Key, Key]:
    """Which of the new classes is which of those that are gone: by name, or as the user says.

    A name that is gone or new in several places says nothing.
    """
    found: dict[Key, Key] = {}
    names = Counter(key[1] for key in gone), Counter(key[1] for key in new)
    old_names = {new_name: old for old, new_name in renamed.items()}
    for two in new:
        old = old_names.get(two[1], two[1])
        if names[0][old] == 1 and names[1][two[1]] == 1:
            found[two] = next(key for key in gone if key[1] == old)
    return found


def different(side: Side, other: Side, changed: Collection[Path]) -> set[Unit]:
    """The units of the changed files that the other side does not have, or has otherwise."""
    return {
        unit
        for path in changed
        for unit in side.units.of(path)
        if side.units.text(unit) != other.units.text(unit)
    }


def affected(side: Side, roots: Iterable[Unit], seeds: set[Unit]) -> set[Unit]:
    """Those of the roots that use any of the seeds, directly or through others."""
    users: dict[Unit, set[Unit]] = {}
    waiting = list(roots)
    seen = set(waiting)
    while waiting:
        unit = waiting.pop()
        for used in side.units.direct(unit):
            users.setdefault(used, set()).add(unit)
            if used not in seen:
                seen.add(used)
                waiting.append(used)
    found = set(seeds)
    waiting = list(seeds)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in found:
                found.add(user)
                waiting.append(user)
    return found.intersection(roots)


def parts(side: Side, unit: Unit, changed: Collection[Path]) -> dict[tuple[str, str], Unit]:
    """What a unit is made of in the changed files: name and code, wherever it stands."""
    used = (part for part in side.units.closure(unit) if part.path in changed)
    found = {(part.name, side.units.text(part)): part for part in used}
    return {key: part for key, part in found.items() if key[1]}
