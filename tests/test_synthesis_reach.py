"""What a class needs to be built and called, from others: owners, lists of maps, units, named inputs."""

# ruff: noqa: B905, RUF059, UP006, UP035, UP045 (models as people write them)

from dataclasses import dataclass
from typing import List, Optional

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import (
    HarnessError,
    synthesize,
)
from tests.synthesis_support import require_differentiated

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Secret:
    """Nobody else can make one."""

    def __init__(self, width: int) -> None:
        self.width = width


def secret():
    width = sum(range(127)) - 82
    return Secret(width)


class Inner(nn.Module):
    """Cannot be built without what only `Outer` knows how to make."""

    def __init__(self, secret):
        super().__init__()
        if type(secret).__name__ != "Secret" or secret.width != 7919:
            raise RuntimeError("no")
        self.fc = nn.Linear(12, 12)

    def forward(self, x, *, scale):
        if x.shape[1] != 13:
            raise RuntimeError("no")
        return self.fc(x) * scale


class Outer(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.layers = nn.ModuleList([Inner(secret()) for _ in range(depth)])
        self.fc = nn.Linear(4, 13 * 12)

    def forward(self, x):
        x = self.fc(x).view(-1, 13, 12)
        for layer in self.layers:
            x = layer(x, scale=0.5)
        return x


class Necks(nn.Module):
    def __init__(self, channels: List[int] = (8, 16, 32)):
        super().__init__()
        self.lateral = nn.ModuleList([nn.Conv2d(count, 4, 1) for count in channels])

    def forward(self, features: List[torch.Tensor]) -> torch.Tensor:
        maps = [layer(feature) for layer, feature in zip(self.lateral, features)]
        top = maps[-1]
        for lower in reversed(maps[:-1]):
            top = nn.functional.interpolate(top, scale_factor=2) + lower
        if len(features) != len(self.lateral):
            raise RuntimeError("no")
        return top


class Windows(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.window = 35

    def forward(self, x):
        b, n, c = x.shape
        assert n % self.window == 0, "must fit"
        return self.fc(x)


class NeedsLabels(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x, labels: Optional[torch.LongTensor] = None):
        if labels is None:
            raise ValueError("labels are required")
        return nn.functional.cross_entropy(self.fc(x), labels)


class OverwritesWhatBackwardNeeds(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        x = x - x.mean(1, keepdim=True)
        x /= x.var(1, keepdim=True)
        return self.fc(x)


class Chooses(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x, how: str):
        if how == "norm-it":
            return x * self.gain
        raise NotImplementedError


@dataclass
class Plan:
    sizes: tuple
    stride: int


PLANS = {"small": Plan(sizes=((5, 7), (7, 9)), stride=11)}
NET_CONFIGS = {"tiny": {"stages": [[3, 5], [5, 4]], "end": {"size": 4}}}


class FromPlan(nn.Module):
    def __init__(self, plan: Plan):
        super().__init__()
        assert plan.stride == 11
        self.layers = nn.Sequential(*(nn.Linear(a, b) for a, b in plan.sizes))

    def forward(self, x):
        return self.layers(x)


class FromTable(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        stages = [nn.Linear(a, b) for a, b in cfg["stages"]]
        self.layers = nn.Sequential(*stages, nn.Linear(cfg["end"]["size"], 2))

    def forward(self, x):
        return self.layers(x)


class FromNames(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        if recipe != ["a3", "b4"]:
            raise KeyError
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        return self.fc(x)


def describe(recipe):
    return str(recipe)


TEXT = describe(recipe=["a3", "b4"])


@pytest.mark.parametrize(
    "cls",
    [
        *(Inner, Outer, Necks, Windows, NeedsLabels, OverwritesWhatBackwardNeeds, Chooses),
        *(FromPlan, FromTable, FromNames),
    ],
)
def test_a_class_is_built_called_and_differentiated(cls: type) -> None:
    require_differentiated(cls, BUDGET)


def test_evidence_says_where_a_part_was_taken_out() -> None:
    found = synthesize(Inner, {}, BUDGET)
    assert found.origin == "a part of Outer"
    assert found.describe() == "Inner, layers.0 of Outer(); forward(x: float32[2, 13, 12], scale: 0.5)"


def test_what_nobody_can_run_is_not_found_in_a_model_either() -> None:
    class Base(nn.Module):
        def forward(self, x):
            return super().forward(x)

    with pytest.raises(HarnessError, match="Base is abstract: it has no forward"):
        synthesize(Base, {}, 0.5)
