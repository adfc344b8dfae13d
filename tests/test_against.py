"""`fixer verify --against`: what people see of what they changed by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.command import Cli, Result
from tests.repo import Repo

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return {}
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    repo = Repo(made.folder)
    repo.file(
        "pkg/net.py",
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n        return x\n",
    )
    repo.file("other.py", "x = 1\n")
    repo.commit()
    return made


def sentence(result: Result) -> tuple[object, str, str]:
    return result.code, result.out, result.err.strip()


def test_nothing_changed(cli: Cli) -> None:
    assert sentence(cli("verify", "--against", "HEAD")) == (0, "", "Nothing changed since HEAD.")


def test_no_model_changed(cli: Cli) -> None:
    cli.file("other.py", "x = 2\n")
    told = "1 file changed since HEAD; nothing that an nn.Module uses did."
    assert sentence(cli("verify", "--against", "HEAD")) == (0, "", told)
    assert cli("verify", "--against", "HEAD", "pkg").err.strip() == "Nothing changed since HEAD."


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--against", "nowhere"], "git knows no revision 'nowhere' here"),
        (["--against", "HEAD", "missing.py"], "there is no such file, and there was none at HEAD"),
        (["--against", "HEAD", "-"], "standard input is in none"),
        (["--against", "HEAD", "/"], "not in a git repository"),
        (["--against", "HEAD", "--verify=off"], "nothing to do with --verify=off"),
        (["--against", "HEAD", "--renamed", "Old"], "--renamed Old=New"),
        (["--renamed", "Old=New"], "goes with --against"),
    ],
)
def test_bad_input_costs_one_line(cli: Cli, arguments: list[str], told: str) -> None:
    result = cli("verify", *arguments)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert len(result.err.splitlines()) == 1


def test_a_format_that_is_about_findings(cli: Cli) -> None:
    cli.file("pkg/more.py", "from torch import nn\n\n\nclass More(nn.Module):\n    pass\n")
    result = cli("verify", "--against", "HEAD", "--output-format=sarif")
    assert result.code == 2
    assert "choose one of full, concise, json" in result.err


def test_what_is_new_and_gone_is_said_plainly(cli: Cli) -> None:
    cli.file("pkg/net.py", "from torch import nn\n\n\nclass More(nn.Module):\n    pass\n")
    result = cli("verify", "--against", "HEAD", "pkg")
    assert (
        result.out
        == "pkg/net.py:4: More is new: there is nothing to compare it with\n\npkg/net.py:4: Net is gone\n\n"
    )
    assert sentence(cli("verify", "--against", "HEAD", "pkg", "--output-format=concise")) == (
        0,
        "pkg/net.py:4: More added\npkg/net.py:4: Net removed\n",
        "2 classes changed since HEAD: 1 added, 1 removed.",
    )


def test_a_deleted_file_can_be_named(cli: Cli) -> None:
    (cli.folder / "pkg/net.py").unlink()
    result = cli("verify", "--against", "HEAD", "pkg/net.py", "--output-format=concise")
    assert (result.code, result.out) == (0, "pkg/net.py:4: Net removed\n")


def test_a_file_that_is_no_longer_python(cli: Cli) -> None:
    cli.file("pkg/net.py", "class Net(:\n")
    result = cli("verify", "--against", "HEAD")
    assert (result.code, result.out) == (2, "")
    assert "pkg/net.py:1: " in result.err


def test_a_verdict_and_where_it_differs(cli: Cli) -> None:
    cli.file("pkg/net.py", NET.format("self.fc(x)"))
    repo = Repo(cli.folder)
    repo.commit()
    cli.file("pkg/net.py", NET.format("self.fc(x) * x.mean()"))
    result = cli("verify", "--against", "HEAD")
    assert result.code == 1
    first, verdict, evidence, title, output, *_ = result.out.splitlines()
    assert first == "pkg/net.py:4: Net changed"
    assert verdict.startswith("   = refuted: eval forward")
    assert "ran Net(); forward(x: float32[2, 4])" in evidence
    assert title.split() == ["eval", "forward,", "seed", "0,", "call", "1", "max", "abs", "relative"]
    assert output.split()[0] == "output"
    assert result.err == "1 class changed since HEAD: 1 refuted.\n"
