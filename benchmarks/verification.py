"""Measure what verification costs: every golden fix that is proven, copied often enough, from a cold start.

``python benchmarks/verification.py`` takes the fixes of `golden/` whose verdicts are `equivalent` or
`repaired`, under other class and file names in every copy, starts a worker, and asks it for all verdicts.
A second pass measures what the models alone cost. Results: `VERIFICATION.md` and `verification.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from fixer import apply as applying  # noqa: E402
from fixer.catalogue import load_rules  # noqa: E402
from fixer.contract import Promise, Verdict, Verification  # noqa: E402
from fixer.engine import Engine  # noqa: E402
from fixer.policy import Policy, VerifyMode  # noqa: E402
from fixer.source import Source  # noqa: E402
from fixer.verify import Job, Verifier, VerifySettings  # noqa: E402
from tests.golden import Case, cases  # noqa: E402

FIXES = 200
SAMPLE = 50
"""How many of them, about one of each kind, tell what the models alone cost."""
PAGE, KEPT = HERE / "VERIFICATION.md", HERE / "verification.json"
_PROVEN = {"equivalent", "repaired"}
_CLASS = re.compile(rb"^class (\w+)", re.MULTILINE)


@dataclass
class Collector:
    """A judge that believes everything and keeps what it was asked."""

    jobs: list[Job] = field(default_factory=list)
    at_once = 1

    def verify(self, job: Job) -> Verification:
        """Keep the question; the answer is the one that goes on."""
        self.jobs.append(job)
        repairs = job.contract.promise is Promise.REPAIRS
        return Verification(Verdict.REPAIRED if repairs else Verdict.EQUIVALENT, "not run yet", {})

    def verify_all(self, jobs: Sequence[Job]) -> list[Verification]:
        """Keep all of them."""
        return [self.verify(job) for job in jobs]


class FloorVerifier(Verifier):
    """The same processes, with a worker that also measures the models alone."""

    worker = HERE / "verification_worker.py"


@dataclass(frozen=True)
class Figures:
    """What was measured; seconds unless it says otherwise."""

    fixes: int
    jobs_at_once: int
    verdicts: dict[str, int]
    start: float
    """Until the worker is warm: the import of torch for the most part."""
    wall: float
    """From the start of the worker's process to the last verdict."""
    wall_per_fix: float
    processor_per_fix: float
    median: float
    """Wall time of one verdict, while the others run beside it."""
    p95: float
    slowest: float
    floor_per_fix: float
    """Processor time of the models' own calls, gradients and steps."""
    calls: dict[str, int]
    """How often models were called, differentiated and stepped for the verdicts of the sample."""
    machine: dict[str, str]


def proven() -> list[Case]:
    """The cases of which every rewrite is proven; those with a configuration of their own are left out."""
    found = []
    for case in cases():
        verdicts = {finding["verdict"] for finding in case.findings} - {"none"}
        if verdicts and verdicts <= _PROVEN and "pyproject.toml" not in case.before:
            found.append(case)
    return found


def copied(case: Case, number: int, tree: Path) -> list[Source]:
    """Write a case down with its classes, and a file that stands alone, under other names."""
    folder = tree / f"{case.name.replace('/', '_').replace('-', '_')}_{number}"
    names = {name for text in case.before.values() for name in _CLASS.findall(text)}
    pattern = re.compile(rb"\b(" + b"|".join(sorted(names)) + rb")\b") if names else None
    sources = []
    for name, text in case.before.items():
        path = folder / name
        if len(case.before) == 1:
            path = path.with_stem(f"{path.stem}_{number}")
        if pattern is not None:
            text = pattern.sub(lambda found: found[0] + str(number).encode(), text)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        sources.append(Source(path, text))
    return sources


def questions(tree: Path, wanted: int) -> Iterator[Job]:
    """So many fixes, each in the project of its copy."""
    rules, found, number = load_rules(), 0, 0
    while True:
        for case in proven():
            engine = Engine([rule() for rule in rules if rule.code == case.code])
            sources = {source.path: source for source in copied(case, number, tree)}
            asked = Collector()
            applying.survey(engine, sources, list(sources), Policy(True, VerifyMode.REQUIRE), asked)
            for job in asked.jobs:
                yield job
                found += 1
                if found == wanted:
                    return
        number += 1


def measured(jobs: list[Job], tree: Path, at_once: int, console: Console) -> Figures:
    """Ask for all verdicts from a cold start, then measure the floor."""
    python = Path(sys.executable)
    with console.status("asking for the verdicts, from a cold start"):
        used = _processor_seconds()
        started = time.perf_counter()
        with Verifier(VerifySettings(at_once=at_once, python=python), tree) as verifier:
            verifier.start()
            ready = time.perf_counter()
            verdicts = verifier.verify_all(jobs)
            ended = time.perf_counter()
        used = _processor_seconds() - used
    walls = sorted(verdict.evidence.get("wall_ms", 0) / 1000 for verdict in verdicts)
    with FloorVerifier(VerifySettings(python=python), tree) as verifier:
        each = track(jobs[:SAMPLE], "measuring the models alone", console=console)
        alone = [verifier.verify(job) for job in each]
    failed = [verdict.reason for verdict in alone if not verdict.verdict.proven]
    if failed:
        sys.exit(f"the models alone could not be measured: {failed[0]}")
    floors = [verdict.evidence["floor"] for verdict in alone]
    calls = {name: sum(floor.get(name, 0) for floor in floors) for name in ("forward", "backward", "step")}
    return Figures(
        fixes=len(jobs),
        jobs_at_once=at_once,
        verdicts=dict(Counter(verdict.verdict.value for verdict in verdicts)),
        start=ready - started,
        wall=ended - started,
        wall_per_fix=(ended - started) / len(jobs),
        processor_per_fix=used / len(jobs),
        median=statistics.median(walls),
        p95=walls[int(len(walls) * 0.95)],
        slowest=walls[-1],
        floor_per_fix=sum(floor["seconds"] for floor in floors) / len(floors),
        calls=calls,
        machine=machine(),
    )


def _processor_seconds() -> float:
    """What the processes that this one has started, and seen the end of, have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine() -> dict[str, str]:
    """What the figures hold for."""
    from importlib.metadata import version

    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "ten million additions in Python": f"{_additions():.2f} s",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def _additions() -> float:
    """Processor seconds of a plain loop: shared machines are half as fast at times."""
    started, total = time.process_time(), 0
    for number in range(10_000_000):
        total += number
    return time.process_time() - started


def page(figures: Figures) -> str:
    """The text of `VERIFICATION.md`."""
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(figures.verdicts.items()))
    calls = figures.calls
    rows = [
        ("fixes", f"{figures.fixes}: {verdicts}"),
        ("at the same time", str(figures.jobs_at_once)),
        ("all of it, from the start of the worker", f"{figures.wall:.2f} s"),
        ("of that until the worker is warm", f"{figures.start:.2f} s"),
        ("a fix, its share of the start included", f"{figures.wall_per_fix:.3f} s"),
        ("processor time a fix", f"{figures.processor_per_fix:.3f} s"),
        (
            "one verdict, median / p95 / slowest",
            f"{figures.median:.3f} / {figures.p95:.3f} / {figures.slowest:.3f} s",
        ),
        ("the models alone, processor time a fix", f"{figures.floor_per_fix:.3f} s"),
    ]
    machine = ", ".join(f"{name} {value}" for name, value in figures.machine.items())
    return "\n".join(
        [
            "# What verification costs",
            "",
            "Written by `python benchmarks/verification.py`; do not edit. Golden fixes that are proven,",
            "with other class and file names in every copy, so that no two are alike; nothing is taken",
            "from a cache.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows),
            "",
            f"For the verdicts on the first {SAMPLE} fixes models were called {calls['forward']} times,",
            f"differentiated {calls['backward']} times and stepped {calls['step']} times; the models alone:",
            "as many calls in a plain loop, in one thread, without any search, record or comparison.",
            "Functions and scripts have no such loop and count as nothing.",
            "",
            f"Measured on: {machine}.",
            "",
        ]
    )


def main() -> int:
    """Run, print, keep; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fixes", type=int, default=FIXES, help="how many fixes to verify")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at the same time")
    parser.add_argument("--no-keep", action="store_true", help="print the figures and write nothing")
    options = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="fixer-benchmark-") as folder:
        tree = Path(folder).resolve()
        found = questions(tree, options.fixes)
        jobs = list(track(found, "writing the fixes", total=options.fixes, console=console))
        figures = measured(jobs, tree, options.jobs, console)
    print(page(figures))
    if not options.no_keep:
        KEPT.write_text(json.dumps(asdict(figures), indent=1) + "\n", "utf-8")
        PAGE.write_text(page(figures), "utf-8")
    return int(not set(figures.verdicts) <= _PROVEN)


if __name__ == "__main__":
    sys.exit(main())
