"""From two states of a tree to the classes that changed, and to what verification is asked about them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fixer.against.classes import Key, Side, affected, different, paired, parts, unit_of
from fixer.against.git import GitError, Repository, changes
from fixer.against.reach import reach
from fixer.against.results import Compared, Status
from fixer.contract import Contract, Promise, Subject, Verdict, Verification
from fixer.facts import Project
from fixer.facts.units import Unit
from fixer.source import Source, SourceError
from fixer.verify import Revision
from fixer.verify.marks import find_marks

Texts = Mapping[Path, tuple[Source | None, Source | None]]


@dataclass(eq=False)
class Tree:
    """A tree at a revision and now."""

    revision: str
    changed: Texts
    """What each file that differs held then and holds now."""
    before: Side
    after: Side


@dataclass(frozen=True)
class Origin:
    """Where what was before is read from."""

    repository: Repository
    revision: str
    """The commit as the user names it."""
    commit: str

    @classmethod
    def of(cls, folders: Iterable[Path], revision: str) -> Origin:
        """The repository that holds all of some folders, and the commit; raises `GitError`."""
        repositories = {repository.root: repository for repository in map(Repository.around, folders)}
        if len(repositories) > 1:
            raise GitError("the paths lie in several git repositories; name those of one")
        (repository,) = repositories.values()
        return cls(repository, revision, repository.commit(revision))


def survey(origin: Origin, now: Mapping[Path, Source]) -> Tree:
    """Read from git what a tree held before; `now` are the files that questions may reach."""
    repository = origin.repository
    texts: dict[Path, tuple[Source | None, Source | None]] = {}
    for name, old, new in changes(repository, origin.commit):
        path = Path(os.path.normpath(repository.root / name))
        if old is None and new is not None and any(find_marks({path: Source(path, new)})):
            continue  # a harness that was written since serves both sides
        texts[path] = (
            None if old is None else Source(path, old),
            None if new is None else now.get(path) or Source(path, new),
        )
    after = {**now, **{path: held for path, (_, held) in texts.items() if held is not None}}
    before = {path: source for path, source in after.items() if path not in texts}
    before |= {path: held for path, (held, _) in texts.items() if held is not None}
    project = Project(after)
    earlier = Side(before, Project(before))
    return Tree(origin.revision, texts, earlier, Side(after, project))


def compare(
    tree: Tree, within: Callable[[Path], bool], renamed: Mapping[str, str]
) -> list[tuple[Compared, Revision | None]]:
    """The classes that changed below some paths; with each that has a counterpart, what to verify."""
    if not tree.changed:
        return []
    before, after = (
        side.models(path for path in side.sources if within(path) or path in tree.changed)
        for side in (tree.before, tree.after)
    )
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    moved = paired(gone, new, renamed)
    known = {**{key: key for key in after.keys() & before.keys()}, **moved}
    found: list[tuple[Compared, Revision | None]] = []
    for key, because in _changed(tree, known):
        if within(key[0]) or within(known[key][0]):
            found.append(_judged(tree, key, known[key], after[key].node.lineno, because))
    found += [
        (_alone(tree, key, after[key].node.lineno, Status.ADDED), None)
        for key in new - moved.keys()
        if within(key[0])
    ]
    found += [
        (_alone(tree, key, before[key].node.lineno, Status.REMOVED), None)
        for key in gone - set(moved.values())
        if within(key[0]) and not _invalid(tree, key[0])[1]
    ]
    return sorted(found, key=lambda item: (item[0].path, item[0].row, item[0].name))


def _changed(tree: Tree, known: Mapping[Key, Key]) -> Iterator[tuple[Key, tuple[Unit, ...]]]:
    """The classes on both sides whose code differs, with the units that make the difference."""
    changed = tree.changed.keys()
    seeds = [
        different(side, other, changed)
        for side, other in ((tree.before, tree.after), (tree.after, tree.before))
    ]
    touched = [
        affected(side, {unit_of(key) for key in keys}, found)
        for side, keys, found in (
            (tree.before, list(known.values()), seeds[0]),
            (tree.after, list(known), seeds[1]),
        )
    ]
    for two, one in known.items():
        if one == two and unit_of(one) not in touched[0] and unit_of(two) not in touched[1]:
            continue
        mine, theirs = parts(tree.before, unit_of(one), changed), parts(tree.after, unit_of(two), changed)
        because = [theirs[key] for key in theirs.keys() - mine.keys() if theirs[key] in seeds[1]]
        names = {unit.name for unit in because}
        lost = [mine[key] for key in mine.keys() - theirs.keys() if mine[key] in seeds[0]]
        because += [unit for unit in lost if unit.name not in names]
        if because or one != two:
            yield two, tuple(sorted(because))


def _judged(
    tree: Tree, key: Key, was: Key, row: int, because: tuple[Unit, ...]
) -> tuple[Compared, Revision | None]:
    """What is asked about a class that is there on both sides."""
    moved = was if was != key else None
    found = Compared(key[0], key[1], row, Status.CHANGED, moved, because)
    own, others = tree.before.units.closure(unit_of(was)), tree.after.units.closure(unit_of(key))
    contract = Contract(Promise.KEEPS, (Subject(key[0], key[1], was=moved),))
    wanted = reach(tree.before, tree.after, own, others), reach(tree.after, tree.before, others, own)
    return found, Revision(contract, tree.changed, wanted, (f"the code at {tree.revision}", "the code now"))


def _alone(tree: Tree, key: Key, row: int, status: Status) -> Compared:
    """A class that is there on one side only; a file that cannot be read may have held it."""
    error = _invalid(tree, key[0])[0] if status is Status.ADDED else None
    found = Compared(key[0], key[1], row, status)
    if error is None:
        return found
    where = f" (line {error.row})" if error.row else ""
    reason = f"the file at {tree.revision} is not valid Python{where}, so there is nothing to compare with"
    return replace(found, status=Status.CHANGED, verification=Verification(Verdict.UNVERIFIED, reason))


def _invalid(tree: Tree, path: Path) -> list[SourceError | None]:
    """Why a file is not Python, then and now."""
    return [_error_of(source) for source in tree.changed.get(path, (None, None))]


def _error_of(source: Source | None) -> SourceError | None:
    try:
        _ = source and source.tree
    except SourceError as error:
        return error
    return None


def errors(tree: Tree, within: Callable[[Path], bool]) -> list[SourceError]:
    """Why changed files below some paths cannot be read now."""
    return [error for path in sorted(tree.changed) if within(path) and (error := _invalid(tree, path)[1])]
