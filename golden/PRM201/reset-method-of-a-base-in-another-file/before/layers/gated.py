import torch
from torch import nn

from .base import Scaled


class Gated(Scaled):
    """A linear layer behind a gate that can be closed again."""

    def __init__(self, features: int = 6) -> None:
        super().__init__(features)
        self.linear = nn.Linear(features, features)

    def close(self) -> None:
        """Let nothing through."""
        self.scale = torch.zeros(self.features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * self.scale
