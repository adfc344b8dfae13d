"""Settings that classes of the package hold, and entries that guards ask for."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import synthesize
from fixer.verify.worker.synthesis.configurations import with_entry
from tests.synthesis_support import require_differentiated

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


@dataclasses.dataclass
class TableNetConfig:
    """Checks what it is given, as plain entries of a record would not be."""

    task: str
    width: int = 8
    tables: list | None = None

    def __post_init__(self):
        if self.task not in ("regression", "ranking"):
            raise NotImplementedError(f"{self.task} is not a valid task: one of ['regression', 'ranking']")


@dataclasses.dataclass
class InferredConfig:
    columns: int
    width: int = 4


@dataclasses.dataclass
class OtherConfig:
    task: str
    width: str = "wide"


class TableNet(nn.Module):
    """Takes its settings as they come; a second part of them through ``**kwargs``."""

    def __init__(self, config, **kwargs):
        super().__init__()
        assert "inferred_config" in kwargs, "inferred_config not found in initialization arguments"
        inferred = kwargs["inferred_config"]
        self.task = config.task
        assert self.task in ("regression", "ranking")
        self.tables = nn.ModuleList([nn.Embedding(x, config.width) for x, _ in config.tables])
        self.fc = nn.Linear(inferred.columns, config.width)

    def forward(self, x):
        return self.fc(x) + sum(table.weight.sum() for table in self.tables)


class Batches(nn.Module):
    """Demands of a batch that it holds something, and takes what it holds."""

    def __init__(self, columns: int = 4):
        super().__init__()
        self.fc = nn.Linear(columns, 2)
        self.table = nn.Embedding(8, 2)

    def forward(self, x: dict):
        return self.embed(x)

    def embed(self, x):
        assert "continuous" in x or "categorical" in x, "nothing in x"
        numbers = self.fc(x.get("continuous", torch.zeros(0, 4)))
        kinds = self.table(x.get("categorical", torch.zeros(0, 1, dtype=torch.long)))[:, 0]
        assert len(numbers) == len(kinds)
        return numbers + kinds


class Heads(nn.Module):
    """Unpacks sizes together with something that is none."""

    def __init__(self, dim=32, heads=2):
        super().__init__()
        self.heads = heads
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        b, c, n, d, m, h = *x.shape, self.heads
        return x.reshape(b, c, n, d * m)[..., None].expand(-1, -1, -1, -1, h) * self.scale.sum()


@pytest.mark.parametrize("cls", [TableNet, Batches, Heads])
def test_a_class_is_built_called_and_differentiated(cls: type) -> None:
    require_differentiated(cls, BUDGET)


def test_settings_are_objects_of_the_classes_that_have_them() -> None:
    found = synthesize(TableNet, {}, BUDGET).describe()
    assert "config=TableNetConfig(" in found
    assert "inferred_config=InferredConfig(" in found


def test_a_configuration_is_found_by_its_field_and_named_after_model_or_argument() -> None:
    assert with_entry("task", ("settings",), TableNet)[:1] == [TableNetConfig]
    assert with_entry("width", ("inferred_config",), TableNet)[0] is InferredConfig
    assert with_entry("width", ("config",), TableNet)[0] is TableNetConfig
    assert with_entry("nowhere", ("config",), TableNet) == []


class Merged(nn.Module):
    """Reads what its settings have, and something that somebody adds to them."""

    def __init__(self, config):
        super().__init__()
        self.task = config.task
        if self.task not in ("regression", "ranking"):
            raise ValueError(f"task {self.task!r}: one of 'regression', 'ranking'")
        self.fc = nn.Linear(config.added_dim, config.width)

    def forward(self, x):
        return self.fc(x)


class Pooled(nn.Module):
    """Says in words which of the arguments with a default it cannot do without."""

    def __init__(self, dim=32, sequence_length=None, kind="learned"):
        super().__init__()
        if kind == "learned" and sequence_length is None:
            raise ValueError("the embedding is learned and the sequence length was not specified")
        self.length = sequence_length
        self.fc = nn.Linear(dim, dim)

    def forward(self, x):
        return self.fc(x) if x.size(1) < self.length else self.fc(x[:, : self.length])


class Windows(nn.Module):
    """Halves its sides three times, and then cuts them into windows."""

    def __init__(self, window=7, dim=8):
        super().__init__()
        self.window = window
        self.convs = nn.Sequential(*[nn.Conv2d(c, dim, 3, stride=2, padding=1) for c in (3, dim, dim)])

    def forward(self, image):
        x = self.convs(image)
        if x.shape[-1] % self.window or x.shape[-2] % self.window:
            raise ValueError(f"can't divide axis of length {x.shape[-1]} in chunks of {self.window}")
        return x.unfold(2, self.window, self.window).unfold(3, self.window, self.window)


@pytest.mark.parametrize(
    ("cls", "says"),
    [(Merged, "added_dim="), (Pooled, "sequence_length="), (Windows, "image: float32[2, 3, 56, 56]")],
)
def test_what_is_missing_is_given(cls: type, says: str) -> None:
    assert says in synthesize(cls, {}, BUDGET).describe()
