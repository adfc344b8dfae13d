"""Shows the tool at work on a copy of this folder: the diff with its verdicts, then the fixes written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COPY = HERE.parent / ".demo"
FIXER = [sys.executable, "-m", "fixer"]


def show(title: str, *arguments: str) -> int:
    """Print a command and run it in the copy; returns its exit status."""
    print(f"\n$ fixer {' '.join(arguments)}    # {title}", flush=True)
    return subprocess.run([*FIXER, *arguments], cwd=COPY, check=False).returncode


def main() -> int:
    """Copy, preview, fix, check; returns 0 if every shipped anti-pattern was fixed."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(HERE, COPY, ignore=shutil.ignore_patterns("demo.py", "__pycache__"))
    (COPY / "pyproject.toml").write_text("[tool.fixer]\n")  # the copy is a project of its own
    show("what would change, and what running it before and after showed", "apply", "--dry-run", ".")
    written = show("the same, written", "apply", ".")
    left = show("nothing is left", "check", ".")
    print(f"\nThe fixed copy is in {COPY.relative_to(Path.cwd()) if COPY.is_relative_to(Path.cwd()) else COPY}.")
    return written or left


if __name__ == "__main__":
    sys.exit(main())
