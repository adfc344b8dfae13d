"""Holds the code to ARCHITECTURE.md: who imports whom, what is never imported, what is packaged."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
WORKER = ROOT / "fixer" / "verify" / "worker"
FOR_CODEMODS = ("fixer.rule", "fixer.facts", "fixer.rewrite")
NET = """\
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        return x

    def backward(self, grad):
        return grad
"""


def layers() -> dict[str, int]:
    """The table of rooms in ARCHITECTURE.md."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    return {room: int(layer) for layer, room in re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE)}


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path, package: str = "") -> Iterator[str]:
    """The dotted names that a file imports anywhere in it, relative ones below `package`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = ".".join(filter(None, [package if node.level else "", node.module]))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "fixer").parts[0].removesuffix(".py")


def below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_every_room_has_a_place_in_the_house() -> None:
    rooms = {room_of(path) for path in python_files("fixer")} - {"__init__", "__main__", "_version"}
    assert rooms == layers().keys()


@pytest.mark.parametrize("room", layers())
def test_rooms_import_downwards_only(room: str) -> None:
    height = layers()
    files = [path for path in python_files("fixer") if room_of(path) == room and WORKER not in path.parents]
    upwards = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imported(path)
        if name.startswith("fixer.")
        and (other := name.split(".")[1]) in height
        and other != room
        and height[other] >= height[room]
    ]
    assert upwards == []


def test_codemods_import_three_rooms_of_the_tool() -> None:
    for path in python_files("codemods"):
        for name in imported(path, "fixer_codemods"):
            if below(name, ("fixer", "codemods")):
                assert below(name, FOR_CODEMODS), f"{path.name} imports {name}"


def test_the_tool_imports_no_codemod() -> None:
    for path in python_files("fixer"):
        for name in imported(path, "fixer"):
            assert not below(name, ("codemods", "fixer_codemods")), f"{path} imports {name}"


def test_one_file_parses_with_libcst() -> None:
    files = [*python_files("fixer"), *python_files("codemods")]
    using = {path for path in files if any(below(name, ("libcst",)) for name in imported(path))}
    assert using == {ROOT / "fixer" / "rewrite" / "layout.py"}


@pytest.mark.parametrize(
    "path", sorted(WORKER.rglob("*.py")), ids=lambda path: path.relative_to(WORKER).as_posix()
)
def test_the_worker_stands_alone(path: Path) -> None:
    """It runs where there is torch and the standard library, and nothing of this project beside itself."""
    tree = ast.parse(path.read_text("utf-8"))
    depth = len(path.relative_to(WORKER).parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level <= depth
    for name in imported(path, "_fixer_worker"):
        top = name.split(".")[0]
        assert top in {"torch", "_fixer_worker", *sys.stdlib_module_names}, f"{path.name} imports {name}"


def loaded_by(folder: Path, *arguments: str) -> set[str]:
    """The top-level packages that a run of the command has imported by its end."""
    script = (
        "import sys\n"
        "from fixer.cli import main\n"
        f"sys.argv = ['fixer', *{arguments!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print('LOADED', *{name.split('.')[0] for name in sys.modules})\n"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert "Traceback" not in run.stderr, run.stderr
    return set(run.stdout.rpartition("LOADED")[2].split())


def test_the_version_is_said_without_loading_anything(tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "--version")
    assert "fixer" in loaded
    assert loaded.isdisjoint({"libcst", "torch", "fixer_codemods", "rich"})


@pytest.mark.parametrize(
    "command", [("check",), ("apply", "--verify=off"), ("rules",), ("explain", "PRM301")], ids=" ".join
)
def test_torch_is_not_imported(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    loaded = loaded_by(tmp_path, *command)
    assert "fixer_codemods" in loaded
    assert "torch" not in loaded
    assert ("backward" not in (tmp_path / "net.py").read_text()) == (command[0] == "apply")


def test_somebody_elses_codemods_do_not_hide_ours(tmp_path: Path) -> None:
    """`python -m fixer` puts the working folder first on the import path."""
    (tmp_path / "codemods").mkdir()
    (tmp_path / "codemods" / "__init__.py").write_text("raise RuntimeError('not the ones that were meant')\n")
    (tmp_path / "net.py").write_text(NET)
    command = [sys.executable, "-m", "fixer", "check", "--output-format=concise"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stdout.split(":")[0]) == (1, "net.py"), run.stderr


def test_every_package_is_in_the_wheel() -> None:
    """`pyproject.toml` lists packages by name, because `codemods` is installed under another one."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for top in ("fixer", "codemods") for path in python_files(top)}
    names = {".".join(folder.parts).replace("codemods", "fixer_codemods", 1) for folder in folders}
    assert names == set(listed)
