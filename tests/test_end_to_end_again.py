"""Runs after runs: the second changes nothing, a killed one loses nothing, others' edits are kept."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from fixer import apply as applying
from fixer.outcome import Plan
from tests.command import Cli
from tests.golden import GOLDEN, cases, read, write

EXAMPLES = GOLDEN.parent / "examples"
QUICKLY = ("apply", "--verify=off", "--unsafe-fixes")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file was written, and which file it is: one that is written anew is another."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.rglob("*")
        if path.is_file()
    }


def settles(cli: Cli, *command: str) -> None:
    """Check that a command changes something, that its output compiles, and that it changes nothing again."""
    before = read(cli.folder)
    cli(*command)
    after, stamped = read(cli.folder), stamps(cli.folder)
    assert after != before
    assert after.keys() == before.keys()
    for name, data in after.items():
        if name.endswith(".py"):
            compile(data, name, "exec")
    cli(*command)
    assert (read(cli.folder), stamps(cli.folder)) == (after, stamped)


def test_second_run_over_the_examples_changes_nothing(cli: Cli) -> None:
    shutil.copytree(EXAMPLES, cli.folder, dirs_exist_ok=True)
    settles(cli, *QUICKLY)


def test_second_run_over_all_golden_cases_in_one_tree_changes_nothing(cli: Cli) -> None:
    for case in cases():
        write(case.before, cli.folder / case.name)
    settles(cli, *QUICKLY)


@pytest.mark.slow
def test_second_verified_run_over_the_examples_changes_nothing(cli: Cli) -> None:
    shutil.copytree(EXAMPLES, cli.folder, dirs_exist_ok=True)
    settles(cli, "apply", "--no-cache", "--python", sys.executable)


# Somebody else writes too


def meanwhile(act: Callable[[], object]) -> mock._patch[Callable[[Plan], Plan]]:
    """Have `act` happen after all files were read and before the first is written."""
    real = applying.execute

    def execute(plan: Plan) -> Plan:
        act()
        return real(plan)

    return mock.patch.object(applying, "execute", execute)


def test_file_edited_in_between_is_left_and_the_others_are_written(cli: Cli) -> None:
    paths = [cli.file(f"net{number}.py", NET.format(number=number)) for number in range(3)]
    with meanwhile(lambda: paths[1].write_text("mine = 1\n")):
        result = cli(*QUICKLY)
    assert paths[1].read_text() == "mine = 1\n"
    assert all("def backward" not in path.read_text() for path in paths)
    complaint, *_ = result.err.splitlines()
    assert complaint == "fixer: net1.py: changed since it was read; run again"
    assert result.err.count("net1.py") == 1
    assert result.code == 2


@pytest.mark.parametrize("edited", ["gate.py", "train.py"])
def test_files_of_one_fix_are_left_together(cli: Cli, edited: str) -> None:
    cli.file("net.py", NET.format(number=0))
    texts = {"gate.py": GATE.format(number=0), "train.py": TRAIN.format(number=0).replace("gate0", "gate")}
    paths = {name: cli.file(name, text) for name, text in texts.items()}
    with meanwhile(lambda: paths[edited].write_text("mine = 1\n")):
        result = cli(*QUICKLY)
    assert {name: path.read_text() for name, path in paths.items()} == {**texts, edited: "mine = 1\n"}
    assert "def backward" not in (cli.folder / "net.py").read_text()
    assert result.err.splitlines()[0] == f"fixer: {edited}: changed since it was read; run again"


def test_file_deleted_in_between_is_not_brought_back(cli: Cli) -> None:
    path = cli.file("net.py", NET.format(number=0))
    with meanwhile(path.unlink):
        result = cli(*QUICKLY)
    assert not path.exists()
    assert result.err.splitlines()[0] == "fixer: net.py: there is no such file; check the path"


# Kills


NET = """\
from torch import nn


class Net{number}(nn.Module):
    def forward(self, x):
        return x

    def backward(self, grad):
        return grad
"""
GATE = """\
import torch
from torch import nn


class Gate{number}(nn.Module):
    def __init__(self):
        super().__init__()
        self.width = nn.Parameter(torch.rand(4))

    def forward(self, x):
        self.width.data.clamp_(0, 1)
        return x * self.width
"""
TRAIN = """\
import torch

from gate{number} import Gate{number}

gate = Gate{number}()
optimizer = torch.optim.Adam(gate.parameters())
"""


def plant(folder: Path) -> None:
    """Twenty files with a fix each, and twenty pairs that a fix joins."""
    for number in range(20):
        for name, text in {"net": NET, "gate": GATE, "train": TRAIN}.items():
            (folder / f"{name}{number}.py").write_text(text.format(number=number))


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.py")}


@pytest.mark.slow
def test_files_are_whole_after_a_kill_and_the_next_run_finishes(cli: Cli) -> None:
    plant(cli.folder)
    old = texts(cli.folder)
    assert cli(*QUICKLY).code == 0
    new = texts(cli.folder)
    assert sum(old[name] != new[name] for name in old) == 60
    chance = random.Random(0)
    half_done = 0
    for _ in range(20):
        plant(cli.folder)
        kill_while_writing(cli, chance.uniform(0, 0.06))
        found = texts(cli.folder)
        assert all(text in (old[name], new[name]) for name, text in found.items())
        half_done += old != found != new
        assert cli(*QUICKLY).code == 0
        assert texts(cli.folder) == new
        assert not list(cli.folder.glob(".*.fixer-journal"))
    assert half_done > 5, "the kills came at other times than meant"


def kill_while_writing(cli: Cli, delay: float) -> None:
    """Start the command, wait for the first temporary file, and some more, and kill it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fixer", *QUICKLY],
        cwd=cli.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=cli.environment(),
    )
    known = set(cli.folder.glob(".*.tmp"))
    while process.poll() is None and known.issuperset(cli.folder.glob(".*.tmp")):
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
