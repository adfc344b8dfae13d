"""Series in records: as long and as wide as a model was told, in records of records."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import names, repair_series, repair_values, specs
from tests.synthesis_support import require_soon

LENGTH, WIDTH = 12, 32


class Filled(nn.Module):
    """Mixes over time, which it knows the length of, what it has joined."""

    def __init__(self, n_steps, n_features, hidden):
        super().__init__()
        self.enter = nn.Linear(2 * n_features, hidden)
        self.mix = nn.Linear(n_steps, n_steps)
        self.leave = nn.Linear(hidden, n_features)

    def forward(self, inputs: dict) -> torch.Tensor:
        x, there = inputs["x"], inputs["there"]
        hidden = self.enter(torch.cat([x, there], -1))
        mixed = self.mix(hidden.transpose(1, 2)).transpose(1, 2)
        return x * there + (1 - there) * self.leave(mixed)


class BothWays(nn.Module):
    """Reads a record of each direction."""

    def __init__(self, n_steps, n_features):
        super().__init__()
        self.n_steps = n_steps
        self.layer = nn.Linear(2 * n_features, 4)

    def forward(self, inputs: dict) -> torch.Tensor:
        first = inputs["forward"]["x"]
        second = inputs["backward"]["x"]
        steps = [torch.cat([first[:, t, :], second[:, t, :]], -1) for t in range(self.n_steps)]
        return self.layer(torch.stack(steps, 1))


class Settled(nn.Module):
    """Its sizes stand in settings, of which one is looked up in a table."""

    def __init__(self, settings):
        super().__init__()
        marks = {"hour": 4, "day": 3}
        self.marks = nn.Linear(marks[settings.unit], settings.d_model)
        self.enter = nn.Linear(2 * settings.enc_in, settings.d_model)
        self.mix = nn.Linear(settings.seq_len, settings.pred_len)

    def forward(self, x, there, marked):
        hidden = self.enter(torch.cat([x, there], -1)) + self.marks(marked)
        return self.mix(hidden.transpose(1, 2)).transpose(1, 2)


class Scales(nn.Module):
    """Goes through its list from the end."""

    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, scales):
        scales.reverse()
        found = [scales[0]]
        for scale in scales[1:]:
            found.append(self.layer(scale) + found[-1])
        return found


class Medians(nn.Module):
    """Reads all that a record holds."""

    def __init__(self, n_features):
        super().__init__()
        self.layer = nn.Linear(n_features, 4)

    def forward(self, x, medians=None, gaps=None):
        if gaps is None:
            raise ValueError("gaps must be given")
        return self.layer(x) * torch.tensor([0.5, *gaps.values()]).sum()


class Stacks(nn.Module):
    """Returns nothing where there are more stacks than it knows of."""

    def __init__(self, width, n_stacks):
        super().__init__()
        self.layer, self.n_stacks = nn.Linear(width, width), n_stacks

    def forward(self, x):
        if self.n_stacks == 1:
            return self.layer(x)
        if self.n_stacks == 2:
            return self.layer(self.layer(x))
        return None


CALLS = [(Filled, 20), (BothWays, 25), (Settled, 60), (Scales, 20), (Medians, 20), (Stacks, 4)]


@pytest.mark.parametrize(("cls", "calls"), CALLS)
def test_what_is_asked_for_is_known_soon(cls: type, calls: int) -> None:
    require_soon(cls, calls)


def test_all_become_series_of_the_sizes_that_were_told() -> None:
    state = {"x": specs.tensor([2, 5]), "there": specs.tensor([2, 7, 9]), "ids": specs.tensor([2], "int64")}
    tensors = {(name,): spec for name, spec in state.items()}
    values = {"n_steps": LENGTH, "n_features": WIDTH, "pred_len": 3}
    case: Any = SimpleNamespace(state=state, tensors=tensors, probe=SimpleNamespace(values=values))
    case.failure = SimpleNamespace(error=RuntimeError())
    first, second = repair_series.known(case)
    assert [spec["shape"] for spec in first.values()] == [[2, LENGTH, WIDTH], [2, LENGTH, WIDTH], [2]]
    assert [spec["shape"] for spec in second.values()] == [[2, WIDTH, LENGTH], [2, WIDTH, LENGTH], [2]]
    case.failure.error = TypeError()
    assert not list(repair_series.known(case))


def test_the_width_of_a_model_is_no_model() -> None:
    assert [names.kind_of(name) for name in ("d_model", "dim_model", "base_model")] == [
        "int",
        "int",
        "module",
    ]


def test_what_a_table_does_not_have_is_replaced_inside_of_settings() -> None:
    state = {"settings": specs.namespace({"unit": specs.literal(32), "size": specs.literal(4)})}
    found = list(repair_values._looked_up_inside((32,), ["hour", "day"], state))
    assert [changed["settings"]["items"]["unit"]["value"] for changed in found] == ["hour", "day"]
