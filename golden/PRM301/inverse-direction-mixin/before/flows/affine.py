import torch
from torch import nn


class Affine(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        return x * self.log_scale.exp() + self.shift

    def backward(self, z):
        return (z - self.shift) * torch.exp(-self.log_scale)
