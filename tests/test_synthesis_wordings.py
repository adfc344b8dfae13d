"""Messages that say in their own words which argument is wrong."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import mismatch, repair_arguments, repair_shapes, source, specs
from fixer.verify.worker.synthesis.arguments import Context
from tests.synthesis_support import require_differentiated, require_soon


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
    require_differentiated(cls, 20.0)  # a busy machine must not matter


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


class Enlarged(nn.Module):
    """Has something of three axes made larger: only the message says so."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return nn.functional.interpolate(x * self.gain, size=(8, 8, 8), mode="nearest")


def test_what_is_resized_has_as_many_sides_as_it_will_have() -> None:
    require_soon(Enlarged, 12)


def checked(function):
    """Hold a constructor to its annotations, in the words of those who do."""

    @functools.wraps(function)
    def inner(self, **given):
        for name, value in given.items():
            hint = function.__annotations__[name]
            if not isinstance(value, {"str": str, "float": float}[hint]):
                raise TypeError(f"Method __init__() parameter {name}={value!r} violates type hint {hint!r}.")
        function(self, **given)

    return inner


class Strict(nn.Module):
    """Takes a path for what others would leave out, and no whole number where it wants a fraction."""

    @checked
    def __init__(self, *, resume_from: str = "", layers: float, steps: float):
        super().__init__()
        if resume_from is None:
            raise RuntimeError("no")
        self.layer, self.scale = nn.Linear(4, 4), layers * steps

    def forward(self, x):
        return self.layer(x) * self.scale


def test_what_is_held_to_its_annotation_is_left_out_or_of_that_type() -> None:
    state = {"layers": specs.literal(2), "steps": specs.literal(0.5), "resume_from": specs.literal(None)}
    plan = repair_arguments.Plan(Strict, Context(source.Sources({}, Strict)))
    error = TypeError("Method __init__() parameter resume_from=None violates type hint <class 'str'>.")
    failure: Any = SimpleNamespace(message=str(error), error=error, own_frames=[])
    first = next(iter(repair_arguments.repairs(failure, state, plan)))
    assert "resume_from" not in first
    require_differentiated(Strict, 20.0)


class Tapped(nn.Module):
    """Reads what a layer inside of a network returned, which twelve numbers flow into."""

    def __init__(self, network, place=-2):
        super().__init__()
        self.network = network
        [*network.children()][place].register_forward_hook(self.keep)

    def keep(self, _layer, _inputs, output):
        self.kept = output

    def forward(self, x):
        self.network(x.reshape(-1, 12))
        return self.kept


def test_the_layers_of_a_row_take_what_flows_into_them() -> None:
    require_soon(Tapped, 40)


def test_more_than_a_bound_is_wanted() -> None:
    failure: Any = SimpleNamespace(
        message="Input length (32) must be larger than the window (64).", error=None
    )
    failure.own_frames = []
    assert next(mismatch.sizes(failure, source.Sources({}))) == (32, 65)
    failure.message = "has to be longer than 48 samples, but got 12 of them"
    assert next(mismatch.sizes(failure, source.Sources({}))) == (12, 49)


class Longer(nn.Module):
    """As long as the window is not enough, which no message says."""

    def __init__(self, window=40):
        super().__init__()
        self.window, self.gain = window, nn.Parameter(torch.ones(1))

    def forward(self, x):
        length = x.shape[-1]
        if length <= self.window:
            raise ValueError("too short")
        return x[..., self.window] * self.gain


def test_to_be_equal_is_not_enough() -> None:
    require_soon(Longer, 12)
