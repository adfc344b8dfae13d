"""Small git repositories for the tests of `verify --against`."""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

_NOBODY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


class Repo:
    """A repository with a working tree in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """Run git, as somebody."""
        identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@localhost")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **_NOBODY},
        )
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        """Write Python files; two underscores in a name stand for a slash."""
        for name, text in files.items():
            self.file(f"{name.replace('__', '/')}.py", textwrap.dedent(text))

    def file(self, name: str, text: str | bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a piece of text that a file holds once."""
        path = self.folder / name
        text = path.read_bytes().decode()
        assert text.count(old) == 1
        path.write_bytes(text.replace(old, new).encode())

    def commit(self) -> str:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-qm", "a state", "--allow-empty")
        return self.git("rev-parse", "HEAD")
