"""Try to build and call every model class of published packages, the way verification would.

``python benchmarks/reach.py [NAME | NAME==VERSION | FOLDER ...]`` downloads the packages and what they
depend on (never into the repository), builds every `nn.Module` class in them with arguments found by the
worker, calls `forward`, and takes gradients. A bare NAME is one of `reach.toml` beside this file; without
names, all of those are tried. With ``--label`` the summary is kept in `reach.json`, from which `REACH.md` is
written.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from environments import environment, not_there, optional
from packages import fetch
from reach_worker import BUDGET
from rich.console import Console
from rich.progress import track

from fixer.contract import Contract, Promise, Subject
from fixer.edits import EditSet
from fixer.verify import Job, Verifier, VerifySettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
LIST, KEPT, PAGE = HERE / "reach.toml", HERE / "reach.json", HERE / "REACH.md"
TIMEOUT = 3600.0
CAUSES = 8
WITH_PARAMETERS = "with parameters"
_TESTS = re.compile(r"(^|/)(tests?|testing|examples?|benchmarks?)(/|$)|(^|/)(test_[^/]*|conftest|setup)\.py$")


@dataclass(frozen=True)
class Summary:
    """What was reached in one package."""

    files: str
    """Which files were taken."""
    classes: int
    built: int
    forward: int
    trainable: int
    """How many of those whose forward ran have parameters."""
    gradients: int
    abstract: int
    """Classes with nothing to run; they are not among `classes`."""
    median: float
    p95: float
    causes: dict[str, int]
    stand_ins: list[str]
    unloaded: int
    left_out: dict[str, str] = field(default_factory=dict)
    """What the package declares that could not be installed, and why."""


class ReachVerifier(Verifier):
    """Verification's own processes, with a worker that only builds and calls."""

    worker = HERE / "reach_worker.py"


def python_files(folder: Path, every: int) -> list[Path]:
    """The files of a package but its tests: each `every`-th in the order of their names."""
    found = sorted(path for path in folder.rglob("*.py") if not _TESTS.search(str(path.relative_to(folder))))
    return found[::every]


def try_on(folder: Path, every: int, roots: tuple[Path, ...]) -> dict[str, Any]:
    """Try every class of a package, with what lies in `roots` to import; the worker's evidence."""
    subjects = tuple(Subject(path) for path in python_files(folder, every))
    settings = VerifySettings(timeout=TIMEOUT, roots=roots)
    with ReachVerifier(settings, folder) as verifier:
        job = Job(Contract(Promise.PRESERVES, subjects), {}, EditSet(), EditSet())
        verification = verifier.verify(job)
    if "results" not in verification.evidence:
        sys.exit(f"{folder.name}: {verification.reason}")
    return verification.evidence


def summary(evidence: dict[str, Any], files: str, left_out: dict[str, str]) -> Summary:
    """Count; classes with nothing to run are left out."""
    results = [item for item in evidence["results"] if not item["abstract"]]
    ran = [item for item in results if item["forward"]]
    seconds = sorted(item["seconds"] or BUDGET for item in results) or [0.0]
    causes = Counter(plain(cause(item)) for item in results if not reached(item))
    return Summary(
        files=files,
        classes=len(results),
        built=sum(item["built"] for item in results),
        forward=len(ran),
        trainable=sum(bool(item["parameters"]) for item in ran),
        gradients=sum(item["gradients"] for item in ran),
        abstract=len(evidence["results"]) - len(results),
        median=statistics.median(seconds),
        p95=seconds[min(int(len(seconds) * 0.95), len(seconds) - 1)],
        causes=dict(causes.most_common(CAUSES)),
        stand_ins=sorted(evidence["stand_ins"]),
        unloaded=len(evidence["unloaded"]),
        left_out=left_out,
    )


def reached(item: dict[str, Any]) -> bool:
    """Whether forward ran, and gradients came where there is anything to train."""
    return bool(item["forward"] and (item["gradients"] or not item["parameters"]))


def cause(item: dict[str, Any]) -> str:
    """What stopped a class."""
    return str(item["cause"] or ("no gradient came" if item["forward"] else "forward returned no tensor"))


def plain(text: str) -> str:
    """A failure without what differs from class to class, so that equal ones can be counted."""
    text = re.sub(r"^\w+: could not (build|call) \w+: ", r"\1: ", text)
    text = re.sub(r" at line \d+ of \w+$", "", text).replace(str(Path.home()), "~")
    text = re.sub(r"'[\w.]+'|\"[\w.]+\"", "'…'", text)
    return re.sub(r"-?\d+(\.\d+)?", "#", text)[:110]


def together(evidences: list[dict[str, Any]]) -> dict[str, Any]:
    """What came of all packages as if they were one."""
    return {
        "results": [item for evidence in evidences for item in evidence["results"]],
        "stand_ins": [],
        "unloaded": {path: why for evidence in evidences for path, why in evidence["unloaded"].items()},
    }


def with_parameters(evidence: dict[str, Any]) -> dict[str, Any]:
    """What came of the classes that have something to train, or of which nobody knows whether they have."""
    return {**evidence, "results": [item for item in evidence["results"] if item["parameters"] != 0]}


_HEADER = ("package", "files", "classes", "not counted", "built", "forward", "gradients", "median s", "p95 s")


def row(name: str, item: Summary) -> tuple[str, ...]:
    """A line of the table."""

    def share(count: int, of: int) -> str:
        return f"{100 * count / of:.1f} %" if of else "-"

    return (
        name,
        item.files,
        str(item.classes),
        str(item.abstract),
        share(item.built, item.classes),
        share(item.forward, item.classes),
        share(item.gradients, item.trainable),
        f"{item.median:.3f}",
        f"{item.p95:.2f}",
    )


def page(kept: dict[str, Any]) -> str:
    """The text of `REACH.md`."""
    lines = [
        "# How much code that nobody here wrote can be run",
        "",
        "Written by `python benchmarks/reach.py --label LABEL`; do not edit. Every `nn.Module` class of the",
        "packages is built, called, and differentiated in the processes that verification uses, with",
        f"arguments that the worker finds within {BUDGET:g} s a class. Percentages are of all classes that",
        "have something to run; gradients: of those whose forward ran and which have parameters. The",
        "packages of each look were chosen before anybody looked into them, and those of the looks before it",
        "were what the search was then improved on. Not counted: classes without a forward (or with an",
        "empty one) and without a `__call__` of their own, whose methods only raise or which read what",
        "only subclasses have. From the third look on each package has the dependencies it declares",
        "(`environments.json` holds their versions), and no others; before, all had the same hand-picked",
        "libraries. From the fifth look on those optional ones are there, too, that its classes ask for and",
        "that the package declares. Seconds are of processor time from the third look on, of wall time",
        "before. Where there is a last row, it counts only classes that have parameters, of their own or of",
        "what they hold, and those that could not be built.",
    ]
    for label, run in kept.items():
        lines += ["", f"## {label}", "", f"torch {run['torch']}, one core.", ""]
        lines += ["| " + " | ".join(_HEADER) + " |", "|" + "---|" * len(_HEADER)]
        for name, item in run["packages"].items():
            lines.append("| " + " | ".join(row(name, Summary(**item))) + " |")
        lines += ["", "What stopped the others most often:", ""]
        lines += [f"- {count} times `{text}`" for text, count in run["packages"]["all"]["causes"].items()]
        stood_in = {name: item["stand_ins"] for name, item in run["packages"].items() if item["stand_ins"]}
        lines += [
            "",
            "Packages that were not there and had stand-ins (classes that need them count as failures):",
            "",
        ]
        lines += [f"- {name}: {', '.join(names)}" for name, names in stood_in.items()]
        left_out = {name: item.get("left_out") for name, item in run["packages"].items()}
        if any(left_out.values()):
            lines += ["", "Declared dependencies that could not be installed, or only in part:", ""]
        lines += [
            f"- {name}: " + ", ".join(f"{library} ({why})" for library, why in entries.items())
            for name, entries in left_out.items()
            if entries
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Target:
    """A package to try: where it lies, how much of it to take, and what there is to import beside it."""

    folder: Path
    every: int = 1
    roots: tuple[Path, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    published: tuple[str, str] | None = None
    """Its name and version, if it is no folder of the user's."""


def published(name: str, version: str, entry: dict[str, Any]) -> Target:
    """A package as it was published, with its declared dependencies."""
    roots, left_out = environment(name, version)
    return Target(fetch(name, version), entry.get("every", 1), (roots,), left_out, (name, version))


def with_optional(target: Target, evidence: dict[str, Any]) -> Target | None:
    """The target with those of its optional dependencies that its classes asked for; None if it has them."""
    asked = {name for item in evidence["results"] for name in not_there(str(item["cause"] or ""))}
    asked |= set(evidence["stand_ins"])
    if target.published is None or not optional(*target.published, asked):
        return None
    before = sorted(path.name for path in target.roots[0].iterdir())
    roots, left_out = environment(*target.published, asked)
    if sorted(path.name for path in roots.iterdir()) == before:
        return None
    return replace(target, roots=(roots,), left_out=left_out)


def targets(names: list[str], listed: dict[str, Any]) -> dict[str, Target]:
    """What to try: packages that are `listed`, by their names, others as NAME==VERSION, and folders."""
    found = {}
    for name in names or listed:
        package, separator, version = name.partition("==")
        if separator or name in listed:
            entry = listed.get(package, {})
            found[package] = published(package, version or entry["version"], entry)
        elif Path(name).is_dir():
            found[Path(name).name] = Target(Path(name).resolve())
        else:
            sys.exit(f"{name}: neither NAME==VERSION nor a folder")
    return found


def main() -> int:
    """Run, print, keep; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", help="NAME, NAME==VERSION or a folder; the packages of reach.toml by default"
    )
    parser.add_argument("--json", type=Path, help="write what came of every class to this file")
    parser.add_argument("--label", help="keep the summary under this heading of REACH.md")
    options = parser.parse_args()
    document = tomllib.loads(LIST.read_text("utf-8"))
    packages = targets(options.names, document["packages"])
    details, summaries = {}, {}
    for name, target in track(packages.items(), console=Console(stderr=True)):
        details[name] = try_on(target.folder, target.every, target.roots)
        completed = with_optional(target, details[name])
        if completed is not None:
            target = completed
            details[name] = try_on(target.folder, target.every, target.roots)
        files = "all" if target.every == 1 else f"every {target.every}th"
        summaries[name] = summary(details[name], files, target.left_out)
        print("  ".join(row(name, summaries[name])), flush=True)
        if options.json:
            options.json.write_text(json.dumps(details, indent=1), "utf-8")
    everything = together(list(details.values()))
    for name, evidence in (("all", everything), (WITH_PARAMETERS, with_parameters(everything))):
        summaries[name] = summary(evidence, "", {})
        print("  ".join(row(name, summaries[name])))
    for text, count in summaries["all"].causes.items():
        print(f"{count:5} {text}")
    if options.label:
        kept = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
        run = {"torch": torch_version(), "packages": {name: asdict(item) for name, item in summaries.items()}}
        kept[options.label] = run
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
        PAGE.write_text(page(kept), "utf-8")
    return 0


def torch_version() -> str:
    """The version of torch that ran."""
    from importlib.metadata import version

    return version("torch")


if __name__ == "__main__":
    sys.exit(main())
