"""Try every rule on published packages, and compare the findings with the list that was judged by eye.

``python benchmarks/corpus.py [NAME ...]`` downloads the packages (never into the repository), runs
``fixer check`` and ``fixer apply --dry-run`` on each, and prints what is new, what is gone, and how many of
the findings were judged right. `corpus.toml` beside this file holds the packages, the judged findings, and
the places that must be left alone. Exit status 1 where anything differs from it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packages import fetch
from rich.console import Console
from rich.progress import track

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIST = Path(__file__).with_name("corpus.toml")
FIXER = [sys.executable, "-m", "fixer"]
TIMEOUT = 1800


@dataclass(frozen=True, order=True)
class Place:
    """Where a finding is: lines are those of the published version."""

    package: str
    file: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.package} {self.file}:{self.line} {self.code}"


@dataclass(frozen=True)
class Result:
    """What the tool did with one package."""

    findings: frozenset[Place]
    fixes: int
    """How many fixes the dry run would write."""
    tracebacks: int
    seconds: float


def try_on(name: str, folder: Path) -> Result:
    """Run the tool the way a user would."""
    started = time.perf_counter()
    tracebacks = 0
    outputs = []
    for command in (["check"], ["apply", "--dry-run"]):
        run = subprocess.run(
            [*FIXER, *command, "--select", "ALL", "--output-format", "json", "."],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        tracebacks += run.stderr.count("Traceback") + run.stderr.count("internal error")
        outputs.append(json.loads(run.stdout))
    findings = frozenset(place(name, folder, found) for found in outputs[0])
    fixes = sum(found["status"] == "fixed" for found in outputs[1])
    return Result(findings, fixes, tracebacks, time.perf_counter() - started)


def place(package: str, folder: Path, found: dict[str, Any]) -> Place:
    """Where a finding of the JSON report is."""
    path = Path(found["filename"])
    file = path.relative_to(folder) if path.is_absolute() else path
    return Place(package, file.as_posix(), found["location"]["row"], found["code"])


def judged(document: dict[str, Any]) -> dict[Place, str]:
    """The findings that somebody read, with what they are: ``right``, ``wrong`` or ``debatable``."""
    return {
        Place(entry["package"], entry["file"], entry["line"], entry["code"]): entry["judged"]
        for entry in document.get("finding", [])
    }


def main() -> int:
    """Run, compare, print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="packages of corpus.toml; all of them by default")
    names = parser.parse_args().names
    document = tomllib.loads(LIST.read_text("utf-8"))
    packages = {name: version for name, version in document["packages"].items() if not names or name in names}
    known = {place: verdict for place, verdict in judged(document).items() if place.package in packages}
    alone = [entry for entry in document.get("leave-alone", []) if entry["package"] in packages]
    console = Console(stderr=True)
    results: dict[str, Result] = {}
    for name, version in track(packages.items(), description="packages", console=console):
        results[name] = try_on(name, fetch(name, version))
    return report(results, known, alone)


def report(results: dict[str, Result], known: dict[Place, str], alone: list[dict[str, Any]]) -> int:
    """Print the table and the differences; 1 if there are any."""
    print(f"{'package':<30}{'findings':>9}{'fixes':>7}{'tracebacks':>12}{'seconds':>9}")
    for name, result in results.items():
        row = f"{name:<30}{len(result.findings):>9}{result.fixes:>7}{result.tracebacks:>12}"
        print(f"{row}{result.seconds:>9.1f}")
    found = {place for result in results.values() for place in result.findings}
    wrong = False
    for title, places in (
        ("new, to be judged", found - known.keys()),
        ("gone", known.keys() - found),
        ("in a place to leave alone", {p for p in found if _is_left_alone(p, alone)}),
    ):
        for item in sorted(places):
            wrong = True
            print(f"{title}: {item}")
    for code in sorted({item.code for item in found}):
        verdicts = Counter(known.get(item, "not judged") for item in found if item.code == code)
        print(f"{code}: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
    return 1 if wrong or any(result.tracebacks for result in results.values()) else 0


def _is_left_alone(item: Place, alone: list[dict[str, Any]]) -> bool:
    return any(
        (entry["package"], entry["file"]) == (item.package, item.file)
        and (not entry["lines"] or entry["lines"][0] <= item.line <= entry["lines"][-1])
        for entry in alone
    )


if __name__ == "__main__":
    sys.exit(main())
