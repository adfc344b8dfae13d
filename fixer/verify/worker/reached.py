"""What a process has looked at outside of its request: a verdict holds for as long as that stays the same."""

from __future__ import annotations

import functools
import importlib.util
import os
import site
import sysconfig
from contextlib import contextmanager, suppress
from typing import Any, Callable, Iterator

from . import places
from .frames import Message

_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/run")


class _Reached:
    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.folders: dict[str, None] = {}
        self.calls: dict[tuple[str, str], list[str]] = {}
        self.hurried = False
        self.asleep = False


_reached = _Reached()


@functools.lru_cache(maxsize=1)
def environment() -> list[str]:
    """The folders of this interpreter's own libraries."""
    paths = sysconfig.get_paths()
    found = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    found.update(getattr(site, "getsitepackages", list)())
    found.add(site.getusersitepackages() if hasattr(site, "getusersitepackages") else "")
    return sorted({os.path.realpath(path) for path in found if path and os.path.isdir(path)})


def forget() -> None:
    """Begin anew, for another job."""
    global _reached
    _reached = _Reached()


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Take notice of an audit event that reads something."""
    if _reached.asleep:
        return
    if event in ("os.listdir", "os.scandir"):
        _keep(_reached.folders, arguments[0] if arguments[0] is not None else os.curdir)
    elif event == "open":
        _keep(_reached.files, arguments[0])
    elif event == "import":
        _keep(_reached.files, arguments[1])


def _keep(kept: dict[str, None], path: Any) -> None:
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    name = os.path.abspath(os.fsdecode(path))
    if name.endswith(".pyc"):  # it stands for its source, which is not opened then
        with suppress(ValueError, NotImplementedError):
            name = importlib.util.source_from_cache(name)
    kept[name] = None


@contextmanager
def searching() -> Iterator[None]:
    """Do not note what a search through the tree reads: `called` says what came of it."""
    _reached.asleep = True
    try:
        yield
    finally:
        _reached.asleep = False


def called(top: str, name: str, files: list[str]) -> None:
    """Note which files below a folder call a name."""
    _reached.calls[top, name] = files


def hurry() -> None:
    """Note that time ran out for something: another run might come further."""
    _reached.hurried = True


def outside_libraries(job: Message) -> Callable[[str], bool]:
    """Build a function that tells whether a path is neither ours nor one of the interpreter's libraries."""
    scratch = os.path.join(places.real(job["scratch"]), "")
    ours = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
    roots = [places.real(root) for root in (*job["roots"], *job["siblings"])]
    libraries = [os.path.join(folder, "") for folder in environment()]

    def outside(path: str) -> bool:
        real = os.path.join(places.real(path), "")
        if real.startswith((scratch, ours)) or path.startswith(_SYSTEM):
            return False
        own = [folder for folder in libraries if real.startswith(folder)]
        nearest = max(own, key=len, default="")
        # A tree under `site-packages` is the target's own if it is what verification is about.
        return not own or any(os.path.join(root, "").startswith(nearest) for root in roots)

    return outside


def told(job: Message) -> Message:
    """All of it as plain data, without what comes with the interpreter."""
    counts = outside_libraries(job)
    return {
        "files": [path for path in _reached.files if counts(path)],
        "folders": [path for path in _reached.folders if counts(path)],
        "calls": [[top, name, files] for (top, name), files in _reached.calls.items()],
        "hurried": _reached.hurried,
    }


def joined(parts: list[Message]) -> Message:
    """What several processes have reached, as if it were one."""
    found: Message = {"files": [], "folders": [], "calls": [], "hurried": False, "lost": False}
    for part in parts:
        for kind in ("files", "folders", "calls"):
            found[kind] += [item for item in part[kind] if item not in found[kind]]
        found["hurried"] = found["hurried"] or part["hurried"]
        found["lost"] = found["lost"] or part.get("lost", False)
    return found
