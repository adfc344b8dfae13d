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
        self.left.weight.data.copy_(start)  # same values, two Parameters
        self.right.weight.data.copy_(start)
        self.left.bias.data.copy_(torch.zeros(2))
        self.right.bias.data.copy_(torch.zeros(2))

    def forward(self, x):
        return self.left(x) - self.right(x)
