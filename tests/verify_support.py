"""Jobs and verifiers for the tests of the cage."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from fixer.contract import Contract, Promise, Subject, Verification
from fixer.edits import EditSet
from fixer.source import Source
from fixer.verify import Job, Verifier


class CageVerifier(Verifier):
    """Runs `cage_worker`: its evidence is what the function `go` of the file did on each side."""

    worker = Path(__file__).with_name("cage_worker.py")


def job(path: Path, *, parameter: str | None = None) -> Job:
    """Ask for a call of `go` in a file that no edit touches."""
    contract = Contract(Promise.PRESERVES, (Subject(path, function="go"),), parameter=parameter)
    return Job(contract, {path: Source.read(path)}, EditSet(), EditSet())


def call(verifier: Verifier, folder: Path, body: str) -> dict[str, Any]:
    """Write a module whose `go` is `body`, have it called, and return what came of it."""
    outcome: dict[str, Any] = call_both(verifier, folder, body)["before"]
    return outcome


def call_both(verifier: Verifier, folder: Path, body: str, parameter: str | None = None) -> dict[str, Any]:
    """The same for both sides; they may share a process if the `parameter` is "together"."""
    path = folder / "target.py"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    path.write_text(f"import ctypes, os, shutil, socket, subprocess, sys\nimport torch\n\ndef go():\n{lines}")
    verification: Verification = verifier.verify(job(path, parameter=parameter))
    assert verification.reason == "called", verification
    return verification.evidence


def descendants(pid: int) -> list[int]:
    """A process's children, then theirs, from the process table."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):  # it ended while we looked
                continue
    found = [pid]
    for ancestor in found:  # the list grows while we walk it
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int], patience: float = 20) -> set[int]:
    """Wait for processes to end and return those that have not."""
    give_up = time.monotonic() + patience
    while (left := set(filter(alive, pids))) and time.monotonic() < give_up:
        time.sleep(0.05)
    return left


def interpreter(folder: Path, command: str) -> Path:
    """Write a stand-in for a Python interpreter; `{python}` in the command is the real one."""
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{command.format(python=sys.executable)}\n")
    script.chmod(0o755)
    return script
