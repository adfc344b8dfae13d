"""A channel gate whose width must stay between 0 and 1, inside a small classifier."""

import torch
import torch.nn as nn


class Gate(nn.Module):
    """Scales every channel by a learned factor in [lo, hi]."""

    def __init__(self, channels, lo=0.0, hi=1.0):
        super().__init__()
        self.lo = lo
        self.hi = hi
        self.width = nn.Parameter(torch.full((channels,), 0.9))

    def forward(self, x):
        # the factors are probabilities
        self.width.data.clamp_(self.lo, self.hi)
        return x * self.width


class Classifier(nn.Module):
    """Two linear layers with a gate between them."""

    def __init__(self, features=8, hidden=16, classes=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), Gate(hidden))
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.encoder(x))
