"""Runs the command line as users do: in a process of its own, with the toy rules as a plug-in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
        done = subprocess.run(
            [sys.executable, "-m", "fixer", *arguments],
            cwd=self.folder,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env=self.environment(**environment),
            timeout=120,
        )
        return Result(done)


class Result:
    """What a run printed and how it ended."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.raw = done.stdout
        self.err = done.stderr.decode()
        assert "Traceback" not in self.err, self.err

    @property
    def out(self) -> str:
        return self.raw.decode()
