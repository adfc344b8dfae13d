"""Golden cases: small trees of files before and after `fixer apply`, run through the command line itself.

A case is a folder ``golden/CODE/name/``; only the rule ``CODE`` runs. It holds

``before/``
    the tree that is fixed: realistic code, in as many files as it takes.
``after/``
    the files of it that the run changes, as they come out; no such folder where nothing changes.
``case.toml``
    ``summary``: a line on what the case shows; ``unsafe = true`` runs with ``--unsafe-fixes``; then one
    ``[[finding]]`` for each reported finding, in the order of the report, with

    - ``code``, ``file`` (below ``before/``) and ``line`` as reported: in the original for what was fixed, in
      the result for what is left;
    - ``applicability``: ``safe``, ``unsafe``, or ``none`` where there is no fix;
    - ``verdict``: ``equivalent``, ``repaired``, ``refuted``, ``unverified``, or ``none`` if nothing was run.

To add one, write ``before/`` and the ``summary``, then run
``python -m tests.golden regenerate [CODE[/name]]``, which writes ``after/`` and the findings, and review what
it wrote: ``git diff golden``.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from fixer.cli.app import app
from fixer.verify import Verifier, VerifySettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOLDEN = Path(__file__).parent.parent / "golden"
Tree = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """One folder below `golden/CODE/`."""

    folder: Path

    @property
    def name(self) -> str:
        """``PRM301/square``."""
        return "/".join(self.folder.parts[-2:])

    @property
    def code(self) -> str:
        """The rule that runs."""
        return self.folder.parent.name

    @property
    def document(self) -> dict[str, Any]:
        """What `case.toml` says."""
        document: dict[str, Any] = tomllib.loads(self._toml.read_text("utf-8"))
        return document

    @property
    def before(self) -> Tree:
        """The tree that is fixed."""
        return read(self.folder / "before")

    @property
    def after(self) -> Tree:
        """The tree as it must come out."""
        return {**self.before, **read(self.folder / "after")}

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What must be reported."""
        found: list[dict[str, Any]] = self.document.get("finding", [])
        return found

    def regenerate(self, result: Result) -> None:
        """Write down what a run did."""
        head = self._toml.read_text("utf-8").partition("[[finding]]")[0].rstrip()
        entries = "".join(f"\n[[finding]]\n{_toml_lines(finding)}" for finding in result.findings)
        self._toml.write_text(f"{head}\n{entries}", "utf-8")
        shutil.rmtree(self.folder / "after", ignore_errors=True)
        for name, data in result.tree.items():
            if data != self.before.get(name):
                path = self.folder / "after" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    @property
    def _toml(self) -> Path:
        return self.folder / "case.toml"


@dataclass(frozen=True)
class Result:
    """What `fixer apply` left behind."""

    tree: Tree
    findings: list[dict[str, Any]]
    complaints: str
    """What the command said to people."""


def cases() -> list[Case]:
    """Every case there is."""
    return [Case(path.parent) for path in sorted(GOLDEN.glob("*/*/case.toml"))]


def read(folder: Path) -> Tree:
    """The files of a folder by their paths below it; caches that Python or we left there do not count."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def write(tree: Tree, folder: Path) -> None:
    """Lay a tree down in a folder."""
    for name, data in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def run(case: Case, folder: Path) -> Result:
    """Run `fixer apply` over what lies in a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        unsafe = ["--unsafe-fixes"] if case.document.get("unsafe") else []
        said = io.StringIO()
        with contextlib.redirect_stderr(said), _one_worker():
            app(
                [
                    *(
                        "apply",
                        "--select",
                        case.code,
                        "--python",
                        sys.executable,
                        *unsafe,
                        "--quiet",
                        "--no-cache",
                    ),
                    *("--output-format", "json", "--output-file", str(report), str(folder)),
                ],
                standalone_mode=False,
            )
        entries = json.loads(report.read_bytes()) if report.exists() else []
    return Result(read(folder), [_finding(entry, folder) for entry in entries], said.getvalue())


def _finding(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An object of the JSON report as `case.toml` has it."""
    return {
        "code": entry["code"],
        "file": Path(entry["filename"]).relative_to(folder).as_posix(),
        "line": entry["location"]["row"],
        "applicability": entry["fix"]["applicability"] if entry["fix"] else "none",
        "verdict": entry["verification"]["verdict"] if entry["verification"] else "none",
    }


def _toml_lines(finding: dict[str, Any]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in finding.items())


# A worker takes seconds to import torch: one serves all the cases of a process.


class _SharedVerifier(Verifier):
    """A verifier that is handed from run to run."""

    def at(self, settings: VerifySettings, root: Path) -> _SharedVerifier:
        """The same verifier for another project; all of them name the same interpreter."""
        self._settings, self._root = settings, root
        return self

    def __exit__(self, *_: object) -> None:
        """Keep the worker for the next run."""


@cache
def _shared() -> _SharedVerifier:
    verifier = _SharedVerifier(VerifySettings(), GOLDEN)
    atexit.register(verifier.close)
    return verifier


@contextlib.contextmanager
def _one_worker() -> Iterator[None]:
    with mock.patch("fixer.cli.run.Verifier", lambda settings, root: _shared().at(settings, root)):
        yield


def main(arguments: list[str]) -> int:
    """``regenerate [CODE[/name]]``: write down what the tool does now, for review."""
    if arguments[:1] != ["regenerate"] or len(arguments) > 2:
        print("usage: python -m tests.golden regenerate [CODE[/name]]", file=sys.stderr)
        return 2
    wanted = [case for case in cases() if f"{case.name}/".startswith("".join(arguments[1:]))]
    for case in wanted:
        with tempfile.TemporaryDirectory() as folder:
            write(case.before, Path(folder))
            result = run(case, Path(folder))
        case.regenerate(result)
        verdicts = ", ".join(finding["verdict"] for finding in result.findings)
        print(f"{case.name}: {len(result.findings)} findings {verdicts}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
