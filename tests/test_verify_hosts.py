"""Classes that cannot be built here: their code runs on a host, and the evidence says without what."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from fixer.contract import Verdict, Verification
from fixer.verify.worker.hosting import LEFT_OUT, StandIn, hosted, left_out
from tests.judge_support import Case, preserves, repairs, text

WEIGHTS = 'self.backbone = torch.hub.load("nobody/nothing", "net", trust_repo=True)'
ORIGINAL = text(
    f"""
    class Gate(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            {WEIGHTS}
            self.scale = nn.Parameter(torch.full((width,), 2.0))

        def forward(self, x):
            self.scale.data.clamp_(0.0, 1.0)
            return torch.sigmoid(self.backbone(x) * self.scale)
    """
)
CLAMP = "        self.scale.data.clamp_(0.0, 1.0)\n"
INIT = "        self.project_parameters()\n"
LOAD = "        self.register_load_state_dict_post_hook(self.project_parameters)\n"
LAST = "        self.scale = nn.Parameter(torch.full((width,), 2.0))\n"
METHOD = """
    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        self.scale.clamp_(0.0, 1.0)
"""
FIXED = ORIGINAL.replace(CLAMP, "").replace(LAST, LAST + INIT + LOAD) + METHOD
BUILD = "optimizer = torch.optim.Adam(gate.parameters(), lr=lr)\n"
REGISTER = "optimizer.register_step_post_hook(gate.project_parameters)\n"
HEAD = text("def train(gate, lr):\n    pass\n")


def moved(folder: Path, fixed: str, register: str = REGISTER) -> Verification:
    before = HEAD + "    " + BUILD
    case = Case(folder, net=(ORIGINAL, fixed), train=(before, before + (register and "    " + register)))
    contract = preserves(
        case.subject("net.py", "Gate"),
        projection=case.projection("net.py", "Gate", CLAMP),
        wiring=(case.wiring("train.py", "    " + BUILD, "gate", function="train"),),
    )
    return case.verify(contract)


def test_a_move_is_proven_on_a_host(tmp_path: Path) -> None:
    found = moved(tmp_path, FIXED)
    assert found.verdict is Verdict.EQUIVALENT, found.reason
    assert list(found.evidence["left_out"]) == [WEIGHTS]
    assert any(note.startswith(f"Gate was built without `{WEIGHTS}`") for note in found.evidence["notes"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        FIXED.replace("clamp_(0.0, 1.0)", "clamp_(0.0, 0.5)"),
        FIXED.replace(INIT, ""),
        FIXED.replace("self.backbone(x) * self.scale", "self.backbone(x) * self.scale.detach()"),
    ],
)
def test_a_wrong_move_is_refuted_on_a_host(tmp_path: Path, wrong: str) -> None:
    found = moved(tmp_path, wrong)
    assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.slow
def test_what_the_fix_makes_fail_is_not_left_out(tmp_path: Path) -> None:
    found = moved(tmp_path, FIXED.replace(INIT, "        self.project_parameter()\n"))
    assert not found.verdict.proven
    assert "project_parameter" in found.reason


def test_sides_that_do_without_different_statements_are_not_compared(tmp_path: Path) -> None:
    before = ORIGINAL.replace(LAST, LAST + "        self.twice = 2 * self.once\n")
    case = Case(tmp_path, net=(before, before.replace(LAST, LAST + "        self.once = 1\n")))
    found = case.verify(preserves(case.subject("net.py", "Gate")))
    assert found.verdict is Verdict.UNVERIFIED
    assert "only one side could be built with `self.twice = 2 * self.once`" in found.reason


ASSIGNING = text(
    f"""
    class Net(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            {WEIGHTS}
            self.head = nn.Linear(4, 3)
            self.head.bias = torch.ones(3)

        def forward(self, x):
            return self.head(self.backbone(x))
    """
)
ASSIGNMENT = "        self.head.bias = torch.ones(3)\n"


def copied(folder: Path, statement: str) -> Verification:
    case = Case(folder, net=(ASSIGNING, ASSIGNING.replace(ASSIGNMENT, f"        {statement}\n")))
    region = case.region("net.py", ASSIGNMENT)
    return case.verify(
        repairs("TypeError", region, case.subject("net.py", "Net"), parameter="self.head.bias")
    )


def test_a_repair_is_proven_on_a_host(tmp_path: Path) -> None:
    found = copied(tmp_path, "self.head.bias.data.copy_(torch.ones(3))")
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert list(found.evidence["left_out"]) == [WEIGHTS]


@pytest.mark.slow
def test_a_wrong_repair_is_refuted_on_a_host(tmp_path: Path) -> None:
    found = copied(tmp_path, "self.head.bias.data.copy_(torch.zeros(3))")
    assert found.verdict is Verdict.REFUTED, found.reason


CODE = """\
class Base:
    def __init__(self, size):
        self.table = [0] / size


class Net(Base):
    def __init__(self, size):
        super().__init__(size)
        if size < 0:
            raise ValueError(size)
        for _ in range(2):
            self.many = missing

        def nested():
            return missing

        self.nested = nested
        self.one, self.two = 1 / 0, 2
        self.kept = missing
"""


def instance(size: int, kept: tuple[int, ...] = ()) -> Any:
    scope: dict[str, Any] = {LEFT_OUT: left_out}
    exec(compile(hosted(ast.parse(CODE), "Net", kept), "net.py", "exec"), scope)
    return scope["Net"](size)


def test_what_fails_is_left_out_and_stood_for() -> None:
    net = instance(1)
    assert sorted(vars(net)[LEFT_OUT]) == [3, 12, 18, 19]
    assert isinstance(net.one, StandIn)
    assert net.two(5) == 5
    with pytest.raises(NameError):
        net.nested()


def test_guards_hold() -> None:
    with pytest.raises(ValueError, match="-1"):
        instance(-1)


def test_what_is_kept_fails() -> None:
    with pytest.raises(NameError) as raised:
        instance(1, kept=(19,))
    assert raised.traceback[-1].lineno == 18  # from 0: lines stay where they are
