"""Toys for tests of what happens to findings: rules that replace words, and a judge with fixed opinions."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fixer.contract import Contract, Promise, Subject, Verdict, Verification
from fixer.edits import Edit, EditSet, splice
from fixer.engine import Analysis
from fixer.rule import Applicability, Finding, Fix
from fixer.source import Source
from fixer.verify import Job


@dataclass(frozen=True)
class Word:
    """A toy rule: every occurrence of `pattern` is a finding, whose fix writes `text` instead."""

    code: str
    pattern: str
    text: str | None
    applicability: Applicability = Applicability.SAFE
    promise: Promise = Promise.PRESERVES
    alternative: str | None = None
    elsewhere: Callable[[Path], EditSet] | None = None
    """Edits in other files that belong to the fix."""

    def check(self, source: Source) -> Iterator[Finding]:
        for match in re.finditer(self.pattern.encode(), source.data):
            contract = Contract(self.promise, (Subject(source.path),))
            fixes = []
            for text in (self.text, self.alternative):
                if text is not None:
                    edits = EditSet({source.path: (Edit(match.start(), match.end(), text),)})
                    if self.elsewhere:
                        edits = EditSet.union([edits, self.elsewhere(source.path)])
                    fixes.append(Fix(f"Write {text!r}", self.applicability, edits, contract))
            word = match.group().decode()
            yield Finding(
                self.code, "word", f"`{word}` is wrong", source.path, *match.span(), tuple(fixes), "Think."
            )


@dataclass
class Words:
    """An analyser of toy rules."""

    rules: tuple[Word, ...]

    def analyse(self, sources: Mapping[Path, Source], targets: Collection[Path]) -> Analysis:
        findings = [
            finding
            for path in sorted(targets)
            for rule in self.rules
            for finding in rule.check(sources[path])
        ]
        findings.sort(key=lambda finding: (finding.path, finding.start, finding.code))
        return Analysis(tuple(findings), (), len(targets))


@dataclass
class Opinion:
    """A judge: the first pattern found in the text after a fix, but not before it, decides the verdict."""

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    jobs: list[tuple[dict[Path, str], dict[Path, str]]] = field(default_factory=list)
    needs: str | None = None
    """A word without which nothing runs: its absence from the text after the fix is `unverified`."""

    at_once = 1

    def verify_all(self, jobs: Sequence[Job]) -> list[Verification]:
        return [self.verify(job) for job in jobs]

    def verify(self, job: Job) -> Verification:
        before, after = (self._texts(job, side) for side in (job.before, job.after))
        self.jobs.append((before, after))
        old, new = "".join(before.values()), "".join(after.values())
        if self.needs and self.needs not in new:
            return Verification(Verdict.UNVERIFIED, f"no {self.needs}")
        for pattern, verdict in self.verdicts.items():
            if new.count(pattern) > old.count(pattern):
                return Verification(verdict, f"{pattern} was seen", {"steps": 20})
        repairs = job.contract.promise is Promise.REPAIRS
        return Verification(Verdict.REPAIRED if repairs else Verdict.EQUIVALENT, "all equal", {"steps": 20})

    @staticmethod
    def _texts(job: Job, side: EditSet) -> dict[Path, str]:
        return {
            path: splice(source.data, side.files.get(path, ()), source.encoder).decode()
            for path, source in job.sources.items()
        }


def tree(root: Path, **files: str) -> dict[Path, Source]:
    """Write files (`net="..."` is net.py) and read them as sources."""
    sources = {}
    for name, text in files.items():
        path = root / f"{name}.py"
        path.write_bytes(text.encode())
        sources[path] = Source.read(path)
    return sources
