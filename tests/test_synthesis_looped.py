"""Inputs that are lists, and layers that are arguments: what loops, indices and containers ask of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.synthesis_support import require_soon

CALLS = 12
"""As many calls as what is known at once takes: two attempts, each with a second one in a fresh model."""


class EachThrough(nn.Module):
    """Volumes, one after the other through the same layer."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv3d(12, 4, 1), nn.Conv3d(12, 4, 3, padding=1)])

    def forward(self, volumes: list[torch.Tensor]) -> list[torch.Tensor]:
        found = []
        for volume in volumes:
            parts = [conv(volume) for conv in self.convs]
            found.append(torch.cat(parts, dim=1).mean((2, 3, 4)))
        return found


class InStep(nn.Module):
    """As many inputs as layers, each as wide as its layer."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(5, 8), nn.Linear(9, 8), nn.Linear(11, 8)])

    def forward(self, views):
        found = []
        for place, (layer, view) in enumerate(zip(self.layers, views, strict=True)):
            found.append(layer(view) * (place + 1))
        return torch.stack(found).sum(0)


class ByIndex(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 3
        self.layers = nn.ModuleList([nn.Conv2d(width, 8, 1) for width in (5, 9, 11)])

    def forward(self, views):
        return sum(self.layers[i](views[i]).mean((2, 3)) for i in range(self.count))


class Pyramid(nn.Module):
    """Each map is half as high and wide as the one before."""

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(7, 4, 1), nn.Conv2d(13, 4, 1)

    def forward(self, inputs):
        fine, coarse = self.fine(inputs[0]), self.coarse(inputs[1])
        if coarse.shape[-1] * 2 != fine.shape[-1]:
            raise ValueError("the sides do not fit")
        return fine + nn.functional.interpolate(coarse, scale_factor=2.0)


class Apart(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(7, 4), nn.Conv1d(13, 4, 1)

    def forward(self, both):
        rows, signal = both
        return self.first(rows) + self.second(signal).mean(2)


@pytest.mark.parametrize("cls", [EachThrough, InStep, ByIndex, Pyramid, Apart])
def test_items_of_lists_are_what_their_layers_take(cls: type) -> None:
    require_soon(cls, CALLS)


class WithActivation(nn.Module):
    """The activation is one of several layers in a row, not a list of layers."""

    def __init__(self, width: int, activation: nn.Module):
        super().__init__()
        self.body = nn.Sequential(nn.Conv3d(width, width, 1), nn.BatchNorm3d(width), activation)

    def forward(self, volumes: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self.body(volume) for volume in volumes]


def test_what_stands_among_layers_is_a_layer() -> None:
    require_soon(WithActivation, CALLS)
