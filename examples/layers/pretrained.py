"""Weights set by hand. Each assignment raises TypeError: only a Parameter or None may take a Parameter's slot."""

import torch
from torch import nn


class Lookup(nn.Module):
    """An embedding that starts as the identity, followed by an averaging head."""

    def __init__(self, size=6):
        super().__init__()
        self.table = nn.Embedding(size, size)
        self.head = nn.Linear(size, 2, bias=False)
        self.table.weight = torch.eye(size)
        self.head.weight = torch.full((2, size), 1 / size)

    def forward(self, indices):
        return self.head(self.table(indices))


def smooth(layer: nn.Linear) -> nn.Linear:
    """Start a layer from a blend of its initial weights and their mean."""
    layer.weight = 0.5 * layer.weight.data + 0.5 * layer.weight.data.mean()
    return layer
