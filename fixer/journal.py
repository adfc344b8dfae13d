"""Finish what a killed run has left half done: files of one fix of which only some were replaced.

Before the first of several files is replaced, a journal beside it names them all and where their old bytes
lie; it goes after the last. A run that finds a journal whose writer is gone puts the old bytes back.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from fixer.source import Source, SourceError

_CAN_LOCK = sys.platform != "win32"
if _CAN_LOCK:
    import fcntl

_SUFFIX = ".fixer-journal"
_KEYS = ("target", "temporary", "backup", "new", "old")


class Step(NamedTuple):
    """One file that is replaced, and the temporary files beside it."""

    target: Path
    temporary: Path
    """Takes the target's name."""
    backup: Path
    """Holds the old bytes."""
    new: bytes
    old: bytes


@contextmanager
def journal(steps: Sequence[Step]) -> Iterator[None]:
    """Keep a journal while several files are replaced."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=_SUFFIX, dir=steps[0].target.parent)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is open already
        try:
            if _CAN_LOCK:
                fcntl.flock(file, fcntl.LOCK_EX)  # until the process ends, however it ends
            json.dump([_entry(step) for step in steps], file)
            file.flush()
            os.fsync(file.fileno())
            yield
        finally:
            Path(name).unlink(missing_ok=True)


def restore(files: Collection[Path]) -> Iterator[SourceError]:
    """Undo what killed runs have left half done among `files`; yields what could not be undone."""
    if not _CAN_LOCK:
        return  # there is no telling whether a journal's writer is still at work
    known = {os.path.realpath(path) for path in files}
    for folder in sorted({Path(path).parent for path in known}):
        for path in sorted(folder.glob(f".*{_SUFFIX}")):
            yield from _restored(path, known)


def _restored(path: Path, known: Collection[str]) -> Iterator[SourceError]:
    """Act on one journal, unless its writer is at work."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield from _undo(_entries(file.read()), known)
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return
    except OSError as error:
        message = f"an earlier run was killed, and what it began cannot be undone ({error.strerror})"
        yield SourceError(path, f"{message}; restore the files beside it and delete it")


def _entry(step: Step) -> dict[str, str]:
    names = {"target": step.target, "temporary": step.temporary, "backup": step.backup}
    digests = {"new": _digest(step.new), "old": _digest(step.old)}
    return {**{key: str(path) for key, path in names.items()}, **digests}


def _entries(data: bytes) -> list[dict[str, str]]:
    """What a journal says; one that was cut short was written before anything was replaced."""
    try:
        entries = json.loads(data)
        return [{key: str(entry[key]) for key in _KEYS} for entry in entries]
    except (ValueError, TypeError, KeyError):
        return []


def _undo(entries: Iterable[dict[str, str]], known: Collection[str]) -> Iterator[SourceError]:
    """Put old bytes back where the new ones lie; a journal has no say over files that nobody named."""
    for entry in entries:
        target, backup, temporary = (Path(entry[key]) for key in ("target", "backup", "temporary"))
        beside = backup.parent == temporary.parent == target.parent
        if str(target) not in known or not beside or _digest_of(backup) != entry["old"]:
            continue
        found = _digest_of(target)
        if found not in (entry["old"], entry["new"]):
            message = "was changed after a run that rewrote it was killed; its text before both is in"
            yield SourceError(target, f"{message} {backup.name}")
            continue
        if found == entry["new"]:
            backup.replace(target)
        for leftover in (temporary, backup):
            leftover.unlink(missing_ok=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of(path: Path) -> str | None:
    with suppress(SourceError):
        return _digest(Source.read(path).data)
    return None
