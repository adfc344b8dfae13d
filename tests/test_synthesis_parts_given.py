"""Parts that are left out by default, named in other arguments, or written by subclasses only."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from fixer.verify.worker.synthesis import synthesize
from tests.synthesis_support import require_differentiated

SOON = 0.4
"""Enough for what is read off the code, not for trying one thing after the other."""


class Penalty(nn.Module):
    """Some measure; which one, subclasses say."""

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def measure(self, x):
        raise NotImplementedError

    def forward(self, x):
        return self.weight * self.measure(x)


class Squared(Penalty):
    def measure(self, x):
        return x.square().mean()


class Sum(nn.Module):
    """Adds up what is left out by default."""

    def __init__(self, penalties: list[Penalty] | None = None):
        super().__init__()
        self.penalties = nn.ModuleList(penalties or [])

    def forward(self, x):
        return torch.stack([penalty(x) for penalty in self.penalties]).sum()


class Tables(nn.Module):
    """One argument names what another describes."""

    def __init__(self, sizes: dict[str, tuple[int, int]], columns: list[str]):
        super().__init__()
        self.columns = columns
        self.tables = nn.ModuleDict({name: nn.Embedding(*size) for name, size in sizes.items()})

    def forward(self, x):
        return [table(x[:, self.columns.index(name)].long()) for name, table in self.tables.items()]


class Rule(ABC):
    @abstractmethod
    def apply(self, x):
        """Change a tensor."""


class Doubling(Rule):
    def apply(self, x):
        return 2 * x


class Governed(nn.Module):
    def __init__(self, width: int, rule: Rule):
        super().__init__()
        if not isinstance(rule, Rule):
            raise TypeError("a rule is needed")
        self.fc, self.rule = nn.Linear(width, width), rule

    def forward(self, x):
        return self.rule.apply(self.fc(x))


def test_parts_are_given_where_there_was_nothing_to_work_on():
    require_differentiated(Sum, SOON)
    assert "Squared()" in synthesize(Sum, {}, SOON).describe()


def test_what_one_argument_names_stands_in_the_other():
    require_differentiated(Tables, SOON)


def test_abstract_classes_stand_for_those_below_them():
    assert "Doubling()" in synthesize(Governed, {}, SOON).describe()
