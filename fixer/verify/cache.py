"""Verdicts that are kept from run to run, for as long as nothing that they rest on has changed.

The key is the question: the request with both texts, the interpreter with its libraries, and the code of
verification itself. What the processes of the target looked at beyond it is known only afterwards. So it lies
in the entry, and has to be found unchanged: files, listed folders, and which files of the tree call a name.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import json
import os
import platform
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fixer import __version__
from fixer.contract import Verdict, Verification
from fixer.verify.worker.calling import files_calling, forget

FOLDER = ".fixer_cache"
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by fixer, which can do without it at any time.\n"
_MOST_ENTRIES = 4000
_MOST_BYTES = 64 << 20
_MOST_BYTES_OF_ONE = 1 << 20
_MARGIN = 10_000_000
"""Nanoseconds by which a file system's clock may lag."""
_MODULES = (".py", ".so", ".pyd")
_METADATA = (".dist-info", ".egg-info", ".egg-link", ".pth")
_PASSING = ("memory", "MemoryError", "ran out of time", "was ended", "died", "ended early", "in time")
"""Words of reasons that another run need not have."""


class VerdictCache:
    """The verdicts of one project and one interpreter; broken or foreign entries are as good as none."""

    def __init__(self, folder: Path, python: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._python = python
        self._environment = dict(environment)
        self._libraries: dict[str, Any] | None = None
        self._identity = ""
        self._written = 0
        self._digests: dict[tuple[str, int, int], str] = {}

    def look_again(self) -> None:
        """Take nothing for granted that was seen for earlier questions: the tree may have changed since."""
        forget()

    @property
    def knows_interpreter(self) -> bool:
        """Whether it is known, without starting it, what the interpreter is and holds."""
        if self._libraries is None:
            kept = _read(self._interpreter_file)
            if kept is not None and kept.get("state") == self._state_of(kept):
                self._introduce(kept)
        return self._libraries is not None

    def introduce(self, hello: Mapping[str, Any]) -> None:
        """Take down what a worker that has just started says of itself."""
        kept = {name: hello.get(name) for name in ("ready", "python", "libraries")}
        kept["state"] = self._state_of(kept)
        self._introduce(kept)
        self._write(self._interpreter_file, kept)

    def key(self, request: Mapping[str, Any]) -> str:
        """The name of the entry for a request."""
        asked = {name: value for name, value in request.items() if name != "id"}
        return _digest([asked, self._identity, self._environment, __version__, _code()])

    def get(self, key: str) -> Verification | None:
        """The verdict, if it would be the same today."""
        entry = _read(self._entry_file(key))
        try:
            if entry is None or not self._still_holds(entry["reached"]):
                return None
            answer = entry["answer"]
            evidence = {**answer["evidence"], "cached": True}
            found = Verification(Verdict(answer["verdict"]), str(answer["reason"]), evidence)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._entry_file(key))  # what is used is kept longest
        return found

    def put(self, key: str, answer: Mapping[str, Any], asked_at: int) -> None:
        """Keep an answer to a question of that time (in nanoseconds), if it would be given again."""
        reached = answer.get("reached")
        if not reached or reached["lost"] or _is_passing(answer, reached):
            return
        folders = [path for path in reached["folders"] if Path(path) != self._folder.parent]
        if any(_changed_at(path) > asked_at - _MARGIN for path in (*reached["files"], *folders)):
            return  # it may have been read before or after
        held = {
            "files": {path: self._file(path) for path in reached["files"]},
            "folders": {path: _listing(path) for path in reached["folders"]},
            "calls": reached["calls"],
        }
        plain = {name: answer[name] for name in ("verdict", "reason", "evidence")}
        self._write(self._entry_file(key), {"reached": held, "answer": plain})
        self._written += 1

    def close(self) -> None:
        """Throw out what has not been used for longest, if there is too much."""
        if not self._written:
            return
        self._written = 0
        with contextlib.suppress(OSError):
            entries = sorted(
                ((path.stat(), path) for path in self._folder.glob("v1/*.json")),
                key=lambda entry: -entry[0].st_mtime_ns,
            )
            room = _MOST_BYTES
            for index, (status, path) in enumerate(entries):
                room -= status.st_size
                if index >= _MOST_ENTRIES or room < 0:
                    path.unlink(missing_ok=True)

    def _introduce(self, kept: dict[str, Any]) -> None:
        self._libraries = kept
        self._identity = _digest([str(self._python), kept])

    def _state_of(self, kept: Mapping[str, Any]) -> list[Any]:
        """What changes when another Python is installed, or packages of it are."""
        with contextlib.suppress(OSError):
            binary = self._python.stat()
            return [
                [binary.st_size, binary.st_mtime_ns, platform.machine(), platform.system()],
                *([path, _installed(path)] for path in kept.get("libraries") or ()),
            ]
        return [None]

    def _still_holds(self, reached: Mapping[str, Any]) -> bool:
        return (
            all(self._file(path) == held for path, held in reached["files"].items())
            and all(_listing(path) == held for path, held in reached["folders"].items())
            and all(files_calling(top, name) == files for top, name, files in reached["calls"])
        )

    def _file(self, path: str) -> str | None:
        """A file's content in short; None if there is no such file."""
        try:
            status = Path(path).stat()
            seen = (path, status.st_mtime_ns, status.st_size)
            if seen not in self._digests:
                self._digests[seen] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            return self._digests[seen]
        except OSError:
            return None

    @property
    def _interpreter_file(self) -> Path:
        return self._folder / "v1" / f"python-{_digest(str(self._python))[:16]}"

    def _entry_file(self, key: str) -> Path:
        return self._folder / "v1" / f"{key}.json"

    def _write(self, path: Path, value: Any) -> None:
        """Write a file whole or not at all; where that cannot be, there is no cache."""
        with contextlib.suppress(OSError, ValueError):
            text = json.dumps(value, allow_nan=False)
            data = json.dumps({"seal": _seal(text), "text": text}).encode()
            if len(data) > _MOST_BYTES_OF_ONE:
                return
            _make(self._folder)
            path.parent.mkdir(exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix="new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise


def clean(top: Path) -> list[Path]:
    """Remove the caches in a folder and below; those that were there."""
    import shutil

    removed = []
    for folder, inner, _ in os.walk(top):
        if FOLDER in inner and (Path(folder) / FOLDER / "CACHEDIR.TAG").is_file():
            shutil.rmtree(Path(folder) / FOLDER, ignore_errors=True)
            removed.append(Path(folder) / FOLDER)
        inner[:] = [name for name in inner if not name.startswith(".") and name != "node_modules"]
    return removed


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir()
        (folder / ".gitignore").write_text("*\n", "utf-8")
        (folder / "CACHEDIR.TAG").write_text(_TAG, "utf-8")


def _is_passing(answer: Mapping[str, Any], reached: Mapping[str, Any]) -> bool:
    """Whether nothing could be shown for a reason that another run need not have."""
    if answer["verdict"] != Verdict.UNVERIFIED.value:
        return False
    return bool(reached["hurried"]) or any(words in str(answer["reason"]) for words in _PASSING)


def _read(path: Path) -> dict[str, Any] | None:
    """What `_write` wrote; None for anything else."""
    try:
        found = json.loads(path.read_bytes())
        text = found["text"]
        value = json.loads(text) if hmac.compare_digest(found["seal"], _seal(text)) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _seal(text: str) -> str:
    """What only this user can put below a text: a checkout must not bring verdicts with it."""
    return hmac.new(_secret(), text.encode(), "sha256").hexdigest()


def _secret() -> bytes:
    """The user's own key, made at first use; raises `OSError` where it cannot be kept."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch-fixer"
    except RuntimeError as error:
        raise FileNotFoundError("the user has no home") from error
    path = folder / "key"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder)
        try:
            os.write(descriptor, secrets.token_bytes(32))
            os.close(descriptor)
            os.link(temporary, path)  # whole, and only if there is none yet
        finally:
            Path(temporary).unlink()
    return path.read_bytes()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@functools.cache
def _code() -> str:
    """The code that decides, in short."""
    seen = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        seen.update(path.read_bytes())
    return seen.hexdigest()


def _changed_at(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _listing(path: str) -> str | None:
    """What can be imported from a folder, in short; None if it is none."""
    try:
        with os.scandir(path) as entries:
            names = [item.name for item in entries if item.name.endswith(_MODULES) or item.is_dir()]
    except OSError:
        return None
    return _digest(sorted(name for name in names if name != "__pycache__" and not name.startswith(".")))


def _installed(path: str) -> str | None:
    """What a folder of libraries holds: names, and when their metadata was written."""
    try:
        with os.scandir(path) as entries:
            return _digest(sorted(_entry(entries)))
    except OSError:
        return None


def _entry(entries: Iterable[os.DirEntry[str]]) -> Iterable[tuple[str, int]]:
    for entry in entries:
        if entry.name != "__pycache__":
            yield entry.name, entry.stat().st_mtime_ns if entry.name.endswith(_METADATA) else 0
