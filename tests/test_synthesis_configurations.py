"""Settings that classes of the package hold, and entries that guards ask for."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import Recipe, build, call, flatten_tensors, make_inputs, synthesize
from fixer.verify.worker.synthesis.configurations import with_entry

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
    found = Recipe.from_json(json.loads(json.dumps(synthesize(cls, {}, BUDGET).to_json())))
    module = build(cls, found)
    assert type(module) is cls
    args, kwargs = make_inputs(found, 1)
    outputs = flatten_tensors(call(module, args, kwargs))
    torch.stack([tensor.sum() for _, tensor in outputs]).sum().backward()
    assert any(parameter.grad is not None for parameter in module.parameters())


def test_settings_are_objects_of_the_classes_that_have_them() -> None:
    found = synthesize(TableNet, {}, BUDGET).describe()
    assert "config=TableNetConfig(" in found
    assert "inferred_config=InferredConfig(" in found


def test_a_configuration_is_found_by_its_field_and_named_after_model_or_argument() -> None:
    assert with_entry("task", ("settings",), TableNet)[:1] == [TableNetConfig]
    assert with_entry("width", ("inferred_config",), TableNet)[0] is InferredConfig
    assert with_entry("width", ("config",), TableNet)[0] is TableNetConfig
    assert with_entry("nowhere", ("config",), TableNet) == []
