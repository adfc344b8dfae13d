"""Arguments of constructors: so many as are wanted, of classes that others complete, unset ones, wrappers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import synthesize
from fixer.verify.worker.synthesis.user import configured_arguments
from tests.synthesis_support import require_soon

CALLS = 30


class Lookup(nn.Module):
    """Hands all that it gets on to a layer that needs two numbers."""

    def __init__(self, *sizes, scaled=True):
        super().__init__()
        self.table = nn.Embedding(*sizes)
        self.scale = 0.5 if scaled else 1.0

    def forward(self, x):
        return self.table(x) * self.scale


class Between(nn.Module):
    """A part that its subclasses write."""

    def forward(self, x):
        raise NotImplementedError("subclasses say how")


class Narrow(Between):
    def __init__(self, width: int):
        super().__init__()
        self.fc = nn.Linear(width, 3)

    def forward(self, x):
        return self.fc(x), x.sum()


class Holds(nn.Module):
    """Takes apart what the part gives, which only its subclass does in that way."""

    def __init__(self, between: Between):
        super().__init__()
        self.between = between

    def forward(self, x):
        found, total = self.between(x)
        return found.log_softmax(-1) + total


class Settings:
    def __init__(self, width=8, scale=None):
        self.width = width
        self.scale = scale


class Enlarges(nn.Module):
    """Its settings leave open by how much, which must be a power of two."""

    def __init__(self, settings: Settings):
        super().__init__()
        if not isinstance(settings, Settings):
            raise ValueError("settings should be an instance of class Settings")
        scale = settings.scale
        self.conv = nn.Conv2d(3, settings.width * self.squared(scale), 1)

    def squared(self, scale):
        if (scale & (scale - 1)) == 0:
            return scale * scale
        raise NotImplementedError

    def forward(self, x):
        return self.conv(x)


class OneOfTwo(nn.Module):
    """Built without a scale, too, and of use with one only."""

    def __init__(self, settings: Settings):
        super().__init__()
        self.up = nn.Linear(settings.width, 24 if settings.scale == 2 else 25)
        self.out = nn.Linear(24, 2)

    def forward(self, x):
        return self.out(self.up(x))


class Wrapped(nn.Module):
    def __init__(self, width: int, wn):
        super().__init__()
        self.body = nn.Sequential(wn(nn.Conv2d(width, width, 1)), wn(nn.Conv2d(width, width, 3)))

    def forward(self, x):
        return self.body(x)


class Turning(nn.Module):
    """Makes its own tensors where it is told to."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.freqs = nn.Parameter(torch.ones(width))

    def forward(self, length, device):
        return torch.arange(length, device=device).outer(self.freqs) if device.type else None


@pytest.mark.parametrize("cls", [Lookup, Holds, Enlarges, OneOfTwo, Wrapped, Turning])
def test_it_is_soon_built_and_called(cls: type) -> None:
    require_soon(cls, CALLS)


def test_the_class_that_does_the_work_is_given() -> None:
    assert synthesize(Holds, {}, 20.0).describe().startswith("Holds(between=Narrow(width=32))")


def test_all_that_a_user_gives_by_position_is_given() -> None:
    import inspect

    parameters = list(inspect.signature(Lookup).parameters.values())
    given = configured_arguments({"args": [40, 8], "kwargs": {"scaled": False}}, parameters)
    assert given is not None
    assert [item["value"] for item in given["sizes"]["items"]] == [40, 8]


class Base:
    """What the settings of all models share."""

    scale = None


class Own(Base):
    def __init__(self, sides=(2, 4)):
        self.sides = sides
        self.scale = [3, 5]


class Declares(nn.Module):
    """Reads what the settings of any model have, of which only its own are of use."""

    config_class = Own

    def __init__(self, config):
        super().__init__()
        if not isinstance(config, Base):
            raise ValueError("config should be an instance of class Base")
        self.layers = nn.ModuleList([nn.Linear(7, size) for size in config.scale])

    def forward(self, x):
        return [layer(x) for layer in self.layers]


class Record(nn.Module):
    """Reads all of a record in one line, so that it is late in the line that it fails for its sizes."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(32 + 32, 8)

    def forward(self, graph):
        return self.fc(torch.cat([graph.nodes[graph.edge_index[0]], graph.weights], 1)) * graph.scale[:1, :1]


@pytest.mark.parametrize("cls", [Declares, Record])
def test_what_is_known_comes_first(cls: type) -> None:
    require_soon(cls, CALLS)


class Optional(nn.Module):
    """Takes any options, one of which it cannot do without."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(7, 4)

    def forward(self, x, **options):
        level = options.get("level")
        if level is None:
            raise ValueError("The 'level' argument is required")
        return self.fc(x) * level


def test_an_option_that_a_message_names_is_given() -> None:
    require_soon(Optional, CALLS)
