"""Records among the inputs whose fields have defaults, and repairs that fail on what they meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fixer.verify.worker.synthesis import search
from tests.synthesis_support import require_soon


@dataclass
class Window:
    """What is known when something is foretold."""

    seen: Tensor
    promised: Tensor | None = None
    fixed: Tensor | None = None
    stage: str = "later"

    def together(self) -> Tensor:
        return torch.cat([part for part in (self.seen, self.promised) if part is not None], dim=2)


class Foretell(nn.Module):
    """Takes one tensor of the record through a method that asks for three dimensions."""

    def __init__(self, steps: int = 12, width: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.ahead = nn.Linear(steps * width, steps)

    def forward(self, window: Window) -> Tensor:
        rows, _, _ = window.together().shape
        ahead: Tensor = self.ahead(window.together().reshape(rows, -1))
        return ahead


class ForetellWithPromises(nn.Module):
    """Reads a tensor that the record leaves out unless it is given."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.width = width
        self.mixed = nn.Linear(width, 1)

    def forward(self, window: Window) -> Tensor:
        seen, fixed = window.seen, window.fixed
        rows, _, _ = seen.shape
        bias: Tensor = self.mixed(fixed.reshape(rows, -1, self.width))  # type: ignore[union-attr]
        return seen.mean() + bias


@pytest.mark.parametrize("cls", [Foretell, ForetellWithPromises])
def test_it_runs(cls: type) -> None:
    require_soon(cls, 60)


def test_what_fails_in_a_repair_ends_that_repair_only() -> None:
    def broken() -> Iterator[Any]:
        yield {"a": 1}
        raise ValueError

    assert list(search.until_it_fails(broken())) == [{"a": 1}]
    assert list(search.until_it_fails(iter([{}, {"b": 2}]))) == [{}, {"b": 2}]
