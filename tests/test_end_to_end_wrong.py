"""Wrong rewrites, planted by a third party, are refuted by running the code, and nothing is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.command import Cli

GATE = """\
import torch
from torch import nn


class Gate(nn.Module):
    def __init__(self, width=4, lo=0.25, hi=0.75):
        super().__init__()
        self.lo, self.hi = lo, hi
        self.width = nn.Parameter(torch.rand(width))

    def forward(self, x):
        self.width.data.clamp_(self.lo, self.hi)
        return x * self.width


gate = Gate()
optimizer = torch.optim.SGD(gate.parameters(), lr=0.1)
"""
LAYER = """\
import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(width))
        self.lin = nn.Linear(width, width)

    def scale(self, x):
        return x * self.gain

    def forward(self, x):
        x = torch.relu(x)
        return self.lin(self.scale(x))

    def backward(self, grad):
        return grad
"""
TWINS = """\
import torch
from torch import nn


class Twins(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.first.weight = torch.eye(width)

    def forward(self, x):
        return self.first(x) - 2 * self.second(x)
"""
SCALED_FIRST = LAYER.replace("x = torch.relu(x)\n", "x = self.scale(x)\n").replace(
    "(self.scale(x))", "(torch.relu(x))"
)
CODE = {
    "WRG101": GATE,
    "WRG102": GATE,
    "WRG103": GATE,
    "WRG201": TWINS,
    "WRG301": SCALED_FIRST,
    "WRG302": LAYER,
}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command with another distribution's rules beside ours."""
    cli = Cli(tmp_path)
    info = cli.plugin / "wrong_codemods-2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong-codemods\nVersion: 2.1\n")
    (info / "entry_points.txt").write_text("[fixer.codemods]\nwrong = wrong_codemods\n")
    shutil.copy(Path(__file__).parent / "wrong" / "wrong_codemods.py", cli.plugin)
    return cli


def state(path: Path) -> tuple[bytes, int, int]:
    status = path.stat()
    return path.read_bytes(), status.st_mtime_ns, status.st_ino


def test_wrong_rewrites_are_refuted(cli: Cli) -> None:
    paths = [cli.file("gate.py", GATE), cli.file("layer.py", LAYER)]
    before = [state(path) for path in paths]
    result = cli("apply", "--select=WRG101,WRG302", "--output-format=json")
    assert result.code == 1
    assert [state(path) for path in paths] == before
    for found in json.loads(result.out):
        assert (found["status"], found["verification"]["verdict"]) == ("refuted", "refuted")
        assert found["verification"]["evidence"]["counterexample"]
    assert result.err == "2 findings left: 2 refuted.\n"


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--unsafe-fixes",), ("--verify=require",)])
@pytest.mark.parametrize("code", CODE)
def test_each_wrong_rewrite_is_refuted_whatever_is_allowed(
    cli: Cli, code: str, options: tuple[str, ...]
) -> None:
    path = cli.file("net.py", CODE[code])
    before = state(path)
    result = cli("apply", "--select", code, *options)
    assert result.code == 1
    assert state(path) == before
    assert f" {code} " in result.out
    assert "= refuted: " in result.out
    assert "= evidence: " in result.out
    assert result.err == "1 finding left: 1 refuted.\n"


@pytest.mark.slow
def test_right_rewrites_of_the_same_code_are_proven(cli: Cli) -> None:
    """Nothing but the planted errors is what the verdicts above are about."""
    for number, code in enumerate(dict.fromkeys(CODE.values())):
        cli.file(f"net{number}.py", code)
    result = cli("apply", "--select=PRM", "--output-format=json")
    assert result.code == 0
    assert {found["status"] for found in json.loads(result.out)} == {"fixed"}


# Another distribution's rules are rules like ours


def test_third_party_rules_are_listed(cli: Cli) -> None:
    listed = {rule["code"]: rule for rule in json.loads(cli("rules", "--output-format=json").out)}
    assert listed["WRG101"]["name"] == "half-the-range"
    assert {"PRM101", "PRM201", "PRM301", *CODE} <= listed.keys()
    assert "WRG101  half-the-range" in cli("rules").out


@pytest.mark.parametrize("word", ["WRG101", "half-the-range"])
def test_third_party_rule_is_explained(cli: Cli, word: str) -> None:
    assert cli("explain", word).out.startswith("# wrong rewrites\n")


def test_third_party_rule_reports(cli: Cli) -> None:
    cli.file("net.py", TWINS)
    result = cli("check", "--output-format=concise")
    assert [line.split()[1] for line in result.out.splitlines()] == ["PRM201", "WRG201"]


@pytest.mark.parametrize("word", ["WRG201", "wrong-parameter", "WRG"])
def test_third_party_rule_is_selected_and_ignored(cli: Cli, word: str) -> None:
    cli.file("net.py", TWINS)
    selected, ignored = (
        cli("check", option, word, "--output-format=json") for option in ("--select", "--ignore")
    )
    assert [found["code"] for found in json.loads(selected.out)] == ["WRG201"]
    assert [found["code"] for found in json.loads(ignored.out)] == ["PRM201"]


def test_third_party_rule_is_suppressed_in_a_line_and_in_files(cli: Cli) -> None:
    cli.file("net.py", TWINS.replace("torch.eye(width)", "torch.eye(width)  # fixer: ignore[WRG201]"))
    cli.file("other.py", TWINS)
    cli.file("pyproject.toml", '[tool.fixer.per-file-ignores]\n"other.py" = ["wrong-parameter"]\n')
    result = cli("check", "--output-format=json")
    assert [found["code"] for found in json.loads(result.out)] == ["PRM201", "PRM201"]
