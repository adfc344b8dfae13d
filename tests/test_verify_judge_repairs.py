"""`repairs`: the symptom must show where the finding is, and the fixed code must do what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixer.contract import Verdict, Verification
from tests.judge_support import Case, repairs, some_are_slow, text

INIT = text(
    """
    class Net(nn.Module):
        def __init__(self, width: int = 6):
            super().__init__()
            self.fc = nn.Linear(width, width)
            self.other = nn.Linear(width, width)
            table = torch.arange(width * width, dtype=torch.float32).view(width, width) / 7
            self.fc.weight = table

        def forward(self, x):
            return self.other(torch.tanh(self.fc(x)))
    """
)
ASSIGNMENT = "        self.fc.weight = table\n"


def verify(
    folder: Path,
    before: str,
    after: str,
    finding: str,
    *,
    symptom: str = "TypeError",
    parameter: str | None = None,
    subject: tuple[str | None, str | None] = ("Net", None),
) -> Verification:
    assert before != after
    case = Case(folder, net=(before, after))
    contract = repairs(
        symptom, case.region("net.py", finding), case.subject("net.py", *subject), parameter=parameter
    )
    return case.verify(contract)


def copied(folder: Path, statement: str) -> Verification:
    after = INIT.replace(ASSIGNMENT, f"        {statement}\n")
    return verify(folder, INIT, after, ASSIGNMENT, parameter="self.fc.weight")


def test_a_copy_in_init(tmp_path: Path) -> None:
    found = copied(tmp_path, "self.fc.weight.data.copy_(table)")
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert "cannot assign" in found.reason
    assert found.evidence["postcondition"]["same_storage"]
    assert found.evidence["oracle"]["agrees"]
    assert "copy" in found.evidence["reference"]
    assert found.evidence["max_abs"] == 0


WRONG_COPIES = [
    "self.other.weight.data.copy_(table)",
    "self.fc.weight.data = table",
    "self.fc.weight.data = table.clone()",
    "self.fc.weight = nn.Parameter(table)",
    "self.fc.weight.data.copy_(table[0])",
    "self.fc.weight.data.copy_(table.t())",
    "self.fc.weight.data.copy_(table + 1e-6)",
    "self.fc.weight.data.copy_(self.fc.weight)",
    "self.fc.weight.data.add_(table)",
    "self.fc.weight.copy_(table)",
    "self.fc.weight = table.clone()",
    "del self.fc.weight; self.fc.weight = table",
    "pass",
]


@pytest.mark.parametrize("statement", some_are_slow(WRONG_COPIES))
def test_a_wrong_copy_in_init_is_refuted(tmp_path: Path, statement: str) -> None:
    found = copied(tmp_path, statement)
    assert found.verdict is Verdict.REFUTED, found.reason


def test_a_smaller_value_is_broadcast(tmp_path: Path) -> None:
    before = INIT.replace("/ 7\n", "/ 7\n        table = table[0]\n")
    after = before.replace(ASSIGNMENT, "        self.fc.weight.data.copy_(table)\n")
    found = verify(tmp_path, before, after, ASSIGNMENT, parameter="self.fc.weight")
    assert found.verdict is Verdict.REFUTED
    assert "broadcast" in found.reason


def test_another_assignment_that_still_raises_is_not_blamed_on_the_fix(tmp_path: Path) -> None:
    other = "        self.other.weight = table\n"
    before = INIT.replace(ASSIGNMENT, ASSIGNMENT + other)
    after = before.replace(ASSIGNMENT, "        self.fc.weight.data.copy_(table)\n")
    found = verify(tmp_path, before, after, ASSIGNMENT, parameter="self.fc.weight")
    assert found.verdict is Verdict.UNVERIFIED, found.reason
    assert "fails elsewhere" in found.reason


def test_a_copy_that_only_fits_other_arguments_is_refuted(tmp_path: Path) -> None:
    statement = "self.fc.weight.data.copy_(table[None].transpose(0, 1))"  # runs where the width is 1
    assert copied(tmp_path, statement).verdict is Verdict.REFUTED


HELPER = text(
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def reset(self, value: torch.Tensor):
            self.fc.weight = torch.eye(4) * 2

        def forward(self, x):
            return self.fc(x)


    def start(model, scale: float = 0.5):
        model.fc.weight = torch.full((4, 4), scale)
        return model


    def build():
        return start(Net())
    """
)


def test_a_copy_in_a_helper_method(tmp_path: Path) -> None:
    finding = "        self.fc.weight = torch.eye(4) * 2\n"
    after = HELPER.replace(finding, "        self.fc.weight.data.copy_(torch.eye(4) * 2)\n")
    found = verify(tmp_path, HELPER, after, finding, parameter="self.fc.weight", subject=("Net", "reset"))
    assert found.verdict is Verdict.REPAIRED, found.reason


@pytest.mark.parametrize("function", ["start", "build"])
def test_a_copy_in_a_free_function(tmp_path: Path, function: str) -> None:
    finding = "    model.fc.weight = torch.full((4, 4), scale)\n"
    after = HELPER.replace(finding, "    model.fc.weight.data.copy_(torch.full((4, 4), scale))\n")
    found = verify(tmp_path, HELPER, after, finding, parameter="model.fc.weight", subject=(None, function))
    assert found.verdict is Verdict.REPAIRED, found.reason
    wrong = after.replace("(4, 4), scale)", "(4, 4), 2 * scale)")
    found = verify(tmp_path, HELPER, wrong, finding, parameter="model.fc.weight", subject=(None, function))
    assert found.verdict is Verdict.REFUTED, found.reason


FORWARD = text(
    """
    class Net(nn.Module):
        def __init__(self, width: int = 6):
            super().__init__()
            self.scale = nn.Parameter(torch.rand(width))
            self.lin = nn.Linear(width, width)

        def forward(self, x):
            self.scale = self.scale + x.mean()
            return self.lin(x * self.scale)
    """
)
REBIND = "        self.scale = self.scale + x.mean()\n"
LOCAL = FORWARD.replace(REBIND, "        scale = self.scale + x.mean()\n").replace(
    "x * self.scale", "x * scale"
)


def test_a_rebound_parameter_becomes_a_local(tmp_path: Path) -> None:
    found = verify(tmp_path, FORWARD, LOCAL, REBIND)
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert "scale" in found.evidence["reached"]
    assert "local value" in found.evidence["reference"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(FORWARD.replace(REBIND, "        self.scale += x.mean()\n"), marks=pytest.mark.slow),
        pytest.param(FORWARD.replace(REBIND, "        self.scale.add_(x.mean())\n"), marks=pytest.mark.slow),
        LOCAL.replace("return ", "scale.register_hook(lambda g: -g)\n        return "),
        pytest.param(LOCAL.replace("x * scale", "x * scala"), marks=pytest.mark.slow),
        LOCAL.replace("scale = self.scale + x.mean()", "scale = self.scale - x.mean()"),
        LOCAL.replace("x * scale)", "x * self.scale)"),
        LOCAL.replace("scale = self.scale + x.mean()", "scale = self.scale + x.mean().detach()"),
    ],
    ids=["in-place", "add_", "hook", "name", "sign", "unused", "detached"],
)
def test_a_wrong_repair_of_forward_is_refuted(tmp_path: Path, wrong: str) -> None:
    found = verify(tmp_path, FORWARD, wrong, REBIND)
    assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.parametrize("update", ["self.scale += x.mean()", "self.scale.add_(x.mean())"])
def test_an_update_in_place_becomes_a_local(tmp_path: Path, update: str) -> None:
    finding = f"        {update}\n"
    before = FORWARD.replace(REBIND, finding)
    found = verify(tmp_path, before, LOCAL, finding, symptom="RuntimeError")
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert "local value" in found.evidence["reference"]


def test_a_deliberate_stop_elsewhere_is_not_blamed_on_the_fix(tmp_path: Path) -> None:
    stop = "return self.lin(x * {}.detach()) * {}"
    before = FORWARD.replace("return self.lin(x * self.scale)", stop.format("self.scale", "self.scale"))
    after = LOCAL.replace("return self.lin(x * scale)", stop.format("scale", "scale"))
    found = verify(tmp_path, before, after, REBIND)
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert not found.evidence["oracle"]["agrees"]
    assert found.evidence["oracle"]["stops"] == ["detach"]


def test_an_original_that_fails_otherwise_shows_no_symptom(tmp_path: Path) -> None:
    before = FORWARD.replace(REBIND, "        raise TypeError('early')\n" + REBIND)
    found = verify(tmp_path, before, LOCAL, REBIND)
    assert found.verdict is Verdict.UNVERIFIED
    assert "early" in found.reason


def test_an_original_that_runs_shows_no_symptom(tmp_path: Path) -> None:
    before = FORWARD.replace(REBIND, "        self.shift = self.scale + x.mean()\n")
    found = verify(tmp_path, before, LOCAL, "        self.shift = self.scale + x.mean()\n")
    assert found.verdict is Verdict.UNVERIFIED


CLONE = text(
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)
            self.out = nn.Linear(4, 2)

        def forward(self, x):
            h = self.lin(x).clone().detach()
            h.requires_grad_(True)
            return self.out(h)
    """
)
CUT = "            h = self.lin(x).clone().detach()\n".removeprefix("    ")


def test_a_detached_clone(tmp_path: Path) -> None:
    after = CLONE.replace(".clone().detach()\n        h.requires_grad_(True)\n", ".clone()\n")
    found = verify(tmp_path, CLONE, after, CUT, symptom="gradient")
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert "lin.weight" in found.reason


@pytest.mark.parametrize("wrong", [".detach().clone()\n", ".clone() * 2\n"])
def test_a_wrong_repair_of_a_detached_clone(tmp_path: Path, wrong: str) -> None:
    after = CLONE.replace(".clone().detach()\n        h.requires_grad_(True)\n", wrong)
    found = verify(tmp_path, CLONE, after, CUT, symptom="gradient")
    assert found.verdict is not Verdict.REPAIRED, found.reason


UNREGISTERED = text(
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
            self.last = nn.Linear(4, 2)

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(layer(x))
            return self.last(x)
    """
)


def test_unregistered_modules(tmp_path: Path) -> None:
    finding = "        self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]\n"
    after = UNREGISTERED.replace(
        "[nn.Linear(4, 4), nn.Linear(4, 4)]", "nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])"
    )
    found = verify(tmp_path, UNREGISTERED, after, finding, symptom="never-updated")
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert "layers.0.weight" in found.reason
    wrong = UNREGISTERED.replace("[nn.Linear(4, 4), nn.Linear(4, 4)]", "nn.ModuleList([nn.Linear(4, 4)])")
    found = verify(tmp_path, UNREGISTERED, wrong, finding, symptom="never-updated")
    assert found.verdict is Verdict.REFUTED, found.reason


def test_a_helper_method_that_does_more_than_the_copy(tmp_path: Path) -> None:
    finding = "        self.fc.weight = torch.eye(4) * 2\n"
    copy = "        self.fc.weight.data.copy_(torch.eye(4) * 2)\n"
    after = HELPER.replace(finding, copy + "        self.fc.bias.data.zero_()\n")
    found = verify(tmp_path, HELPER, after, finding, parameter="self.fc.weight", subject=("Net", "reset"))
    assert found.verdict is Verdict.REFUTED, found.reason
