"""What git knows of a tree at a revision; nothing is checked out, and the repository is only read.

Files are compared by the names that git gives to contents, computed here: git's own comparison would run
the filters that a repository configures.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fixer.discovery import absolute
from fixer.source import MAX_BYTES

_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""What git sets where it calls a hook; another folder's repository is another one."""
_QUIET = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_SPARSE = "S"
_FILE_MODES = (b"100644", b"100755")


class GitError(Exception):
    """Git cannot say what is asked of it. The message is one line with the remedy."""


@dataclass(frozen=True)
class Repository:
    """A git repository with a working tree."""

    root: Path
    """The top folder, spelled as the user spells it."""

    @classmethod
    def around(cls, folder: Path) -> Repository:
        """The repository that a folder lies in."""
        up = _git(
            folder, "rev-parse", "--show-cdup", failure=f"{folder} is not in a git repository with files"
        )
        return cls(Path(absolute(folder / os.fsdecode(up.rstrip(b"\n")))))

    def commit(self, revision: str) -> str:
        """The full name of the commit that a revision stands for."""
        if revision.startswith("-") or not revision.strip() or "\0" in revision:
            raise GitError(f"{revision!r} is no git revision; name a commit, branch or tag")
        wanted = f"{revision}^{{commit}}"
        try:
            return _git(self.root, "rev-parse", "--verify", "--quiet", wanted).decode().strip()
        except GitError:
            shallow = _git(self.root, "rev-parse", "--is-shallow-repository").strip() == b"true"
            remedy = "this clone is shallow: `git fetch --unshallow`" if shallow else "`git log` shows them"
            raise GitError(f"git knows no revision {revision!r} here; {remedy}") from None

    def tree(self, commit: str) -> dict[str, str]:
        """The Python files of a commit: their names below the root, and what git calls their contents."""
        listing = _git(self.root, "ls-tree", "-r", "-z", "--full-tree", commit)
        found = {}
        for entry in filter(None, listing.split(b"\0")):
            facts, _, name = entry.partition(b"\t")
            mode, _, content = facts.split()
            if mode in _FILE_MODES and name.endswith(b".py"):
                found[os.fsdecode(name)] = content.decode()
        return found

    def present(self) -> tuple[set[str], set[str]]:
        """The files of the working tree, without ignored ones; then those that a sparse checkout hides."""
        listing = _git(self.root, "ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard")
        entries = [os.fsdecode(entry) for entry in filter(None, listing.split(b"\0"))]
        hidden = {entry[2:] for entry in entries if entry[0] == _SPARSE}
        return {entry[2:] for entry in entries} - hidden, hidden

    def contents(self, names: Collection[str]) -> dict[str, bytes]:
        """The bytes that go by some of git's names; those that are not there, or too large, are left out."""
        asked = list(dict.fromkeys(names))
        answer = _git(self.root, "cat-file", "--batch", feed="".join(f"{name}\n" for name in asked).encode())
        found = {}
        position = 0
        for name in asked:
            end = answer.index(b"\n", position)
            *_, kind, last = answer[position:end].split()
            position = end + 1
            if kind == b"blob":
                size = int(last)
                if size <= MAX_BYTES:
                    found[name] = answer[position : position + size]
                position += size + 1
        return found


def changes(repository: Repository, commit: str) -> Iterator[tuple[str, bytes | None, bytes | None]]:
    """The Python files that differ between a commit and the working tree: name, bytes before and after.

    What only git or only the disk has is None on the other side. A file that git ignores belongs to both.
    """
    then = repository.tree(commit)
    present, hidden = repository.present()
    now = {name for name in present | then.keys() if name.endswith(".py")} - hidden
    data = {name: _bytes(repository.root / name) for name in now}
    differing = {
        name: then.get(name)
        for name in sorted(now)
        if (held := data[name]) is None or then.get(name) != _content_name(held, then)
    }
    before = repository.contents([content for content in differing.values() if content is not None])
    for name, content in differing.items():
        old = before.get(content) if content is not None else None
        if content is not None and old is None:
            raise GitError(f"{name}: git lacks its contents at {commit[:12]}; `git fetch` may get them")
        if old is not None or data[name] is not None:
            yield name, old, data[name]


def _content_name(data: bytes, known: Mapping[str, str]) -> str:
    """What git calls a file with these bytes, in the kind of name that the repository uses."""
    length = len(next(iter(known.values()), ""))
    made = hashlib.sha256 if length == 64 else hashlib.sha1
    return made(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _bytes(path: Path) -> bytes | None:
    """The bytes of a regular file, None where there is none."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def _git(folder: Path, *arguments: str, feed: bytes = b"", failure: str = "") -> bytes:
    """Run git in a folder; what it complains of, or `failure`, becomes a `GitError`."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=false", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - git is found on the user's own path, and takes no shell's words
            command, cwd=folder, input=feed, capture_output=True, check=False, env={**environment, **_QUIET}
        )
    except FileNotFoundError:
        if folder.is_dir():
            raise GitError("there is no `git` on the PATH; install it, or leave out --against") from None
        raise GitError(f"{folder}: there is no such folder; check the path") from None
    except OSError as error:
        raise GitError(f"git does not start ({error.strerror})") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        owned = next((line for line in said if "dubious ownership" in line), None)
        words = said[0].removeprefix("fatal: ") if said else "it says nothing"
        raise GitError(f"git: {owned or words}" if owned or not failure else failure)
    return done.stdout
