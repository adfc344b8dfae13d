"""`verify --against`: gather what was changed by hand since a commit, have it compared, report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fixer.against import Compared, GitError, Origin, Tree, compare, errors, joined, questions, survey
from fixer.cli import sentences
from fixer.cli.ending import UserError, emit
from fixer.cli.options import VerifyOptions
from fixer.cli.project import STDIN, Work, gather_tree, require_interpreter, verification
from fixer.cli.run import conclude, put
from fixer.cli.terminal import Progress, colourful, progress, width_of
from fixer.discovery import EXCLUDED_FOLDERS, Patterns, absolute, compile_patterns
from fixer.engine import FileError
from fixer.policy import VerifyMode
from fixer.report import Format
from fixer.report.against import AgainstReport, render
from fixer.verify import Revision, Verifier

_FORMATS = (Format.FULL, Format.CONCISE, Format.JSON)
_AHEAD = 2
"""How many rounds of classes are asked about together: each is a step of what people see of the progress."""


def verify_against(options: VerifyOptions) -> int:
    """Compare every model that changed since the commit."""
    if options.against is None:
        raise UserError("--renamed goes with --against")
    if options.verify is VerifyMode.OFF:
        raise UserError("`fixer verify` has nothing to do with --verify=off")
    renamed = _renamed(options.renamed or [])
    with progress(options.quiet) as show:
        scope = _Scope.of(options, show)
        show(f"comparing with {options.against}")
        found = compare(scope.tree, scope.holds, renamed)
        classes = _verified(options, scope.work, found, show)
    failed = [FileError(e.path, e.message, e.row) for e in errors(scope.tree, scope.holds)]
    failed = list({(e.path, e.row): e for e in (*scope.work.errors, *failed)}.values())
    _publish(options, scope.work, AgainstReport(classes, failed, Path.cwd()))
    files = sum(map(scope.holds, scope.tree.changed))
    conclude(options, failed, sentences.on_against(classes, options.against, files, len(failed)))
    return 2 if failed else int(not all(item.proven for item in classes))


@dataclass(frozen=True)
class _Scope:
    """What the run is about: the files that were named, those that are gone included."""

    work: Work
    tree: Tree
    named: tuple[str, ...]
    targets: frozenset[Path]
    excluded: Patterns

    @classmethod
    def of(cls, options: VerifyOptions, show: Progress) -> _Scope:
        """Read the files and what git has of them."""
        assert options.against is not None
        paths = list(options.paths or [Path()])
        if STDIN in paths:
            raise UserError("--against compares files with a commit; standard input is in none")
        there = [path for path in paths if os.path.lexists(path)]
        folders = {_nearest_folder(path) for path in paths}
        try:
            origin = Origin.of(sorted(folders), options.against)
            work = gather_tree(options, there or sorted(folders), show)
            tree = survey(origin, work.sources)
        except GitError as error:
            raise UserError(str(error)) from None
        named = tuple(map(absolute, paths))
        for path, name in zip(paths, named, strict=True):
            if path not in there and not any(_below(str(changed), name) for changed in tree.changed):
                raise UserError(
                    f"{path}: there is no such file, and there was none at {options.against}; check the path"
                )
        targets = frozenset(work.targets if there else ())
        excluded = Patterns(absolute(work.config.root), compile_patterns(work.config.exclude))
        return cls(work, tree, named, targets, excluded)

    def holds(self, path: Path) -> bool:
        """Whether a file is one to report on; one that is gone counts as if it were there."""
        if path in self.targets or path in self.tree.after.sources:
            return path in self.targets
        name = str(path)
        above = next((named for named in self.named if _below(name, named)), None)
        if above is None or self.excluded.say(name):
            return False
        return EXCLUDED_FOLDERS.isdisjoint(Path(name[len(above) :]).parts)


def _below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(os.path.join(folder, ""))  # noqa: PTH118 - strings


def _nearest_folder(path: Path) -> Path:
    """The folder that a path is, lies in, or would lie in."""
    folder = Path(absolute(path))
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _renamed(given: Sequence[str]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in given]
    if not all(old and new for old, _, new in pairs):
        raise UserError("--renamed takes the old and the new name of a class: --renamed Old=New")
    return {old: new for old, _, new in pairs}


def _verified(
    options: VerifyOptions,
    work: Work,
    found: Sequence[tuple[Compared, Revision | None]],
    show: Callable[[str], None],
) -> list[Compared]:
    """The classes with what running them found."""
    jobs = [(place, job) for place, (_, job) in enumerate(found) if job is not None]
    classes = [item for item, _ in found]
    if not jobs:
        return classes
    require_interpreter(options, work)
    with Verifier(verification(options, work), work.root) as verifier:
        size = _AHEAD * verifier.at_once
        for start in range(0, len(jobs), size):
            part = jobs[start : start + size]
            names = ", ".join(classes[place].name for place, _ in part)
            show(f"comparing {start + 1} to {start + len(part)} of {len(jobs)}: {names}")
            verdicts = verifier.verify_all([job for _, job in part])
            for (place, job), verdict in zip(part, verdicts, strict=True):
                if again := questions(job, verdict):
                    verdict = joined(again, verifier.verify_all(again))
                classes[place] = replace(classes[place], verification=verdict)
    return classes


def _publish(options: VerifyOptions, work: Work, report: AgainstReport) -> None:
    style = Format(work.config.output_format)
    if style not in _FORMATS:
        names = ", ".join(item.value for item in _FORMATS)
        raise UserError(f"--against does not report as {style.value}; choose one of {names}")
    if options.output_file:
        put(options, render(report, style))
    else:
        emit(render(report, style, colour=colourful(sys.stdout), width=width_of(sys.stdout)))
