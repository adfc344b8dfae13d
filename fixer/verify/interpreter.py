"""Which Python runs the target's code."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_IN_ENVIRONMENT = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")


def find(asked: Path | None, root: Path, environment: Mapping[str, str]) -> Path:
    """The interpreter asked for, else the active or the project's own environment's, else ours.

    The path is not resolved: an environment's ``python`` is a link, and only the link finds its packages.
    """
    if asked is not None:
        return _asked(asked)
    folders = [environment.get("VIRTUAL_ENV"), root / ".venv", root / "venv", environment.get("CONDA_PREFIX")]
    for folder in folders:
        if folder and (python := Path(folder).joinpath(*_IN_ENVIRONMENT)).is_file():
            return python
    return Path(sys.executable)


def _asked(python: Path) -> Path:
    """An interpreter, the folder of an environment, or a command on the search path."""
    if python.is_dir():
        return python.joinpath(*_IN_ENVIRONMENT)
    found = shutil.which(python)
    return Path(found) if found else python
