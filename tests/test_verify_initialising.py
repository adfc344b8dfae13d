"""PRM101: a script gives a finished model new values, and the projection has to run behind that."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from fixer.contract import Contract, Verdict, Verification
from tests.judge_support import Case, preserves, repairs, text
from tests.test_verify_judge_projection import BUILD, CLAMP, FIXED, ORIGINAL, REGISTER

SETTLED = "    gate.project_parameters()\n"
TRAINING = """\
import torch
from torch import nn
from net import Gate


def wide(module):
    if isinstance(module, Gate):
        nn.init.normal_(module.scale, 0.0, 3.0)


def narrow(module):
    if isinstance(module, Gate):
        nn.init.uniform_(module.scale, 0.2, 0.3)


def train(gate, lr, config):
"""


def initialised(folder: Path, written: str, *settled: str, late: bool = False) -> Verification:
    """Verify a right move with a statement in front of the optimizer, or behind it if it comes `late`."""
    build = BUILD.replace("lr=lr", "lr=0.1")
    written = textwrap.indent(written, "    ")
    before = [build, written] if late else [written, build]
    after = [[part, {build: REGISTER, written: "".join(settled)}[part]] for part in before]
    files = TRAINING + "".join(before), TRAINING + "".join(map("".join, after))
    case = Case(folder, net=(ORIGINAL, FIXED), train=files)
    return case.verify(contract(case, written, build))


def contract(case: Case, written: str, build: str) -> Contract:
    known = {"model_class": (case.path("net.py"), "Gate"), "function": "train"}
    return preserves(
        case.subject("net.py", "Gate"),
        projection=case.projection("net.py", "Gate", CLAMP),
        wiring=(
            case.wiring("train.py", build, "gate", **known),
            case.wiring("train.py", written, "gate", kind="initialisation", optimizer="gate", **known),
        ),
    )


WRITTEN = {
    "a function that is applied": "gate.apply(wide)\n",
    "values that are in range": "gate.apply(narrow)\n",
    "a loop over parameters": "for p in gate.parameters():\n    nn.init.normal_(p, 0.0, 3.0)\n",
    "through data": "for p in gate.parameters():\n    p.data.uniform_(-2, 2)\n",
    "without gradients": "with torch.no_grad():\n    gate.scale.fill_(4.0)\n    gate.lin.bias.zero_()\n",
    "a state of its own": "gate.load_state_dict({n: 3 * v for n, v in gate.state_dict().items()})\n",
    "what is not known here": "gate.apply(wide if len(config) else narrow)\n",
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_the_projection_behind_an_initialisation(tmp_path: Path, written: str) -> None:
    found = initialised(tmp_path, written, SETTLED)
    assert found.verdict is Verdict.EQUIVALENT, found.reason


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_no_projection_behind_an_initialisation(tmp_path: Path, written: str) -> None:
    found = initialised(tmp_path, written)
    assert found.verdict is Verdict.REFUTED, found.reason
    assert "first call after" in found.reason


def test_behind_the_optimizer(tmp_path: Path) -> None:
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    right = initialised(tmp_path / "right", "gate.apply(wide)\n", SETTLED, late=True)
    wrong = initialised(tmp_path / "wrong", "gate.apply(wide)\n", late=True)
    assert right.verdict is Verdict.EQUIVALENT, right.reason
    assert wrong.verdict is Verdict.REFUTED, wrong.reason


@pytest.mark.parametrize(
    "settled",
    [
        "    Gate(3).project_parameters()\n",
        "    __import__('copy').deepcopy(gate).project_parameters()\n",
        "    gate.lin.project_parameters()\n",
        "    gate.project_parameters\n",
        "    gate.project_parameters(); gate.apply(wide)\n",
    ],
)
def test_a_wrong_call_behind_an_initialisation(tmp_path: Path, settled: str) -> None:
    found = initialised(tmp_path, "gate.apply(wide)\n", settled)
    assert found.verdict is Verdict.REFUTED, found.reason


def test_a_statement_that_is_not_known_here_and_changes(tmp_path: Path) -> None:
    build, written = BUILD.replace("lr=lr", "lr=0.1"), "    gate.apply(wide if len(config) > 1 else narrow)\n"
    after = TRAINING + written.replace("1", "2") + SETTLED + build + REGISTER
    case = Case(tmp_path, net=(ORIGINAL, FIXED), train=(TRAINING + written + build, after))
    found = case.verify(contract(case, written, build))
    assert found.verdict is Verdict.UNVERIFIED
    assert "has been changed" in found.reason


OWNER = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Gate(3)

    def forward(self, x):
        return self.gate(x)
"""
EACH = """\
    for module in {}.modules():
        if isinstance(module, Gate):
            module.project_parameters()
"""


@pytest.mark.parametrize("settled", [EACH.format("net"), ""])
def test_the_initialisation_of_a_model_that_is_trained_elsewhere(tmp_path: Path, settled: str) -> None:
    build, written = BUILD.replace("lr=lr", "lr=0.1"), "    net.apply(wide)\n"
    head = TRAINING.replace("\n\ndef wide", f"\n\n{OWNER}\n\ndef wide", 1)
    before = head + written + build
    case = Case(tmp_path, net=(ORIGINAL, FIXED), train=(before, head + written + settled + build + REGISTER))
    gate, net = (case.path("net.py"), "Gate"), (case.path("train.py"), "Net")
    of_net = {"model_class": net, "function": "train", "kind": "initialisation", "optimizer": "net"}
    found = case.verify(
        preserves(
            case.subject("net.py", "Gate"),
            projection=case.projection("net.py", "Gate", CLAMP),
            wiring=(
                case.wiring("train.py", build, "gate", model_class=gate, function="train"),
                case.wiring("train.py", written, "net", **of_net),
            ),
        )
    )
    assert found.verdict is (Verdict.EQUIVALENT if settled else Verdict.REFUTED), found.reason


LATE = text(
    """
    class Gate(nn.Module):
        def __init__(self, width: int = 3):
            super().__init__()
            self.scale = nn.Parameter(torch.full((width,), 2.0))

        def forward(self, x):
            y = torch.sin(x * self.scale) * self.scale
            self.scale.data.clamp_(0.0, 1.0)
            return y
    """
)


@pytest.mark.parametrize("settled", [SETTLED, ""])
def test_a_projection_that_comes_too_late(tmp_path: Path, settled: str) -> None:
    calls = "        self.project_parameters()\n        self.register_load_state_dict_post_hook"
    added = f"2.0))\n{calls}(self.project_parameters)\n"
    method = (
        "\n    @torch.no_grad()\n    def project_parameters(self, *_):\n        self.scale.clamp_(0.0, 1.0)\n"
    )
    fixed = LATE.replace("2.0))\n", added).replace(CLAMP, "") + method
    build, written = BUILD.replace("lr=lr", "lr=0.1"), "    gate.apply(wide)\n"
    after = TRAINING + written + settled + build + REGISTER
    case = Case(tmp_path, net=(LATE, fixed), train=(TRAINING + written + build, after))
    wired = contract(case, written, build)
    found = case.verify(
        repairs(
            "gradient",
            case.region("net.py", CLAMP),
            *wired.subjects,
            projection=wired.projection,
            wiring=wired.wiring,
        )
    )
    assert found.verdict is (Verdict.REPAIRED if settled else Verdict.REFUTED), found.reason
