"""Settings that were left out and are read all the same, batches with entries, classes instead of layers."""

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import synthesize
from fixer.verify.worker.synthesis.abstract import instead_of_forward
from fixer.verify.worker.synthesis.source import Sources
from tests.synthesis_support import require_differentiated

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""
SOON = 0.12
"""Enough for what is read off the code, not for trying one thing after the other."""


class Described(nn.Module):
    """The size of what it takes is an entry of something that may be left out."""

    def __init__(self, hints: dict | None = None):
        super().__init__()
        self.hints = hints or {}
        self.window = self.hints.get("window", 0)
        self.scale = nn.Parameter(torch.full((4,), 1.0 / self.window))

    def forward(self, x):
        return x * self.scale


class Told(nn.Module):
    """What may be left out is read at once."""

    def __init__(self, facts=None):
        super().__init__()
        self.facts = facts
        self.fc = nn.Linear(self.facts["n_past"], self.facts["n_next"])

    def forward(self, x):
        return self.fc(x)


class Activated(nn.Module):
    """The annotation says a layer, the code wants its class."""

    def __init__(
        self, n_in: int, n_hidden: int, n_layers: int, activation: nn.ReLU, dropout: float | None = None
    ):
        super().__init__()
        layers = [nn.Linear(n_in, n_hidden), activation()]
        if dropout is not None:
            layers.append(nn.Dropout(dropout))
        for _ in range(n_layers):
            layers.extend([nn.Linear(n_hidden, n_hidden), activation()])
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


class Batched(nn.Module):
    """The entries of its batch are named like models."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 2)

    def forward(self, batch):
        model_input = batch["model"]
        if isinstance(batch["optimizer"], list):
            raise TypeError("not several")
        return self.fc(model_input) * batch["optimizer"].mean()


class Stage(nn.Module):
    """Its forward is for subclasses to write."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 2)

    def training_step(self, batch, batch_index):
        return self(batch[batch_index]).sum()

    def forward(self, x):
        raise NotImplementedError


class LastStage(Stage):
    def forward(self, x):
        return self.fc(x)


@pytest.mark.parametrize("cls", [Described, Told, Activated, Batched, LastStage])
def test_it_runs_soon(cls):
    require_differentiated(cls, SOON)


def test_the_entry_is_found_that_a_default_stands_for():
    assert "window=" in synthesize(Described, {}, BUDGET).describe()


def test_entries_of_a_batch_are_no_models():
    assert "PassThrough" not in synthesize(Batched, {}, BUDGET).describe()


def test_a_forward_that_subclasses_write_is_not_called_otherwise():
    assert not list(instead_of_forward(Stage, Sources({}, Stage)))
