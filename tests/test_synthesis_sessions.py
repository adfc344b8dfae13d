"""The examples in a docstring are run, for what no reading of them can tell."""

from __future__ import annotations

import torch
from torch import nn

from fixer.verify.worker.synthesis import synthesize
from tests.synthesis_support import require_differentiated


class Columns(nn.Module):
    """Embeds the columns of a table that hold codes.

    >>> names = "abcd"
    >>> places = {name: place for place, name in enumerate(names)}
    >>> coded = [(name, 3 + place) for place, name in enumerate(names[:3])]
    >>> table = torch.cat([torch.tensor([[0.0, 1.0, 2.0]] * 6), torch.rand(6, 1)], dim=1)
    >>> model = Columns(places, coded=coded, plain=[name for name in names if name > "c"])
    >>> with torch.no_grad():
    ...     out = model(table)
    """

    def __init__(self, places, coded=None, plain=None):
        super().__init__()
        if sorted(places.values()) != [0, 1, 2, 3]:
            raise RuntimeError("no")
        self.places, self.coded, self.plain = places, coded or [], plain or []
        self.tables = nn.ModuleList(nn.Embedding(count, 4) for _, count in self.coded)

    def forward(self, x):
        codes = [x[:, self.places[key]].long() for key, _ in self.coded]
        parts = [table(code) for table, code in zip(self.tables, codes, strict=True)]
        parts += [x[:, [self.places[key]]] for key in self.plain]
        return torch.cat(parts, 1)


def test_an_example_that_computes_its_arguments_is_run() -> None:
    require_differentiated(Columns, 10.0)


class Staged(nn.Module):
    """Takes what a function makes; the same name is something else later.

    >>> widths = list(map(int, "7 11".split()))
    >>> x = torch.randn(2, *widths[:1])
    >>> x = Staged(widths)(x)
    """

    def __init__(self, widths):
        super().__init__()
        if tuple(widths) != (7, 11):
            raise RuntimeError("no")
        self.fc = nn.Linear(*widths)

    def forward(self, x):
        if x.shape != (2, 7):
            raise RuntimeError("no")
        return self.fc(x)


def test_a_name_has_the_value_that_it_had_then() -> None:
    require_differentiated(Staged, 10.0)


class Leaking(nn.Module):
    """Has an example that changes torch, and raises.

    >>> torch.set_default_dtype(torch.float64)
    >>> raise SystemExit(1)
    >>> net = Leaking("five".replace("five", "5"))
    """

    def __init__(self, size):
        super().__init__()
        if size != "5":
            raise RuntimeError("no")
        self.fc = nn.Linear(5, 5)

    def forward(self, x):
        return self.fc(x)


def test_an_example_leaves_nothing_behind() -> None:
    assert "size='5'" in synthesize(Leaking, {}, 10.0).describe()
    assert torch.get_default_dtype() is torch.float32
