"""Volumes: lists that have an item for each axis, and sides that stay when a model is made smaller."""

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import arguments_for, synthesize
from fixer.verify.worker.synthesis.arguments import Context
from fixer.verify.worker.synthesis.repair_arguments import Plan
from fixer.verify.worker.synthesis.shrinking import shrunk
from fixer.verify.worker.synthesis.source import Sources
from fixer.verify.worker.synthesis.specs import text_of
from tests.synthesis_support import require_differentiated

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Cubes(nn.Module):
    """Cuts a volume of one size into cubes; nothing says that both lists have three items."""

    def __init__(self, width: int, cube_size: tuple[int, ...], grid_shape: tuple[int, ...] | None = None):
        super().__init__()
        assert grid_shape is not None
        assert len(grid_shape) == 3, "only volumes"
        if width % 9:
            raise ValueError("the width must be divsible by nine")
        cells = [whole // part for whole, part in zip(grid_shape, cube_size, strict=False)]
        self.cut = (nn.Conv2d if len(cube_size) == 2 else nn.Conv3d)(2, width, cube_size, cube_size)
        self.places = nn.Parameter(torch.zeros(1, width, *cells))
        self.norm = nn.InstanceNorm3d(width, affine=True)

    def forward(self, x):
        return self.norm(self.cut(x) + self.places)


class Ordered(nn.Module):
    """Takes shares, and says so in a guard."""

    def __init__(self):
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(()))

    def forward(self, x, share):
        assert ((share >= 0.0) & (share <= 1.0)).all()
        return (x * self.sharpness).softmax(-1) * share


class Large(nn.Module):
    def __init__(self, planes: int = 64, image_size: int = 64):
        super().__init__()
        self.fc = nn.Linear(planes * image_size, planes)


@pytest.mark.parametrize("cls", [Cubes, Ordered])
def test_it_runs(cls):
    require_differentiated(cls, BUDGET)


def test_lists_grow_together():
    built = arguments_for(Cubes, {}, BUDGET).construct
    assert built is not None
    lengths = {len(spec["items"]) for _, spec in [*built.args, *built.kwargs.items()] if "items" in spec}
    assert lengths == {3}


def test_what_is_held_against_numbers_is_drawn_between_them():
    given = dict(synthesize(Ordered, {}, BUDGET).inputs.args)["share"]
    assert (given["dtype"], given.get("low"), given.get("high")) == ("float32", 0, 1)


def test_models_shrink_before_their_sides():
    plan = Plan(Large, Context(Sources({}, Large)))
    state = plan.start() | {name: {"kind": "literal", "value": 64} for name in ("planes", "image_size")}
    found = [{name: text_of(spec) for name, spec in item.items()} for item in shrunk(state, plan)]
    assert found[:2] == [{"planes": "8", "image_size": "64"}, {"planes": "8", "image_size": "8"}]


class Probed(nn.Module):
    """Its constructor runs its layers to see what is left of an image."""

    def __init__(self, input_shape, n_actions):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(input_shape[0], 4, 8, 4), nn.Conv2d(4, 4, 4, 2), nn.Conv2d(4, 4, 3)
        )
        left = self.layers(torch.zeros(1, *input_shape))
        self.head = nn.Linear(left.numel(), n_actions)

    def forward(self, x):
        return self.head(self.layers(x).flatten(1))


def test_constructors_that_run_their_layers_get_larger_sides():
    require_differentiated(Probed, 1.0)
    assert "input_shape=(16, 64, 64)" in synthesize(Probed, {}, 1.0).describe().replace("[", "(").replace(
        "]", ")"
    )
