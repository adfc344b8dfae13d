"""Messages that say in their own words which argument is wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from fixer.verify.worker.synthesis import mismatch, repair_arguments, repair_shapes, specs
from tests.synthesis_support import require_differentiated


class OneOfTwo(nn.Module):
    """Needs one of two sizes."""

    def __init__(self, a=None, b=None, c=None, d=None, e=None, f=None, features=None, channels=None):
        super().__init__()
        self.options = [item for item in (a, b, c, d, e, f) if item is not None]
        if (features is None) == (channels is None):
            raise ValueError("Specify exactly one of features or channels.")
        if self.options:
            raise RuntimeError("no")
        self.layer = nn.Linear(features or channels, 4)

    def forward(self, x):
        return self.layer(x)


class Volume(nn.Module):
    """Was meant for volumes; counts the axis that it splits from the first one after batch and channels."""

    def __init__(self, spatial_dims, width, part):
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError("spatial_dims must be 2 or 3")
        self.conv = (nn.Conv2d if spatial_dims == 2 else nn.Conv3d)(width, width, 1)
        self.part = part

    def forward(self, x):
        pieces = [self.conv(piece) for piece in x.split(1, dim=self.part + 2)]
        return [piece[:, :, :, :, 0] for piece in pieces]


class Named(nn.Module):
    """Says which names there are, in no other words."""

    def __init__(self, width, way="relu"):
        super().__init__()
        names = ["GELU", "SiLU"]
        if way not in names:
            raise ValueError(f"{way!r} is not in {names}.")
        self.layer, self.way = nn.Linear(width, width), getattr(nn, way)()

    def forward(self, x):
        return self.way(self.layer(x))


@pytest.mark.parametrize("cls", [Named, OneOfTwo, Volume])
def test_it_runs(cls: type) -> None:
    require_differentiated(cls, 2.0)


@pytest.mark.parametrize("text", ["Specify exactly one of a or b.", "Please provide `a`", "a is required"])
def test_it_says_that_something_was_left_out(text: str) -> None:
    assert repair_arguments._LEFT_OUT.search(text)


def test_only_what_is_joined_gets_another_rank() -> None:
    state = {name: specs.tensor([2, 24]) for name in ("x", "skips", "t")}
    state["skips"] = specs.sequence("tuple", [specs.tensor([2, 8])] * 2)
    paths = [("x",), ("skips", "0"), ("skips", "1"), ("t",)]
    case: Any = SimpleNamespace(
        message="Tensors must have same number of dimensions: got 2 and 4",
        state=state,
        involved=[("skips", "1")],
        suspects=[(path, specs.at(state, path)) for path in paths],
    )
    images, _ = repair_shapes._joined(case)
    assert [specs.at(images, path)["shape"] for path in paths] == [
        *([2, 24], [2, 8, 16, 16], [2, 8, 16, 16], [2, 24]),
    ]


def test_what_is_joined_has_the_higher_rank_first() -> None:
    assert mismatch.joined_ranks("Tensors must have same number of dimensions: got 1 and 4") == [4, 1]
