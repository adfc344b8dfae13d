import copy

import torch
from torch import nn


class LoraLinear(nn.Module):
    def __init__(self, base: nn.Linear, rank: int = 2):
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def merged(self):
        linear = copy.deepcopy(self.base)
        linear.weight = nn.Parameter(self.base.weight + self.up @ self.down)
        if self.base.bias is None:
            linear.bias = None
        return linear

    def forward(self, x):
        original = self.base.weight.data
        try:
            self.base.weight.data = original + self.up @ self.down
            return self.base(x)
        finally:
            self.base.weight.data = original
