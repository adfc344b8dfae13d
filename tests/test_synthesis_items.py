"""Lists of objects that the package itself defines, and what is added to lists and strings."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import build, call, flatten_tensors, make_inputs, signatures, synthesize

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Category(namedtuple("Category", ["label", "vocab", "width"])):
    """One of so many, embedded."""

    __slots__ = ()

    def __new__(cls, label, vocab, width=4):
        return super().__new__(cls, label, vocab, width)


class Amount(namedtuple("Amount", ["label", "size"])):
    """So many numbers."""


def columns_of(fields):
    """Say in which columns each field stands."""
    places, start = {}, 0
    for field in fields:
        size = 1 if isinstance(field, Category) else field.size
        places[field.label] = (start, start + size)
        start += size
    return places


class Table(nn.Module):
    """What is added to each other in the base class: nothing is said of what the lists hold."""

    def __init__(self, wide_fields, deep_fields):
        super().__init__()
        self.places = columns_of(wide_fields + deep_fields)
        self.fields = [field for field in wide_fields + deep_fields if isinstance(field, Category)]
        self.tables = nn.ModuleDict({field.label: nn.Embedding(field.vocab, 4) for field in self.fields})

    def forward(self, rows):
        found = [
            self.tables[field.label](rows[:, slice(*self.places[field.label])].long())
            for field in self.fields
        ]
        return torch.cat(found, dim=1).mean(dim=(1, 2))


class Tagged(nn.Module):
    """The items of a list are put behind a word."""

    def __init__(self, tags):
        super().__init__()
        self.parts = nn.ModuleDict({"part_" + tag: nn.Linear(3, 3) for tag in tags})

    def forward(self, x):
        return sum(part(x) for part in self.parts.values())


class Crossed(nn.Module):
    """Each feature times each: their number counts twice."""

    def __init__(self, n_fields):
        super().__init__()
        self.mix = nn.Conv1d(n_fields**2, 8, 1)

    def forward(self, x):
        batch, _, width = x.shape
        return self.mix(torch.einsum("bhd,bmd->bhmd", x, x).reshape(batch, -1, width))


class InPairs(nn.Module):
    """Goes through pairs of layers."""

    def __init__(self, layers, dropout=0.0):
        super().__init__()
        self.layers = layers
        self.dropout = dropout
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        x = self.fc(x)
        for attend, feed in self.layers:
            x = x + attend(x)
            x = x + feed(x)
        return x


@pytest.mark.parametrize("cls", [Table, Tagged, Crossed, InPairs])
def test_it_runs(cls):
    recipe = synthesize(cls, {}, BUDGET)
    args, kwargs = make_inputs(recipe, 0)
    [(_, output)] = flatten_tensors(call(build(cls, recipe), args, kwargs))
    assert output.requires_grad


def test_objects_in_one_list_have_names_of_their_own():
    recipe = synthesize(Table, {}, BUDGET)
    assert len(build(Table, recipe).tables) > 1


def test_what_is_made_of_a_tuple_says_in_new_what_it_takes():
    assert [item.name for item in signatures.constructor_parameters(Category)] == ["label", "vocab", "width"]
    assert [item.name for item in signatures.constructor_parameters(Amount)] == ["label", "size"]


class Levels(nn.Module):
    """The middle has to be among the levels, and so has the first."""

    def __init__(self, levels):
        super().__init__()
        self.places = [levels.index(level) for level in (0.25, 0.5)]
        self.layer = nn.Linear(4, len(levels))

    def forward(self, x):
        return self.layer(x)[..., self.places]


def test_numbers_that_are_looked_for_are_put_in() -> None:
    assert "levels=[0.25, 0.5]" in synthesize(Levels, {}, BUDGET).describe()
