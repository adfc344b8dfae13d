"""`preserves` for models: what changes something must be refuted, what does not be equivalent."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixer.contract import Verdict, Verification
from tests.judge_support import Case, preserves, some_are_slow, text

NET = text(
    """
    class Net(nn.Module):
        def __init__(self, width: int = 8):
            super().__init__()
            self.first = nn.Linear(width, width)
            self.norm = nn.BatchNorm1d(width)
            self.drop = nn.Dropout(0.3)
            self.last = nn.Linear(width, 2)
            self.gain = nn.Parameter(torch.ones(width))
            self.offset = 0.5

        def features(self, x):
            return self.drop(torch.tanh(self.norm(self.first(x))))

        def forward(self, x):
            h = self.features(x) * self.gain
            self.kept = h
            return self.last(h) + self.offset

        def backward(self, grad):
            return grad * self.kept
    """
)
BACKWARD = "\n    def backward(self, grad):\n        return grad * self.kept\n"
DELETED = NET.replace(BACKWARD, "").replace("        self.kept = h\n", "")


def verify(folder: Path, before: str, after: str, name: str = "Net") -> Verification:
    assert before != after
    case = Case(folder, net=(before, after))
    return case.verify(preserves(case.subject("net.py", name)))


def test_deleting_a_dead_backward_and_what_was_stored_for_it(tmp_path: Path) -> None:
    found = verify(tmp_path, NET, DELETED)
    assert found.verdict is Verdict.EQUIVALENT, found.reason
    assert found.evidence["compared"]["tensors"] > 100
    assert found.evidence["max_abs"] == 0
    assert "copying and saving" in found.evidence["compared"]["checks"]
    assert set(found.evidence["reached"]) >= {"first.weight", "gain", "last.bias", "norm.weight"}


def test_a_library_may_save_in_its_own_way(tmp_path: Path) -> None:
    replaced = "import torch\n\nsave = torch.save\ntorch.save = lambda *args: save(*args)\n"
    found = verify(tmp_path, replaced + NET, replaced + DELETED)
    assert found.verdict is Verdict.EQUIVALENT, found.reason


CHANGES = [
    ("return self.last(h) + self.offset", "return self.last(h.detach()) + self.offset"),
    ("return self.last(h) + self.offset", "return (self.last(h) + self.offset) * (1 + 1e-6)"),
    ("return self.last(h) + self.offset", "return self.last(h) - self.offset"),
    ("return self.last(h) + self.offset", "return self.last(h) + self.offset, h"),
    ("return self.last(h) + self.offset", "return (self.last(h) + self.offset).double()"),
    (
        "return self.last(h)",
        "h.requires_grad and h.register_hook(lambda g: -g)\n        return self.last(h)",
    ),
    ("self.gain = nn.Parameter(torch.ones(width))", 'self.register_buffer("gain", torch.ones(width))'),
    ("torch.ones(width))", "torch.ones(width), requires_grad=False)"),
    ("torch.ones(width))", "torch.ones(width) * 2)"),
    ("nn.Linear(width, 2)\n", "nn.Linear(width, 2)\n        self.extra = nn.Linear(2, 2)\n"),
    ("self.drop(torch", "nn.functional.dropout(torch"),
    ("nn.Dropout(0.3)", "nn.Dropout(0.0)"),
    ("self.drop = nn.Dropout(0.3)", "self.drop = nn.Dropout(0.3).eval()"),
    ("self.norm(self.first(x))", "self.norm.eval()(self.first(x))"),
    ("nn.BatchNorm1d(width)", "nn.BatchNorm1d(width, momentum=0.2)"),
    ("nn.BatchNorm1d(width)", "nn.BatchNorm1d(width, track_running_stats=False)"),
    ("        self.offset = 0.5\n", ""),
    ("        return self.drop(torch.tanh(self.norm(self.first(x))))\n", "        pass\n"),
    ("def features(", "def featurez("),
    ("self.features(x) * self.gain", "self.features(x) * self.gain.data"),
    ("self.first = nn.Linear(width, width)", "self.first = self.second = nn.Linear(width, width)"),
    ("        self.offset = 0.5\n", "        self.offset = 0.5\n        self.handle = lambda: None\n"),
]


@pytest.mark.parametrize(("old", "new"), some_are_slow(CHANGES))
def test_a_changed_model_is_refuted(tmp_path: Path, old: str, new: str) -> None:
    found = verify(tmp_path, NET, DELETED.replace(old, new))
    assert found.verdict is Verdict.REFUTED, found.reason
    assert found.evidence["counterexample"]["check"]


def test_state_that_leaks_from_call_to_call(tmp_path: Path) -> None:
    before = text(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lin = nn.Linear(4, 4)
                self.calls = 0

            def forward(self, x):
                self.calls = 0
                return self.lin(x) + self.calls
        """
    )
    after = before.replace(
        "        self.calls = 0\n        return", "        self.calls += 1\n        return"
    )
    found = verify(tmp_path, before, after.replace("self.calls)", "self.calls - 1)"))
    assert found.verdict is Verdict.REFUTED


MODELS = {
    "dropout": "        self.layer = nn.Dropout(0.5)\n",
    "batch norm": "        self.layer = nn.BatchNorm1d(4)\n",
    "no parameters": "        self.layer = nn.Tanh()\n",
    "recurrent": "        self.layer = nn.GRUCell(4, 4)\n",
}


@pytest.mark.parametrize("layer", MODELS.values(), ids=MODELS)
def test_the_same_model_written_otherwise(tmp_path: Path, layer: str) -> None:
    head = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n" + layer
    before = text(head + "\n    def forward(self, x: torch.Tensor):\n        return self.layer(x)\n")
    found = verify(
        tmp_path, before, before.replace("return self.layer(x)", "y = self.layer(x)\n        return y")
    )
    assert found.verdict is Verdict.EQUIVALENT, found.reason


def test_a_forward_with_two_inputs(tmp_path: Path) -> None:
    before = text(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.mix = nn.Bilinear(4, 6, 3)

            def forward(self, left, right):
                return self.mix(left, right)
        """
    )
    same = verify(
        tmp_path,
        before,
        before.replace("return self.mix(left, right)", "out = self.mix(left, right)\n        return out"),
    )
    assert same.verdict is Verdict.EQUIVALENT, same.reason
    assert "left" in same.evidence["built"]
    wrong = before.replace("self.mix(left, right)", "self.mix(left, right.detach())")
    assert verify(tmp_path, before, wrong).verdict is Verdict.REFUTED


def test_tied_parameters_that_come_apart(tmp_path: Path) -> None:
    before = text(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.one = nn.Linear(4, 4)
                self.two = nn.Linear(4, 4)
                self.two.weight = self.one.weight

            def forward(self, x):
                return self.two(self.one(x))
        """
    )
    after = before.replace(
        "self.two.weight = self.one.weight", "self.two.weight.data.copy_(self.one.weight.data)"
    )
    found = verify(tmp_path, before, after)
    assert found.verdict is Verdict.REFUTED
    assert found.evidence["counterexample"]["where"] == "shared parameters"


UNREACHED = text(
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)

        def forward(self, x):
            return self.lin(x)

        def export(self, x):
            return self.lin(x) + 1
    """
)


def test_lines_that_never_run_prove_nothing(tmp_path: Path) -> None:
    found = verify(tmp_path, UNREACHED, UNREACHED.replace("+ 1", "+ 2"))
    assert found.verdict is Verdict.UNVERIFIED
    assert "never reached" in found.reason
    assert found.reason.endswith("net.py:15")


SELDOM = text(
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.rand(3))
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls % 9 == 0:
                x = x * 2
            return x * self.gain
    """
)


@pytest.mark.parametrize(("new", "verdict"), [("x + x", Verdict.EQUIVALENT), ("x * 3", Verdict.REFUTED)])
def test_training_goes_on_until_what_has_changed_runs(tmp_path: Path, new: str, verdict: Verdict) -> None:
    found = verify(tmp_path, SELDOM, SELDOM.replace("x * 2", new))
    assert found.verdict is verdict, found.reason
    assert found.evidence["steps"] == 5  # what was asked for
    if verdict is Verdict.EQUIVALENT:
        assert {trajectory["steps"] for trajectory in found.evidence["trajectories"]} == {20}


def test_the_next_subject_is_tried_where_the_first_does_not_reach(tmp_path: Path) -> None:
    case = Case(tmp_path, net=(UNREACHED, UNREACHED.replace("self.lin(x) + 1", "1 + self.lin(x)")))
    subjects = (case.subject("net.py", "Net"), case.subject("net.py", "Net", "export"))
    found = case.verify(preserves(*subjects))
    assert found.verdict is Verdict.EQUIVALENT, found.reason
    assert found.evidence["subject"] == "Net.export"


def test_a_model_that_cannot_be_built_proves_nothing(tmp_path: Path) -> None:
    broken = NET.replace(
        "super().__init__()\n", "super().__init__()\n        raise OSError('weights are not here')\n"
    )
    found = verify(tmp_path, broken, broken.replace(BACKWARD, ""))
    assert found.verdict is Verdict.UNVERIFIED
    assert "weights are not here" in found.reason


@pytest.mark.parametrize("noise", ["id(object()) % 97", "time.perf_counter()"])
def test_a_model_that_differs_from_itself_proves_nothing(tmp_path: Path, noise: str) -> None:
    before = "import time\n" + NET.replace("+ self.offset", f"+ {noise}")
    found = verify(tmp_path, before, before.replace(BACKWARD, "").replace("        self.kept = h\n", ""))
    assert found.verdict is Verdict.UNVERIFIED, found.reason
    assert "two runs of the original differ" in found.reason


def test_a_fix_that_does_not_parse(tmp_path: Path) -> None:
    assert (
        verify(tmp_path, NET, NET.replace("return self.last(h)", "return self.last(h")).verdict
        is Verdict.REFUTED
    )


BESIDE = text(
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)

        def forward(self, x):
            self.kept = x
            y = self.lin(x)
            return {"y": y, "rows": len(y), "norm": float(y.detach().norm()), "name": "net", "none": None}

        def backward(self, grad):
            return grad * self.kept
    """
)


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("", "", Verdict.EQUIVALENT),
        ("len(y)", "len(y) + 1", Verdict.REFUTED),
        (".norm())", ".norm(1))", Verdict.REFUTED),
        ('"name": "net"', '"name": "nets"', Verdict.REFUTED),
        (', "none": None', "", Verdict.REFUTED),
    ],
)
def test_what_forward_returns_beside_tensors(tmp_path: Path, old: str, new: str, verdict: Verdict) -> None:
    after = BESIDE.replace("\n    def backward(self, grad):\n        return grad * self.kept\n", "")
    after = after.replace("        self.kept = x\n", "").replace(old, new)
    found = verify(tmp_path, BESIDE, after)
    assert found.verdict is verdict, found.reason
