"""Settings of one class among many, and names of parts of a model."""

from __future__ import annotations

import dataclasses

import pytest
from torch import nn

from fixer.verify.worker.synthesis import synthesize
from tests.synthesis_support import require_differentiated


@dataclasses.dataclass
class Settings:
    seed: int = 0


@dataclasses.dataclass
class FrozenSettings(Settings):
    rank: int = 3


@dataclasses.dataclass
class ScaledSettings(FrozenSettings):
    scaled_layers: list[str] | None = None


class Scaled(nn.Module):
    """Scales what chosen layers of another model return."""

    def __init__(self, model: nn.Module, settings: Settings):
        super().__init__()
        if settings.scaled_layers is None:
            raise ValueError("Please specify `scaled_layers` in `settings`")
        found = [part for name, part in model.named_children() if name in settings.scaled_layers]
        if not found:
            raise ValueError(f"Target layers {settings.scaled_layers} not found in the model.")
        self.model = model
        self.scales = nn.ParameterList(nn.Parameter(part.weight.new_ones(())) for part in found)

    def forward(self, x):
        return self.model(x) * sum(self.scales)


class Tapped(nn.Module):
    """Returns what some parts of a model return, under names of one's own."""

    def __init__(self, model: nn.Module, return_layers: dict[str, str]):
        super().__init__()
        parts = dict(model.named_children())
        if not return_layers or not set(return_layers) <= set(parts):
            raise ValueError("return_layers are not present in model")
        self.parts = nn.ModuleDict(parts)
        self.return_layers = return_layers

    def forward(self, x):
        found = {}
        for name, part in self.parts.items():
            x = part(x)
            if name in self.return_layers:
                found[self.return_layers[name]] = x
        return found


@pytest.mark.parametrize("cls", [Scaled, Tapped])
def test_it_runs(cls: type) -> None:
    require_differentiated(cls, 10.0)


def test_the_settings_are_those_that_have_what_is_read() -> None:
    assert "ScaledSettings(scaled_layers=['0', '2'])" in synthesize(Scaled, {}, 10.0).describe()
