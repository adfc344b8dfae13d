import torch
from torch import nn


class Standardise(nn.Module):
    """Maps data to zero mean and unit variance, and back."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    @torch.no_grad()
    def fit(self, data):
        self.mean.copy_(data.mean(0))
        self.std.copy_(data.std(0))

    def forward(self, x):
        return (x - self.mean) / self.std

    def backward(self, z):
        return z * self.std + self.mean
