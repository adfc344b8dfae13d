"""What a run works on: configuration, rules, and the files with their bytes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fixer.catalogue import CatalogueError, load_rules
from fixer.cli.ending import UserError
from fixer.cli.options import Options
from fixer.config import Config, ConfigError
from fixer.discovery import Discovery, absolute, discover, find_root
from fixer.engine import Engine, FileError, wanted
from fixer.journal import restore
from fixer.policy import Policy, VerifyMode
from fixer.rule import Rule
from fixer.selection import Selection
from fixer.source import MAX_BYTES, Source, SourceError
from fixer.verify import VerifySettings
from fixer.verify.cache import FOLDER
from fixer.verify.interpreter import find
from fixer.verify.marks import find_marks

STDIN = Path("-")


@dataclass(frozen=True)
class Work:
    """Everything that a command needs, read and checked."""

    config: Config
    rules: Sequence[type[Rule]]
    """The whole catalogue, for reports that list it."""
    engine: Engine
    sources: dict[Path, Source]
    targets: tuple[Path, ...]
    errors: tuple[FileError, ...]
    """Files that could not be read."""
    stdin: Path | None
    """The file that standard input stands for."""

    @property
    def policy(self) -> Policy:
        """What the user allows."""
        options = {rule.code: self.config.options(rule.code, rule.name) for rule in self.rules}
        prefer = {code: str(given["prefer"]) for code, given in options.items() if "prefer" in given}
        return Policy(self.config.unsafe_fixes, VerifyMode(self.config.verify), prefer)

    @property
    def root(self) -> Path:
        """The folder of the project, for verification to look for an interpreter and imports in."""
        if self.config.path or not self.targets:
            return self.config.root
        return find_root(self.targets[0])


def gather(options: Options, show: Callable[[str], None], *, writing: bool = False) -> Work:
    """Read configuration, rules and files; raise `UserError` where one of the first two is no good.

    A run that is going to be `writing` first undoes what a killed one has left half done.
    """
    _require_working_folder()
    _require_room(options.output_file)
    paths = list(options.paths or [Path()])
    stdin = _stdin_path(options, paths)
    try:
        config = _configured(options, [stdin] if stdin else paths)
        catalogue = load_rules()
        selection = Selection.of(catalogue, config)
    except (ConfigError, CatalogueError) as error:
        raise UserError(str(error)) from None
    engine = Engine([rule() for rule in selection.rules], selection.allows)
    show("reading files")
    found = _find(config, [stdin.parent] if stdin else paths)
    undone = list(restore([*found.targets, *found.context])) if writing and not stdin else []
    if stdin:
        targets = {stdin: _read_stdin(stdin)}
        errors: list[FileError] = []
    else:
        targets, unread = _read(found.targets)
        errors = [
            FileError(error.path, error.message, error.row) for error in (*undone, *found.errors, *unread)
        ]
    context: dict[Path, Source] = {}
    # Other files answer questions about candidates: without one nobody asks.
    if any(wanted(rule, source.data) for source in targets.values() for rule in engine.rules):
        context, _ = _read(path for path in (*found.targets, *found.context) if path not in targets)
    return Work(config, catalogue, engine, {**context, **targets}, tuple(targets), tuple(errors), stdin)


def gather_tree(options: Options, paths: Sequence[Path], show: Callable[[str], None]) -> Work:
    """Read configuration and every file that questions may reach, and no rules."""
    _require_working_folder()
    _require_room(options.output_file)
    try:
        config = _configured(options, paths)
    except ConfigError as error:
        raise UserError(str(error)) from None
    show("reading files")
    found = _find(config, paths)
    sources, unread = _read((*found.targets, *found.context))
    errors = [FileError(error.path, error.message, error.row) for error in (*found.errors, *unread)]
    targets = tuple(path for path in found.targets if path in sources)
    return Work(config, (), Engine([], lambda *_: True), sources, targets, tuple(errors), None)


def verification(options: Options, work: Work) -> VerifySettings:
    """How verification runs, where it keeps its verdicts, and which harnesses the project marks."""
    folder = None if options.no_cache else Path(absolute(work.root)) / FOLDER
    return replace(work.config.verification, cache=folder, marks=tuple(find_marks(work.sources)))


def require_interpreter(options: Options, work: Work) -> None:
    """Refuse a `--python` that cannot be run at all, instead of calling every fix unverified for it."""
    if options.python is None:
        return
    python = find(work.config.verification.python, work.root, os.environ)
    if not shutil.which(python):
        message = "there is no such program; name a Python that has torch, or a virtual environment"
        raise UserError(f"--python {options.python}: {message}")


def _require_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise UserError(f"the working folder is gone ({error.strerror}); change to another") from None


def _require_room(file: Path | None) -> None:
    """Refuse a report that could not be put down before anything is rewritten, not after."""
    if file is None:
        return
    if file.is_dir():
        raise UserError(f"{file}: cannot be written, as it is a folder; name a file")
    if not file.parent.is_dir():
        raise UserError(f"{file}: cannot be written, as there is no folder {file.parent}; create it")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UserError(f"{file}: cannot be written (permission denied); name another file")


def _configured(options: Options, paths: Sequence[Path]) -> Config:
    return Config.load(_start(paths), options.config).override(
        select=options.select,
        ignore=options.ignore,
        unsafe_fixes=options.unsafe_fixes,
        verify=options.verify and options.verify.value,
        python=options.python,
        jobs=options.jobs,
        output_format=options.output_format and options.output_format.value,
    )


def _find(config: Config, paths: Sequence[Path]) -> Discovery:
    return discover(
        paths,
        include=config.include,
        exclude=config.exclude,
        respect_gitignore=config.respect_gitignore,
        root=config.root,
    )


def _stdin_path(options: Options, paths: list[Path]) -> Path | None:
    if STDIN not in paths:
        if options.stdin_filename:
            raise UserError("--stdin-filename names what comes from standard input; give `-` as the path")
        return None
    if len(paths) > 1:
        raise UserError("`-` stands alone; leave the other paths out")
    return Path(os.path.abspath(options.stdin_filename or "stdin.py"))  # noqa: PTH100 - links are kept


def _read_stdin(path: Path) -> Source:
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(f"standard input is larger than {MAX_BYTES // 1024**2} MB; that is data, not code")
    return Source(path, data)


def _start(paths: Sequence[Path]) -> Path:
    """The folder whose configuration counts: the one that holds all the paths."""
    try:
        common = Path(os.path.commonpath([os.path.abspath(path) for path in paths]))  # noqa: PTH100
        return common if common.is_dir() else common.parent
    except (ValueError, OSError):  # no folder holds them all, or one is not a path at all
        return Path()


def _read(paths: Iterable[Path]) -> tuple[dict[Path, Source], list[SourceError]]:
    """Read what can be read."""
    sources: dict[Path, Source] = {}
    errors: list[SourceError] = []
    for path in paths:
        try:
            sources[path] = Source.read(path)
        except SourceError as error:
            errors.append(error)
    return sources, errors
