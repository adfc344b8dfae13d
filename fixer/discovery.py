"""Which files a run is about: those it may report on, and those that only answer questions about them."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pathspec import GitIgnoreSpec

from fixer.source import SourceError, reason_of

EXCLUDED_FOLDERS = frozenset(
    {".bzr", ".direnv", ".eggs", ".git", ".hg", ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pants.d"}
    | {".pyenv", ".pytest_cache", ".pytype", ".ruff_cache", ".svn", ".tox", ".venv", ".vscode", "__pycache__"}
    | {"__pypackages__", "_build", "buck-out", "build", "dist", "node_modules", "site-packages", "venv"}
)
"""Folders that hold no code of the project's own, unless a pattern says so (`exclude = ["!build"]`)."""

VIRTUAL_ENVIRONMENT = "pyvenv.cfg"
"""Marks a virtual environment, whatever its name."""

PYTHON_FILES = ("*.py",)
ROOT_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
MAX_CONTEXT_FILES = 20_000
MAX_CONTEXT_FOLDERS = 10_000


@dataclass(frozen=True)
class Discovery:
    """What `discover` found; all files are absolute, sorted, and each comes once."""

    targets: tuple[Path, ...]
    """The files that findings are reported for."""
    context: tuple[Path, ...]
    """Other files of the same projects, for questions across files."""
    errors: tuple[SourceError, ...]
    """Paths that could not be used; the others were."""


def discover(
    paths: Iterable[Path],
    *,
    include: Sequence[str] = PYTHON_FILES,
    exclude: Sequence[str] = (),
    respect_gitignore: bool = True,
    root: Path | None = None,
) -> Discovery:
    """Find the Python files at and below `paths`, and the rest of the projects that they belong to.

    `include` and `exclude` are patterns as in a `.gitignore` that lies in `root`, the working folder if None.
    What is named in `paths` is taken even where a rule excludes it. Symbolic links below a folder are not
    followed: the files they stand for are found where they lie.
    """
    base = absolute(root or Path())
    search = _Search(
        None if tuple(include) == PYTHON_FILES else Patterns(base, compile_patterns(include)),
        Patterns(base, compile_patterns(exclude)),
        respect_gitignore,
    )
    named = list(paths)
    targets: dict[str, str] = {}  # where a file really lies -> the name by which it was found
    for path in named:
        for real, name in search.named(path):
            targets.setdefault(real, name)
    errors = tuple(search.errors)  # what goes wrong from here on is in folders that nobody named
    context: dict[str, str] = {}
    for folder in _folders_to_learn_from(targets.values(), named):
        for real, name in islice(search.below(folder, MAX_CONTEXT_FOLDERS), MAX_CONTEXT_FILES):
            if real not in targets:
                context.setdefault(real, name)
    return Discovery(_sorted_paths(targets.values()), _sorted_paths(context.values()), errors)


def find_root(path: Path) -> Path:
    """The folder of the project that a file belongs to.

    That is the nearest folder above it with a `pyproject.toml`, `setup.py`, `setup.cfg` or `.git`; without
    one the top folder of its package, or the file's own folder. The home folder, the folder for temporary
    files, what lies above them and what `site-packages` lies in are no projects, whatever they hold.
    """
    folder = Path(absolute(path)).parent
    no_projects = _no_projects()
    for above in (folder, *folder.parents):
        if above in no_projects or above.name == "site-packages":
            break
        if any(os.path.exists(f"{above}/{marker}") for marker in ROOT_MARKERS):  # noqa: PTH110 - hot
            return above
    while (folder / "__init__.py").exists() and (folder.parent / "__init__.py").exists():
        folder = folder.parent
    return folder


def _folders_to_learn_from(files: Iterable[str], named: Iterable[Path]) -> list[str]:
    """The projects of `files`, without those that have been searched because they lie in a named folder."""
    folders = {os.path.dirname(file) for file in files}  # noqa: PTH120 - thousands of strings
    roots = {find_root(Path(folder, "*")) for folder in folders} - _no_projects()
    searched = {Path(absolute(path)) for path in named}
    return sorted(str(root) for root in roots if searched.isdisjoint((root, *root.parents)))


def _no_projects() -> frozenset[Path]:
    places = [Path(os.sep), Path(tempfile.gettempdir())]
    with suppress(RuntimeError):  # a user without a home folder
        places.append(Path.home())
    return frozenset(
        folder for place in places for path in {place, place.resolve()} for folder in (path, *path.parents)
    )


@dataclass(frozen=True)
class Patterns:
    """The patterns of one file or option, and the folder that they are relative to."""

    folder: str
    spec: GitIgnoreSpec

    def say(self, path: str, *, is_folder: bool = False) -> bool | None:
        """Whether the patterns match the absolute path; None if they say nothing or it lies elsewhere."""
        prefix = self.folder.rstrip(os.sep) + os.sep
        if not self.spec.patterns or not path.startswith(prefix):
            return None
        return self.spec.check_file(path[len(prefix) :] + "/" * is_folder).include


@dataclass
class _Search:
    """Searches folders; collects what goes wrong instead of stopping."""

    include: Patterns | None
    """None for every `.py` file, which needs no patterns."""
    exclude: Patterns
    respect_gitignore: bool
    errors: list[SourceError] = field(default_factory=list)

    def named(self, path: Path) -> Iterator[tuple[str, str]]:
        """Where the file `path` or each file below the folder `path` really lies, and its name."""
        name = absolute(path)
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            self.errors.append(SourceError(path, reason_of(error)))
            return
        if stat.S_ISDIR(mode):
            yield from self.below(name)
        elif self._is_included(name) or name.endswith(".py"):
            yield os.path.realpath(name), name
        else:
            self.errors.append(SourceError(path, "not a Python file; name `.py` files or folders"))

    def below(self, top: str, max_folders: int | None = None) -> Iterator[tuple[str, str]]:
        """Where each file below the folder `top` really lies, and its name; near files come first."""
        rules = self._rules_above(top)
        if _excluded(top, rules, ""):
            rules = [Patterns(top, GitIgnoreSpec([]))]  # the user asked for it all the same
        real_top = os.path.realpath(top)
        folders = deque([(top, rules)])
        seen = 0
        while folders and seen != max_folders:
            folder, rules = folders.popleft()
            seen += 1
            entries = self._entries(folder)
            if VIRTUAL_ENVIRONMENT in entries and folder != top:
                continue
            if self.respect_gitignore:
                rules = [rules[0], *self._rules_in(folder, entries), *rules[1:]]
            for name, is_folder in entries.items():
                path = os.path.join(folder, name)  # noqa: PTH118 - thousands of strings
                if is_folder:
                    if not _excluded(path, rules, name):
                        folders.append((path, rules))
                elif self._is_included(path) and not _excluded(path, rules):
                    yield real_top + path[len(top) :], path

    def _entries(self, folder: str) -> dict[str, bool]:
        """The folders (True) and regular files (False) in a folder, by name and in order."""
        try:
            with os.scandir(folder) as listing:
                return {
                    entry.name: entry.is_dir(follow_symlinks=False)
                    for entry in sorted(listing, key=lambda entry: entry.name)
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
                }
        except OSError as error:
            self.errors.append(SourceError(Path(folder), reason_of(error)))
            return {}

    def _is_included(self, path: str) -> bool:
        return path.endswith(".py") if self.include is None else bool(self.include.say(path))

    def _rules_above(self, top: str) -> list[Patterns]:
        """The rules that hold for `top`: the user's, then those of its repository, nearest first."""
        rules = [self.exclude]
        repository = next((p for p in Path(top).parents if (p / ".git").exists()), None)
        if self.respect_gitignore and repository and not Path(top, ".git").exists():
            for folder in Path(top).parents:
                rules += self._rules_in(str(folder), (".gitignore", ".git"))
                if folder == repository:
                    break
        return rules

    def _rules_in(self, folder: str, entries: Collection[str]) -> Iterator[Patterns]:
        """The ignore rules that git finds in `folder` itself, the strongest first."""
        if ".gitignore" in entries:
            yield from self._rules_of(Path(folder, ".gitignore"), folder)
        if ".git" in entries:
            yield from self._rules_of(Path(folder, ".git", "info", "exclude"), folder)

    def _rules_of(self, file: Path, folder: str) -> Iterator[Patterns]:
        try:
            lines = file.read_text("utf-8-sig", "surrogateescape").split("\n")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.errors.append(SourceError(file, reason_of(error)))
            return
        yield Patterns(folder, _understood(lines))


def compile_patterns(lines: Sequence[str]) -> GitIgnoreSpec:
    """Compile patterns as in a `.gitignore`; one that git would not understand is a `ValueError`."""
    try:
        return GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error) as error:
        raise ValueError(f"not a pattern as in a .gitignore: {error}") from None


def _understood(lines: Sequence[str]) -> GitIgnoreSpec:
    """Compile what can be; like git, pass over the rest."""
    try:
        return compile_patterns(lines)
    except ValueError:
        return compile_patterns([line for line in lines if _is_pattern(line)])


def _is_pattern(line: str) -> bool:
    try:
        compile_patterns([line])
    except ValueError:
        return False
    return True


def _excluded(path: str, rules: Iterable[Patterns], folder_name: str | None = None) -> bool:
    """Whether the first rule that says anything, or else the name of the folder, excludes `path`."""
    is_folder = folder_name is not None
    for rule in rules:
        said = rule.say(path, is_folder=is_folder)
        if said is not None:
            return said
    return folder_name in EXCLUDED_FOLDERS


def absolute(path: Path) -> str:
    """The absolute path, without `..`."""
    return os.path.abspath(path)  # noqa: PTH100 - unlike `Path.resolve`, it keeps symbolic links


def _sorted_paths(names: Iterable[str]) -> tuple[Path, ...]:
    return tuple(map(Path, sorted(names)))
