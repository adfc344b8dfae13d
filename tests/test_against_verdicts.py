"""What `verify --against` says of changes that keep what a class does, and of those that do not."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.command import Cli
from tests.repo import Repo

pytestmark = [
    pytest.mark.slow,  # a dozen classes are run on both sides
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]

HEADER = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nfrom helpers import scale\n"
LAYER = """

class {name}(nn.Module):
    def __init__(self, dim=4):
        super().__init__()
{layers}

    def forward(self, x):
        return {result}
"""
FC = "self.fc = nn.Linear(dim, 3)"
DEEP = "self.fc = nn.Sequential(*[nn.Linear(dim, dim) for _ in range(30)])"
HELPERS = "def scale(x):\n    return x * 2\n"
CHANGES = {
    "Rewritten": (FC, "F.relu(self.fc(x))", FC, "self.fc(x).clamp(min=0)"),
    "Activated": (FC, "F.relu(self.fc(x))", f"{FC}\n        self.act = nn.ReLU()", "self.act(self.fc(x))"),
    "Reassociated": (FC, "(self.fc(x) * 1.7) * 0.9", FC, "self.fc(x) * (1.7 * 0.9)"),
    "Detached": (FC, "self.fc(x) * self.fc(x).mean()", FC, "self.fc(x) * self.fc(x).mean().detach()"),
    "Deep": (DEEP, "self.fc(x).sin()", DEEP, "self.fc(x).cos()"),
    "Wrong": (FC, "self.fc(x).softmax(-1)", FC, "self.fc(x).softmax(0)"),
    "Dropped": (
        FC,
        "F.dropout(self.fc(x), 0.1, self.training)",
        FC,
        "F.dropout(self.fc(x), 0.2, self.training)",
    ),
    "Renamed": (FC, "self.fc(x)", "self.head = nn.Linear(dim, 3)", "self.head(x)"),
    "Reordered": (
        "self.a = nn.Linear(dim, dim)\n        self.b = nn.Linear(dim, dim)",
        "self.a(self.b(x))",
        "self.b = nn.Linear(dim, dim)\n        self.a = nn.Linear(dim, dim)",
        "self.a(self.b(x))",
    ),
    "Using": (FC, "scale(self.fc(x))", FC, "scale(self.fc(x))"),
    "Untouched": (FC, "self.fc(x)", FC, "self.fc(x)"),
}


def source(place: int) -> str:
    """The file before (0) or after (2)."""
    classes = (
        LAYER.format(name=name, layers=f"        {change[place]}", result=change[place + 1])
        for name, change in CHANGES.items()
    )
    return HEADER + "".join(classes)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the command says of every kind of change, by class."""
    folder = tmp_path_factory.mktemp("against")
    cli = Cli(folder)
    repo = Repo(cli.folder)
    gone = LAYER.format(name="Gone", layers="        pass", result="x")
    extended = """

class Extended(nn.Module):
    def __init__(self{more}, dim=4):
        super().__init__()
        self.fc = nn.Linear(dim, 3)

    def forward(self, x):
        return self.fc(x)


class Branched(nn.Module):
    def __init__(self, dim=4):
        super().__init__()
        self.fc = nn.Linear(dim, 3)

    def forward(self, x):
        return self.fc(x)

    def loss(self, x):
        return (self.fc(x){kept} - x.mean()).mean()

    def probabilities(self, x):
        return torch.{function}(self.fc(x), -1)

"""
    before = extended.format(more="", kept="", function="softmax")
    after = extended.format(more=", heads", kept=".detach()", function="nn.functional.softmax")
    repo.file("net.py", source(0) + before + gone)
    repo.file("helpers.py", HELPERS)
    repo.file("broken.py", "x = 1\n")
    repo.commit()
    repo.file("net.py", source(2) + after)
    repo.file("helpers.py", HELPERS.replace("x * 2", "x + x"))
    result = cli("verify", "--against", "HEAD", "--output-format=json")
    assert result.code == 1
    assert "classes changed since HEAD: " in result.err
    return {entry["class"]: entry for entry in json.loads(result.out)}


def verdict(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["verification"]["verdict"], entry["verification"]["reason"]


@pytest.mark.parametrize("name", ["Rewritten", "Activated", "Using"])
def test_the_same_bits(entries: dict[str, dict[str, Any]], name: str) -> None:
    word, reason = verdict(entries[name])
    assert word == "equivalent"
    assert "bit for bit" in reason
    assert entries[name]["verification"]["evidence"]["trajectories"]


def test_a_new_module_that_holds_nothing_is_noted(entries: dict[str, dict[str, Any]]) -> None:
    assert "submodules: `act` new" in entries["Activated"]["verification"]["evidence"]["notes"]


def test_a_class_that_uses_what_changed(entries: dict[str, dict[str, Any]]) -> None:
    assert [unit["name"] for unit in entries["Using"]["changed"]] == ["scale"]


def test_rounding_is_told_from_a_mistake(entries: dict[str, dict[str, Any]]) -> None:
    word, reason = verdict(entries["Reassociated"])
    assert word == "equivalent"
    assert "equal up to rounding (float64, 1e-12" in reason
    assert entries["Reassociated"]["verification"]["evidence"]["tolerance"]["dtype"] == "float64"


def test_what_differs_is_listed(entries: dict[str, dict[str, Any]]) -> None:
    assert verdict(entries["Wrong"])[0] == "refuted"
    differences = entries["Wrong"]["verification"]["evidence"]["differences"]
    first = [entry for entry in differences if entry["check"] == "eval forward, seed 0"]
    places = {entry["where"].strip() for entry in first if entry["max_abs"] > 0}
    assert {"call 1 output", "call 1 gradient of fc.weight", "call 1 gradient of fc.bias"} <= places


def test_more_differences_than_are_listed(entries: dict[str, dict[str, Any]]) -> None:
    assert verdict(entries["Deep"])[0] == "refuted"
    assert len(entries["Deep"]["verification"]["evidence"]["differences"]) == 200


def test_gradients_alone(entries: dict[str, dict[str, Any]]) -> None:
    word, reason = verdict(entries["Detached"])
    assert word == "refuted"
    assert "gradient" in reason


def test_more_dropout(entries: dict[str, dict[str, Any]]) -> None:
    assert verdict(entries["Dropped"])[0] == "refuted"


def test_other_names_of_parameters(entries: dict[str, dict[str, Any]]) -> None:
    word, reason = verdict(entries["Renamed"])
    assert word == "refuted"
    assert "state_dict key `fc.weight` is now `head.weight`" in reason
    assert "old checkpoints do not load" in reason
    notes = entries["Renamed"]["verification"]["evidence"]["notes"]
    assert "the results of newly built models agree all the same" in notes


def test_another_order_of_layers_is_in_doubt(entries: dict[str, dict[str, Any]]) -> None:
    word, reason = verdict(entries["Reordered"])
    assert word == "unverified"
    assert "initial values of `a.weight`" in reason


def test_a_new_argument(entries: dict[str, dict[str, Any]]) -> None:
    word, reason = verdict(entries["Extended"])
    assert word == "refuted"
    assert "missing 1 required positional argument: 'heads'" in reason


def test_methods_that_forward_does_not_call_are_run_by_themselves(entries: dict[str, dict[str, Any]]) -> None:
    word, reason = verdict(entries["Branched"])
    assert word == "refuted"
    assert reason.startswith("`loss`: ")
    assert (
        entries["Branched"]["verification"]["evidence"]["apart"]["probabilities"]["verdict"] == "equivalent"
    )


def test_what_is_gone_and_what_did_not_change(entries: dict[str, dict[str, Any]]) -> None:
    assert (entries["Gone"]["status"], entries["Gone"]["verification"]) == ("removed", None)
    assert "Untouched" not in entries
