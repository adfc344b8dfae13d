import torch
from torch import nn

from tools import adam


class Gate(nn.Module):
    """Scales every channel by a factor between zero and one."""

    def __init__(self, channels=4):
        super().__init__()
        self.width = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        self.width.data.clamp_(0, 1)
        return x * self.width


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Gate()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.gate(x))

    def optimizer(self):
        return adam(self)
