"""Published packages to try things on: downloaded once, unpacked into a cache folder, never installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "torch-fixer" / "corpus"


def fetch(name: str, version: str) -> Path:
    """The folder of an unpacked package, downloaded once."""
    folder = CACHE / f"{name}-{version}"
    if folder.is_dir():
        return folder
    downloads = CACHE / "downloads" / name
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--dest", str(downloads), f"{name}=={version}"], check=True)
    archive = next(path for path in downloads.iterdir() if version in path.name)
    partial = folder.with_name(folder.name + ".partial")
    if archive.suffix == ".whl" or archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(partial)
    else:
        with tarfile.open(archive) as source:
            source.extractall(partial, filter="data")
    inner = list(partial.iterdir())
    top = inner[0] if len(inner) == 1 and inner[0].is_dir() and archive.suffix != ".whl" else partial
    top.rename(folder)
    return folder
