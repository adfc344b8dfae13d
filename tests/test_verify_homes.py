"""Code that writes into the user's home when it is imported."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

RUN = """
import json, os, sys, tempfile
from fixer.verify.worker import guard, overlay
home, scratch, path = sys.argv[1:]
os.environ["HOME"] = home
for name in ("HF_HOME", "TORCH_HOME"):
    os.environ.pop(name, None)
tempfile.tempdir = scratch
overlay.install({}, [], [])
sys.addaudithook(guard.hook(scratch))
try:
    said = overlay.load(path).SETTINGS
except OSError as error:
    said = f"{type(error).__name__}: {error}"
print(json.dumps([said, os.environ.get("TORCH_HOME", "")]))
"""


def imported(folder: Path, text: str) -> list[str]:
    """What a file's SETTINGS are where it is imported and may only write to the scratch folder."""
    for name in ("home", "scratch"):
        (folder / name).mkdir()
    file = folder / "net.py"
    file.write_text(textwrap.dedent(text))
    places = [str(folder / "home"), str(folder / "scratch"), str(file)]
    done = subprocess.run([sys.executable, "-B", "-c", RUN, *places], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    answer: list[str] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_a_package_that_makes_a_folder_in_the_home_is_imported_with_another_one(tmp_path: Path) -> None:
    text = """
        import os
        SETTINGS = os.path.expanduser("~/.settings")
        try:
            os.makedirs(SETTINGS)
        except OSError as error:
            raise RuntimeError("cannot keep settings") from error
    """
    said, weights = imported(tmp_path, text)
    assert said == str(tmp_path / "scratch" / "home" / ".settings")
    assert weights == str(tmp_path / "home" / ".cache" / "torch")
    assert not list((tmp_path / "home").iterdir())


def test_what_is_written_elsewhere_is_refused_as_before(tmp_path: Path) -> None:
    said, weights = imported(tmp_path, "import os\nSETTINGS = os.makedirs('/usr/settings')")
    assert said == "PermissionError: verification refuses to write /usr/settings"
    assert not weights
