"""The judge's parts on their own, in this process."""

from __future__ import annotations

import math
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fixer.contract import Verdict
from fixer.verify import HarnessConfig
from fixer.verify.worker import records
from fixer.verify.worker.compare import compare
from fixer.verify.worker.constraint import Constraint
from fixer.verify.worker.observe import Recorder, buffers, digest, parameters, shared_names
from fixer.verify.worker.reference import Reference
from fixer.verify.worker.tracing import Tracer, missed, required
from fixer.verify.worker.untraced import Traced
from fixer.verify.worker.watch import ParameterWatch
from fixer.verify.worker.wiring import Region, WiringError, WrongOptimizers
from tests.judge_support import Case, preserves, text, verify

CODE = textwrap.dedent(
    '''
    def run(x):
        """Words."""
        if x > 0:
            y = 1
        else:
            y = 2
        return y

    def gone():
        return 0
    '''
).lstrip()


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([[2, 2]], []),  # a docstring
        ([[1, 1]], []),  # a signature
        ([[3, 3]], [[(3, 3)]]),
        ([[3, 4]], [[(4, 4)]]),  # the condition alone would not do
        ([[4, 4], [6, 6]], [[(4, 4)], [(6, 6)]]),
        ([[8, 8]], []),
        ([[9, 10]], []),  # a function that the other text does not have
    ],
)
def test_what_has_to_be_reached(ranges: list[list[int]], expected: list[Any]) -> None:
    other = CODE.replace("def gone", "def came")
    assert required(CODE, ranges, other) == expected
    assert required(CODE, ranges, other, replayed=[[1, 7]]) == []


def test_lines_of_a_module_body_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(CODE)
    namespace: dict[str, Any] = {}
    with Tracer([str(path)]) as tracer:
        exec(compile(CODE, str(path), "exec"), namespace)
        namespace["run"](1)
    lines = tracer.executed()[str(path)]
    assert lines == [3, 4, 7]
    assert missed([[(4, 4)], [(6, 6)]], lines) == [6]


def test_nothing_is_traced_once_all_has_been_seen(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(CODE)
    namespace: dict[str, Any] = {}
    exec(compile(CODE, str(path), "exec"), namespace)
    before = sys.gettrace()
    tracer = Tracer([str(path)], wanted={str(path): [[(4, 4)]]})
    with tracer:
        assert sys.gettrace() is not None
        namespace["run"](1)
        assert sys.gettrace() is None
        assert 4 in tracer.executed()[str(path)]
        tracer.forget()  # what was seen counts no more, so it is looked for again
    with tracer:
        assert sys.gettrace() is not None
    assert sys.gettrace() is before


def test_only_what_is_called_as_the_target_is_traced(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(CODE)
    namespace: dict[str, Any] = {}
    exec(compile(CODE, str(path), "exec"), namespace)
    tracer = Tracer([str(path)])
    with tracer.waiting():
        namespace["run"](1)
        assert tracer.executed()[str(path)] == []
        with Traced():
            namespace["run"](1)
    assert tracer.executed()[str(path)] == [3, 4, 7]


def test_a_watched_line_keeps_tracing_on(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("def run(value):\n    value = value\n    return value\n")
    namespace: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    watch = ParameterWatch("value", str(path), [2, 2])
    with Tracer([str(path)], [watch], {str(path): [[(2, 2)]]}):
        for number in range(30):
            namespace["run"](number)
    assert watch.has_enough
    assert len(watch.seen) == 8


def entries(**values: Any) -> list[tuple[str, str, Any]]:
    recorder = Recorder()
    for name, value in values.items():
        recorder.note("check", name, value)
    with tempfile.NamedTemporaryFile() as file:
        records.write(file.name, recorder.entries)
        found: list[Any] = records.read(file.name)
    return found


def test_a_file_keeps_every_tensor() -> None:
    kept = entries(a=torch.arange(6).view(2, 3), b=[1, "x"], c=torch.tensor(0.5), d=None, e=torch.empty(0, 2))
    assert [name for _, name, _ in kept] == ["a", "b", "c", "d", "e"]
    assert torch.equal(kept[0][2], torch.arange(6).view(2, 3))
    assert kept[2][2].shape == ()
    assert kept[4][2].shape == (0, 2)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (torch.ones(3), torch.ones(3) * (1 + 1e-6)),
        (torch.ones(3), torch.ones(3, dtype=torch.float64)),
        (torch.ones(3), torch.ones(1, 3)),
        (torch.ones(3), None),
        (torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0])),
        (torch.tensor([math.inf]), torch.tensor([-math.inf])),
        (torch.tensor([True]), torch.tensor([False])),
        (torch.tensor([1 + 2j]), torch.tensor([1 - 2j])),
        (["a"], ["b"]),
        ({"works": True}, {"works": False}),
    ],
)
def test_differences(one: Any, two: Any) -> None:
    found = compare(entries(value=one), entries(value=two)).difference
    assert found is not None
    assert found["where"] == "value"
    assert compare(entries(value=one), entries()).difference is not None
    assert compare(entries(), entries(value=two)).difference is not None


def test_no_differences() -> None:
    same = entries(a=torch.tensor([math.nan, 1.0, math.inf]), b="x", c={"works": False}, d=None)
    better = [*same[:2], ("check", "c", {"works": True}), same[3]]
    found = compare(same, better)
    assert found.difference is None
    assert found.counts["tensors"] == 1
    assert found.counts["numbers"] == 3


def test_a_tolerance_is_relative_to_the_whole_tensor() -> None:
    one, two = torch.tensor([1.0, 0.0]).double(), torch.tensor([1.0, 1e-9]).double()
    assert compare(entries(v=one), entries(v=two)).difference is not None
    found = compare(entries(v=one), entries(v=two), tolerance=1e-7)
    assert found.difference is None
    assert found.counts["max_abs"] == pytest.approx(1e-9)
    assert compare(entries(v=one), entries(v=two), tolerance=1e-10).difference is not None


def test_digests_tell_tensors_apart() -> None:
    assert digest(torch.ones(4)) == digest(torch.ones(4))
    assert digest(torch.ones(4)) != digest(torch.zeros(4))
    assert digest(torch.zeros(4)) != digest(torch.zeros(4, dtype=torch.int32))


@pytest.mark.parametrize("second", [2, 3])
def test_entries_of_one_name_are_all_compared(second: int) -> None:
    same = ("check", "detail", 1)
    found = compare([same, ("check", "detail", 2)], [same, ("check", "detail", second)])
    assert (found.difference is None) == (second == 2)
    assert compare([same, same], [same]).difference


def test_shared_names() -> None:
    weight = torch.ones(1)
    assert shared_names([("a", weight), ("b", torch.ones(1)), ("c", weight)]) == [["a", "c"]]


@pytest.mark.parametrize(
    ("code", "model", "optimizer"),
    [
        ("optimizer = torch.optim.SGD(net.parameters(), lr=args.lr)", "net", "optimizer"),
        ("self.opt = torch.optim.SGD(self.net.parameters(), lr=self.lr)", "self.net", "self.opt"),
        ("opts['d'] = torch.optim.Adam(nets['d'].parameters(), config['lr'])", "nets['d']", "opts['d']"),
        (
            "return torch.optim.SGD(build(cfg).parameters(), lr=cfg.lr, nesterov=cfg.nesterov)",
            "build(cfg)",
            "o",
        ),
        (
            "params = [p for p in net.parameters() if p.requires_grad]\no = torch.optim.SGD(params, lr)",
            "net",
            "o",
        ),
        ("return [torch.optim.AdamW(net.module.parameters(), betas=(args.b1, 0.9))], []", "net.module", "o"),
    ],
)
def test_replaying_a_construction(code: str, model: str, optimizer: str) -> None:
    wiring = {"path": "train.py", "model": model, "optimizer": optimizer, "after": code}
    net = nn.Linear(2, 2)
    scope: dict[str, Any] = {"torch": torch, "opts": {}}
    built = Region(wiring, "after", scope, stand_in=False).build(net)
    assert [id(p) for g in built.param_groups for p in g["params"]] == [id(p) for p in net.parameters()]


@pytest.mark.parametrize(
    "code", ["a = torch.optim.SGD(net.parameters(), lr)\nb = torch.optim.SGD(net.parameters(), lr)", "x = 1"]
)
@pytest.mark.parametrize(("side", "kind"), [("before", WiringError), ("after", WrongOptimizers)])
def test_a_construction_that_leaves_no_clear_optimizer(
    code: str, side: str, kind: type[BaseException]
) -> None:
    wiring = {"path": "train.py", "model": "net", "optimizer": "missing", side: code}
    with pytest.raises(kind, match="optimizers, not one"):
        Region(wiring, side, {"torch": torch}, stand_in=False).build(nn.Linear(2, 2))


def test_a_step_that_steps_nothing() -> None:
    wiring = {"path": "train.py", "model": "net", "optimizer": "opt", "after": "pass"}
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=1)
    step = Region(wiring, "after", {}, stand_in=False).stepper(net, optimizer, lambda: None)
    with pytest.raises(WiringError, match="does not step"):
        step()


@pytest.mark.parametrize(
    "statement",
    [
        "self.weight = torch.clamp(self.weight, 0, 1)",
        "self.weight.data = torch.clamp(self.weight.data, 0, 1)",
        "self.weight.data.clamp_(0, 1)",
        "self.weight.data *= (self.weight.data > 0) & (self.weight.data <= 1)\nself.weight.data.clamp_(0, 1)",
        "with torch.no_grad():\n    self.weight.clamp_(0, 1)",
    ],
)
def test_the_authors_statements_run_in_place(statement: str) -> None:
    layer = nn.Linear(2, 2)
    storage = layer.weight.data_ptr()
    layer.weight.data.copy_(torch.tensor([[-1.0, 0.5], [2.0, 0.25]]))
    Constraint([statement], {"torch": torch}, "net.py").apply(layer)
    assert bool(((layer.weight >= 0) & (layer.weight <= 1)).all())
    assert layer.weight.data_ptr() == storage


def test_a_reference_leaves_torch_as_it_was() -> None:
    before = (nn.Module.__setattr__, torch.Tensor.__iadd__, torch.Tensor.clamp_)
    layer = nn.Linear(2, 2)
    with Reference("copy"):
        layer.weight = torch.ones(2, 2)  # type: ignore[assignment]
        layer.weight.add_(1)
    assert isinstance(layer.weight, nn.Parameter)
    assert bool((layer.weight == 2).all())
    assert (nn.Module.__setattr__, torch.Tensor.__iadd__, torch.Tensor.clamp_) == before
    with pytest.raises(RuntimeError, match="leaf Variable"):
        layer.weight.add_(1)


def test_a_local_reference_ends_with_the_call() -> None:
    layer = nn.Linear(2, 2)
    kept = layer.weight
    with Reference("local") as reference:
        reference.called(layer)
        layer.weight = layer.weight * 2  # type: ignore[assignment]
        layer.bias.mul_(3)
        assert layer.weight.grad_fn is not None
        assert layer.bias.grad_fn is not None
        reference.returned()
        assert layer.weight is kept
        assert layer.bias.is_leaf


NEEDS_HELP = text(
    """
    class Net(nn.Module):
        def __init__(self, plan):
            super().__init__()
            if plan != "7c1e":
                raise ValueError(plan)
            self.lin = nn.Linear(3, 3)

        def forward(self, x):
            return self.lin(x)

        def backward(self, grad):
            return grad


    def make():
        return Net("7c1e"), (torch.randn(2, 3),)
    """
)


def test_the_users_harness_builds_what_nobody_could_guess(tmp_path: Path) -> None:
    after = NEEDS_HELP.replace("\n    def backward(self, grad):\n        return grad\n", "")
    case = Case(tmp_path, net=(NEEDS_HELP, after))
    contract = preserves(case.subject("net.py", "Net"))
    target = f"{case.path('net.py')}:Net"
    harnesses = (
        HarnessConfig(target, factory=f"{case.path('net.py')}:make"),
        HarnessConfig(target, args=("7c1e",), inputs=({"shape": [2, 3]},)),
    )
    for harness in harnesses:
        found = verify(case.job(contract), harnesses=(harness,))
        assert found.verdict is Verdict.EQUIVALENT, found.reason


def test_a_fix_that_kills_the_process_proves_nothing(tmp_path: Path) -> None:
    before = NEEDS_HELP.replace('if plan != "7c1e"', "if not plan").replace(
        "def __init__(self, plan)", "def __init__(self, plan=1)"
    )
    case = Case(tmp_path, net=(before, before.replace("return self.lin(x)", "import os; os._exit(3)")))
    found = case.verify(preserves(case.subject("net.py", "Net")))
    assert found.verdict is Verdict.UNVERIFIED
    assert found.reason == "the fixed code could not be run: exit status 3"


def test_rewinding_gives_back_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixer.verify.worker.observe.KEPT_BYTES", 5000)
    recorder = Recorder()
    mark = recorder.mark()
    for _ in range(2):
        recorder.rewind(mark)
        recorder.note("check", "first", torch.ones(1000))
        recorder.note("check", "second", torch.ones(1000))
        recorder.note("check", "small", torch.ones(2))
        kinds = [type(value) for _, _, value in recorder.entries]
        assert kinds == [torch.Tensor, list, torch.Tensor]


def test_calls_of_the_method_that_the_fix_is_about_need_no_run() -> None:
    code = "def fit(model):\n    for m in model:\n        m.project()\n    model.project()\n    step()\n"
    assert required(code, [[2, 4]], code, method="project") == []
    assert required(code, [[4, 5]], code, method="project") == [[(5, 5)]]


@pytest.mark.parametrize("size", [0, 1, 3, 17])
def test_tensors_of_every_kind_come_back_from_a_file(tmp_path: Path, size: int) -> None:
    kinds = (torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float64, torch.complex64)
    file = str(tmp_path / "record")
    before = {str(kind): torch.arange(size).to(kind) for kind in kinds}
    before["turned"] = torch.arange(6.0).view(2, 3).t()
    records.write(file, before)
    after = records.read(file)
    assert list(after) == list(before)
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype
        assert torch.equal(after[name], tensor)


def test_a_record_that_is_no_plain_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold a object"):
        records.write(str(tmp_path / "record"), [object()])


def test_names_come_as_torch_itself_gives_them() -> None:
    shared = nn.Linear(2, 3)
    norm = nn.BatchNorm1d(3)
    net = nn.Sequential(shared, nn.Sequential(norm, shared), nn.TransformerEncoderLayer(4, 2))
    net.register_parameter("missing", None)
    net.alias = shared.weight
    for ours, theirs in ((parameters(net), net.named_parameters), (buffers(net), net.named_buffers)):
        wanted = list(theirs(remove_duplicate=False))
        assert [name for name, _ in ours] == [name for name, _ in wanted]
        assert all(one is two for (_, one), (_, two) in zip(ours, wanted, strict=True))


def test_a_module_inside_of_itself_is_an_error() -> None:
    net = nn.Module()
    net.inner = net
    with pytest.raises(RecursionError):
        parameters(net)
