"""Constructors that take any number of arguments."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import build, call, make_inputs, synthesize
from tests.synthesis_support import require_differentiated


class Reshaped(nn.Module):
    """Has no way to say that nothing changes."""

    def __init__(self, *sizes):
        super().__init__()
        self.sizes = sizes

    def forward(self, x):
        return x.view(*self.sizes)


class Reordered(nn.Module):
    """The order of the axes comes after a number that is optional."""

    def __init__(self, scale=2.0, *order):
        super().__init__()
        self.scale, self.order = scale, order

    def forward(self, x):
        return self.scale * x.permute(*self.order)


class SideBySide(nn.Module):
    """There has to be something to put side by side."""

    def __init__(self, *branches, dim=-1):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.dim = dim

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=self.dim)


class Stack(nn.Module):
    """Needs an end at least."""

    def __init__(self, *widths):
        super().__init__()
        pairs = itertools.pairwise(widths)
        self.layers = nn.Sequential(*[nn.Linear(before, after) for before, after in pairs])
        self.last = nn.Linear(widths[-1], 3)

    def forward(self, x):
        return self.last(self.layers(x))


@pytest.mark.parametrize("cls", [Reshaped, Reordered])
def test_numbers_are_given(cls: type) -> None:
    found = synthesize(cls, {}, 20.0)
    args, kwargs = make_inputs(found, 1)
    assert isinstance(call(build(cls, found), args, kwargs), torch.Tensor)


@pytest.mark.parametrize("cls", [SideBySide, Stack])
def test_as_many_are_given_as_are_needed(cls: type) -> None:
    require_differentiated(cls, 20.0)


class Paired(nn.Module):
    """Is built in one way only."""

    def __init__(self, first, *rest):
        super().__init__()
        if [first, *rest] != [3, 5, 7]:
            raise RuntimeError("no")
        self.layer = nn.Linear(first, rest[0] + rest[1])

    def forward(self, x):
        return self.layer(x)


def usual() -> Paired:
    return Paired(3, 5, 7)


def test_what_others_give_is_read() -> None:
    assert synthesize(Paired, {}, 20.0).describe() == "Paired(3, 5, 7); forward(x: float32[2, 3])"
