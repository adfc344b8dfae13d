import torch
from torch import nn


class TwinHeads(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.left = nn.Linear(width, 2)
        self.right = nn.Linear(width, 2)
        self.start_equal()

    def start_equal(self):
        start = torch.randn(2, self.left.in_features) * 0.02
        self.left.weight = self.right.weight = start  # same values, two Parameters
        self.left.bias, self.right.bias = torch.zeros(2), torch.zeros(2)

    def forward(self, x):
        return self.left(x) - self.right(x)
