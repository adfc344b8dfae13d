"""A module with a `backward` of its own: autograd never calls it, and what it keeps for it stays alive."""

import torch
from torch import nn


class Scale(nn.Module):
    def __init__(self, features=4):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(features))
        self.x = None

    def forward(self, x):
        self.x = x
        return x * self.gain

    # d(x * gain)/d(x) = gain
    def backward(self, grad_output):
        self.grad_gain = (grad_output * self.x).sum(0)
        return grad_output * self.gain


class Block(nn.Module):
    def __init__(self, features=4):
        super().__init__()
        self.lin = nn.Linear(features, features)
        self.scale = Scale(features)

    def forward(self, x):
        return torch.tanh(self.scale(self.lin(x)))
