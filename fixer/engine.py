"""Prefilter, facts, rules, findings: pure, no printing and no writing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fixer.facts import Project
from fixer.rule import Finding, Rule
from fixer.source import Source, SourceError
from fixer.suppress import Suppressions


@dataclass(frozen=True)
class FileError:
    """A file that could not be worked on, and why."""

    path: Path
    message: str
    row: int | None = None


@dataclass(frozen=True)
class Analysis:
    """What the rules have to say about a tree."""

    findings: tuple[Finding, ...]
    """Sorted by path, place and code."""
    errors: tuple[FileError, ...]
    files: int
    """How many files were looked at, those that the prefilter settled included."""


@dataclass(frozen=True)
class _Run:
    """One analysis with what it was of."""

    project: Project
    targets: frozenset[Path]
    analysis: Analysis


class Engine:
    """Applies rules to trees; remembers the files and findings of the last one, as rounds change little."""

    def __init__(self, rules: Sequence[Rule], select: Callable[[Path, str], bool] | None = None) -> None:
        """`select(path, code)` says whether a rule is on for a file; without it every rule is."""
        self.rules = rules
        self._select = select
        self._last: _Run | None = None

    def analyse(self, sources: Mapping[Path, Source], targets: Collection[Path]) -> Analysis:
        """Findings in `targets`; the other sources answer questions across files."""
        last, wanted_paths = self._last, frozenset(targets)
        if last and last.targets == wanted_paths and last.project.sources == sources:
            return last.analysis
        project = Project(sources, last.project.files_in(sources) if last else {})
        findings: list[Finding] = []
        errors: list[FileError] = []
        for path in sorted(wanted_paths):
            self._file(project, sources[path], findings, errors)
        findings.sort(key=lambda finding: (finding.path, finding.start, finding.code, finding.end))
        analysis = Analysis(tuple(findings), tuple(errors), len(wanted_paths))
        self._last = _Run(project, wanted_paths, analysis)
        return analysis

    def _file(
        self, project: Project, source: Source, findings: list[Finding], errors: list[FileError]
    ) -> None:
        path = source.path
        try:
            _ = source.tree  # an invalid file is reported whether or not a rule would look at it
            suppressions = Suppressions.of(source)
        except SourceError as error:
            errors.append(FileError(path, error.message, error.row))
            return
        for rule in self.rules:
            if not wanted(rule, source.data) or (self._select and not self._select(path, rule.code)):
                continue
            file = project.file(path)
            assert file is not None
            try:
                found = list(rule.check(file, project))
            except RecursionError:
                message = (
                    f"has an expression too deep or too long for {rule.code}; split it or exclude the file"
                )
                errors.append(FileError(path, message))
                continue
            except Exception as error:  # one rule's defect must not cost the other findings
                errors.append(FileError(path, internal_error(rule, error)))
                continue
            for finding in found:
                row = source.location(finding.start)[0]
                if not suppressions.hides(row, finding.code, finding.name):
                    findings.append(finding)


def internal_error(rule: Rule, error: Exception) -> str:
    """One line for a defect of a rule, with the place it was raised at."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    place = ""
    if traceback is not None:
        place = f" at {Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}"
    reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    return f"internal error in {rule.code} ({reason}{place}); please report it"


def wanted(rule: Rule, data: bytes) -> bool:
    """The prefilter: whether a file holds what a finding of the rule cannot do without."""
    return all(any(token in data for token in group) for group in rule.tokens)
