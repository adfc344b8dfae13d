"""What is built: the wheel holds the tool and nothing else, and works where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LITTER = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "node_modules")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT, folder / "tree", ignore=LITTER)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), "."]
    run = subprocess.run(command, cwd=folder / "tree", capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    (file,) = built.glob("*.whl")
    return set(zipfile.ZipFile(file).namelist())


def sources(folder: str, name: str) -> set[str]:
    """The files of a package, as the wheel should name them."""
    files = (path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".json", ".typed"))
    return {f"{name}/{path.relative_to(ROOT / folder).as_posix()}" for path in files}


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: set[str]) -> None:
    content = {name for name in wheel if ".dist-info/" not in name}
    assert content == sources("fixer", "fixer") | sources("codemods", "fixer_codemods")


def test_what_is_easily_forgotten_is_in_the_wheel(wheel: set[str]) -> None:
    assert {"fixer/py.typed", "fixer/facts/torch_facts.json", "fixer_codemods/module_backward.py"} <= wheel
    assert {"fixer/verify/worker/__main__.py", "fixer/verify/worker/synthesis/__init__.py"} <= wheel


def test_the_license_is_in_the_wheel(wheel: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)


def test_the_source_distribution_can_be_tested(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"Makefile", "ARCHITECTURE.md", "tests/rules.py", "examples/demo.py", "tools/pages.py"}
    assert wanted <= names
    assert not any("__pycache__" in name or name.startswith(".") for name in names)


def test_the_installed_wheel_finds_its_rules_and_its_worker(built: Path, tmp_path: Path) -> None:
    """In a folder with a `codemods` of its own, without this checkout on the import path."""
    (file,) = built.glob("*.whl")
    site = tmp_path / "site-packages"
    zipfile.ZipFile(file).extractall(site)
    project = tmp_path / "project"
    (project / "codemods").mkdir(parents=True)
    (project / "codemods" / "__init__.py").write_text("raise RuntimeError('not the ones that were meant')\n")
    shutil.copy(ROOT / "examples" / "layers" / "manual_backward.py", project)
    dependencies = str(Path(pytest.__file__).parent.parent)
    script = (
        "import sys, fixer, fixer.cli\n"
        f"assert fixer.__file__.startswith({str(site)!r}), fixer.__file__\n"
        "sys.argv = ['fixer', 'verify', '--output-format=concise', 'manual_backward.py']\n"
        "fixer.cli.main()\n"
    )
    command = [sys.executable, "-S", "-c", script]
    environment = {"PYTHONPATH": f"{site}{os.pathsep}{dependencies}"}
    run = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120)
    assert run.stdout.startswith("manual_backward.py:18:5: PRM301"), run.stderr
    assert run.stderr == "Tried 1 fix: 1 equivalent.\n"
    assert run.returncode == 0
