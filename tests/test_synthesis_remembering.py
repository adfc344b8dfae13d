"""Modules that a failed call changes, orders of axes, makers of layers, variants of one model."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import specs, synthesize
from fixer.verify.worker.synthesis.arguments import Context
from fixer.verify.worker.synthesis.source import Sources
from tests.synthesis_support import require_differentiated

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Spiking(nn.Module):
    """Adds up what it has been given: the shape of its first input is that of all later ones."""

    def __init__(self):
        super().__init__()
        self.held = 0.0

    def forward(self, x):
        self.held = self.held + x
        return torch.sigmoid(self.held)


class SpikingDigits(nn.Module):
    """Only takes images of one size, which a call with another size makes it refuse."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.spiking = Spiking()
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(4 * 14 * 14, 10)

    def forward(self, x):
        return self.fc(self.pool(self.spiking(self.conv(x))).flatten(1))


class Ordered(nn.Module):
    """Is told the order of the axes."""

    def __init__(self, axes):
        super().__init__()
        self.axes = axes
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x.permute(*self.axes).contiguous() * self.scale


class Waiting(nn.Module):
    """Holds a state without any elements until it is told how large a batch is."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.register_buffer("held", torch.zeros(0))

    def set_batch_size(self, batch_size):
        self.held = torch.zeros(batch_size, 8)

    def forward(self, x):
        if not len(self.held):
            raise RuntimeError("nothing is held yet")
        return self.fc(x) + self.held.mean(0)


class ShapedSpline(nn.Module):
    """Can be built by any call with two numbers, but takes a list first."""

    def __init__(self, shape, bins):
        super().__init__()
        self.widths = nn.Parameter(torch.zeros(*shape, bins))

    def forward(self, x):
        return x * self.widths.mean()


class LinearSpline(ShapedSpline):
    pass


class CubicSpline(ShapedSpline):
    pass


class Base(nn.Module):
    def __init__(self, transform_net_create_fn):
        super().__init__()
        self.net = transform_net_create_fn(32, 16)

    def forward(self, x):
        return self.net(x)


class Coupling(Base):
    """Hands a maker of layers on to its base."""

    def __init__(self, transform_net_create_fn, bins=4):
        super().__init__(transform_net_create_fn)
        self.bins = 2 * bins + 1


class Tower(nn.Module):
    """Is built in more and more ways, the largest last."""

    def __init__(self, counts):
        super().__init__()
        first, second = counts
        self.layers = nn.Sequential(*(nn.Linear(8, 8) for _ in range(first * second)))

    def forward(self, x):
        return self.layers(x)


def tower_small():
    return Tower([2, 3])


def tower_large():
    return Tower([30, 40])


class Pipeline(nn.Module):
    """Looks modules up in a table, and checks settings by names that it lists."""

    NEEDED = ("rate",)

    def __init__(self, modules=None, hparams=None):
        super().__init__()
        if hparams is None:
            raise ValueError("Need to provide hparams")
        for name in self.NEEDED:
            if name not in hparams:
                raise ValueError(f"Need hparams['{name}']")
        self.rate = hparams["rate"]
        self.mods = nn.ModuleDict(modules)

    def forward(self, waves):
        return self.mods.encoder(waves) / self.rate


class Reflected(nn.Module):
    """Folds a signal into rows and pads each with its mirror image, which cannot be longer than it is."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 5)

    def forward(self, x):
        rows, channels, length = x.shape
        x = nn.functional.pad(x, (0, -length % 4), "reflect")
        x = x.view(rows, channels, -1, 4)
        return self.conv(nn.functional.pad(x, (2, 2, 2, 2), "reflect"))


class Target(nn.Module):
    """Says of what it is given that it needs no gradients, and turns it into an array."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, target):
        for row in target:
            row.requires_grad = False
        return self.fc(x).sum() * float(target.numpy().sum())


class Classifier(nn.Module):
    """Its features are pooled to squares of seven: how many channels there are, only the last layer says."""

    def __init__(self, features):
        super().__init__()
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.fc = nn.Linear(512 * 49, 2)

    def forward(self, x):
        return self.fc(self.pool(self.features(x)).flatten(1))


@pytest.mark.parametrize(
    "cls", [Pipeline, Reflected, Target, Classifier, SpikingDigits, Ordered, Waiting, Coupling, Tower]
)
def test_a_class_is_built_called_and_differentiated(cls: type) -> None:
    require_differentiated(cls, BUDGET)


def test_what_failed_calls_left_behind_does_not_count() -> None:
    assert synthesize(SpikingDigits, {}, BUDGET).describe().endswith("forward(x: float32[2, 1, 28, 28])")


def test_the_smallest_of_a_file_s_variants_comes_first() -> None:
    assert synthesize(Tower, {}, BUDGET).describe().startswith("Tower(counts=[2, 3])")


def test_what_creates_a_layer_is_a_function_whatever_classes_the_file_has() -> None:
    context = Context(Sources({}), [ShapedSpline, LinearSpline, CubicSpline])
    parameter = inspect.signature(Coupling).parameters["transform_net_create_fn"]
    assert next(context.candidates(parameter, Coupling.__init__)) == specs.helper("make_layer")
