"""What has to be called on an object before it can be called itself."""

import json

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import HarnessError, Recipe, build, call, make_inputs, synthesize

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Styled(nn.Module):
    """Its style is kept from one call to the next."""

    def __init__(self, channels, style_dim):
        super().__init__()
        self.channels, self.style_dim = channels, style_dim
        self.fc = nn.Linear(style_dim, channels)
        self.style = None

    def clear(self):
        self.style = None

    def set_style(self, style):
        self.style = style.reshape(self.style_dim)

    def forward(self, x):
        assert self.style is not None, "there is no style yet"
        return nn.functional.group_norm(x, self.channels, self.fc(self.style))


class Wrapper(nn.Module):
    """The model comes later, and there is no name for it before."""

    def __init__(self, scale=2.0):
        super().__init__()
        self.scale = scale

    def wrap(self, model):
        self.model = model
        return self

    def forward(self, x):
        return self.model(x * self.scale)


class Filled(nn.Module):
    """Nobody can fill what it reads."""

    def __init__(self):
        super().__init__()
        self.table = None

    def forward(self, x):
        return x + self.table["offset"]


@pytest.mark.parametrize(("cls", "called"), [(Styled, "set_style(style=float32["), (Wrapper, "wrap(model=")])
def test_a_method_that_sets_what_was_unset_is_called_first(cls, called):
    found = Recipe.from_json(json.loads(json.dumps(synthesize(cls, {}, BUDGET).to_json())))
    assert f").{called}" in found.describe()
    for _ in range(2):  # what was set must not hang on a graph that is gone after the first
        module = build(cls, found)
        call(module, *make_inputs(found, 3)).sum().backward()
        assert all(item.grad is not None for item in module.parameters())


def test_what_no_method_sets_stays_unset():
    with pytest.raises(HarnessError, match="'NoneType' object is not subscriptable"):
        synthesize(Filled, {}, 1.0)


def test_a_recipe_of_before_needs_no_calls():
    data = synthesize(Styled, {}, BUDGET).to_json()
    assert [name for name, _ in data.pop("setup")] == ["set_style"]
    assert Recipe.from_json(data).setup == []


def test_a_view_of_a_whole_shape_says_what_it_wants():
    class Folds(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 11))

        def forward(self, x):
            return x.reshape(13, 3, 11) * self.weight

    found = synthesize(Folds, {}, BUDGET)
    assert found.describe() == f"{Folds.__qualname__}(); forward(x: float32[13, 3, 11])"
