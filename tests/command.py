"""Runs the command line with the toy rules as a plug-in, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from fixer.cli import main

PLUGIN = Path(__file__).parent / "plugin"

NET = """\
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(3, 2)

    def forward(self, x):
        x = self.lin(x)
        return {}
"""


def net(expression: str) -> str:
    """A module whose forward returns the expression."""
    return NET.format(expression)


class Cli:
    """The command in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.plugin = folder / "plugin"
        info = self.plugin / "toys-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[fixer.codemods]\ntoys = toy_rules\n")

    def file(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def environment(self, **given: str) -> dict[str, str]:
        hidden = ("NO_COLOR", "FORCE_COLOR", "VIRTUAL_ENV", "PYTHONPATH", "COLUMNS")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {**kept, "PYTHONPATH": f"{self.plugin}{os.pathsep}{PLUGIN}", "PYTHONUTF8": "1", **given}

    def __call__(self, *arguments: str, stdin: str | bytes = b"", **environment: str) -> Result:
        """Run the entry point in this process."""
        data = io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin)
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        paths = [str(self.plugin), str(PLUGIN)]
        with (
            mock.patch.multiple(sys, argv=["fixer", *arguments], stdin=io.TextIOWrapper(data), stdout=out),
            mock.patch.multiple(sys, stderr=err, path=[*paths, *sys.path]),
            mock.patch.dict(os.environ, self.environment(**environment), clear=True),
            _inside(self.folder),
            pytest.raises(SystemExit) as leaving,
        ):
            main()
        return Result(leaving.value.code, _printed(out), _printed(err))

    def process(self, *arguments: str, **environment: str) -> Result:
        """Run the command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "fixer", *arguments],
            cwd=self.folder,
            capture_output=True,
            env=self.environment(**environment),
            timeout=120,
        )
        return Result(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _printed(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


class Result:
    """What a run printed and how it ended."""

    def __init__(self, code: object, out: bytes, err: bytes) -> None:
        self.code = code
        self.raw = out
        self.err = err.decode()
        assert "Traceback" not in self.err, self.err

    @property
    def out(self) -> str:
        return self.raw.decode()
