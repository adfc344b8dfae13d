from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from fixer.facts.torch_facts import SAME_OBJECT_METHODS, canonical, torch_facts

ROOT = Path(__file__).parent.parent
FACTS = ROOT / "fixer" / "facts" / "torch_facts.json"


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """The script that writes the facts."""
    spec = importlib.util.spec_from_file_location("torch_facts_script", ROOT / "tools" / "torch_facts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_facts_are_what_the_installed_torch_says(reader: ModuleType) -> None:
    stored = json.loads(FACTS.read_text("utf-8"))
    if stored["torch"] != torch.__version__.split("+")[0]:
        pytest.skip(f"the facts are of torch {stored['torch']}")
    assert reader.read_facts() == stored


@pytest.mark.parametrize(
    ("name", "slots"),
    [
        ("Linear", {"weight": "parameter", "bias": "parameter"}),
        ("LSTM", {f"{kind}_{part}_l0": "parameter" for kind in ("weight", "bias") for part in ("ih", "hh")}),
        ("ReLU", {}),
    ],
)
def test_slots(name: str, slots: dict[str, str]) -> None:
    assert torch_facts().layers[name].slots == slots


def test_flags_change_slots() -> None:
    assert torch_facts().layers["Linear"].flags == {"bias": {"False": {"bias": "none"}}}
    assert "weight" in torch_facts().layers["InstanceNorm2d"].flags["affine"]["True"]


@pytest.mark.parametrize("name", ["flatten", "dropout", "as_tensor", "real", "to", "positive"])
def test_functions_that_may_return_their_argument(name: str) -> None:
    assert name in torch_facts().may_return_argument


@pytest.mark.parametrize("name", ["clamp", "clone", "detach", "mul", "relu", "softmax", "view", "expand"])
def test_functions_that_never_do(name: str) -> None:
    assert name not in torch_facts().may_return_argument
    assert name not in SAME_OBJECT_METHODS


@pytest.mark.parametrize("name", ["split", "unbind", "max", "topk", "size", "svd"])
def test_functions_that_return_more_than_a_tensor(name: str) -> None:
    assert name not in torch_facts().functions


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (nn.Linear, "torch.nn.Linear"),
        (nn.Parameter, "torch.nn.Parameter"),
        (nn.DataParallel, "torch.nn.DataParallel"),
        (nn.parallel.DistributedDataParallel, "torch.nn.parallel.DistributedDataParallel"),
        (torch.optim.Adam, "torch.optim.Adam"),
        (torch.optim.Optimizer, "torch.optim.Optimizer"),
        (torch.autograd.Function, "torch.autograd.Function"),
        (torch.no_grad, "torch.no_grad"),
        (torch.optim.lr_scheduler.StepLR, "torch.optim.lr_scheduler.StepLR"),
    ],
)
def test_where_a_class_lives_leads_to_its_usual_name(written: type, name: str) -> None:
    assert canonical(f"{written.__module__}.{written.__qualname__}") == name
    assert canonical(name) == name
