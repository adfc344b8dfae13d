"""The oracles on their own: what they find right, what wrong, and which of them decides."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from fixer.verify.worker.bench import Bench
from fixer.verify.worker.oracles import directional
from fixer.verify.worker.synthesis import synthesize


def ask(cls: type[nn.Module]) -> Any:
    return directional(Bench(cls, synthesize(cls, {}, 5.0), 0))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 5, num_layers=2, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.rnn(x)[0]


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x)
        return F.scaled_dot_product_attention(query, query, query)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Any:
        return self.head(self.words(tokens))


class Rough(nn.Module):
    """Its slope is right everywhere and changes within any step that finite differences can take."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight * 1e9).sin()


class Pulled(nn.Module):
    """The slope of a softmax has a formula for forward mode in Python only."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Any:
        likely = torch.softmax(self.fc(x), -1)
        return torch.autograd.grad(likely[..., 0].sum(), self.fc.weight, create_graph=True)[0]


@pytest.mark.parametrize("cls", [Recurrent, Attending, Tied, Rough, Pulled])
def test_forward_mode_agrees_to_the_last_digits(cls: type[nn.Module]) -> None:
    found = ask(cls)
    assert found["agrees"]
    assert found["judge"] == "forward mode"
    assert found["forward_mode"]["relative"] < 1e-12
    assert (found["relative"] < 1e-6) == (cls is not Rough)


@pytest.mark.parametrize(("cls", "loads"), [(Recurrent, False), (Pulled, True)])
def test_formulas_in_python_are_loaded_only_for_what_has_no_other(cls: type[nn.Module], loads: bool) -> None:
    name = "torch._decomp.decompositions_for_jvp"
    code = f"""
import sys
from tests.test_verify_oracles import {cls.__name__}, ask
print(ask({cls.__name__})["judge"], {name!r} in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[-2] == f"forward mode {loads}"


class Slightly(nn.Module):
    """Its gradient is wrong by less than finite differences can tell."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Any:
        hidden = self.fc(x)
        hidden.register_hook(lambda grad: grad * (1 + 1e-6))
        return hidden


def test_a_slightly_wrong_gradient_is_seen() -> None:
    found = ask(Slightly)
    assert not found["agrees"]
    assert found["judge"] == "forward mode"
    assert found["relative"] < 1e-5


class _Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 3

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * 3


class Custom(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Any:
        return _Own.apply(self.fc(x))


class Stopping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            scale = self.fc(x)
        return self.fc(x) * scale


def test_where_forward_mode_is_missing_finite_differences_decide() -> None:
    found = ask(Custom)
    assert found["agrees"]
    assert found["judge"] == "finite differences"
    assert "jvp" in found["forward_mode"]["reason"]


def test_where_gradients_are_stopped_finite_differences_decide() -> None:
    found = ask(Stopping)
    assert not found["agrees"]
    assert found["judge"] == "finite differences"
    assert found["stops"] == ["no_grad"]


class Untrained(nn.Module):
    """It has to be called in training mode first."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.ready = False

    def forward(self, image: Tensor) -> Tensor:
        if self.training:
            self.ready = True
        if not self.ready:
            raise ValueError("not initialised")
        return image * self.scale


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Any:
        return self.fc(x)


@pytest.mark.parametrize(("cls", "mode"), [(Untrained, "train"), (Lazy, "eval")])
def test_models_that_need_a_call_first(cls: type[nn.Module], mode: str) -> None:
    found = ask(cls)
    assert found["agrees"]
    assert found["mode"] == mode
