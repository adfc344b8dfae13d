import torch
from torch import nn


class Product(nn.Module):
    """Multiplies its inputs."""

    def forward(self, a, b):
        return a * b


class Standardise(nn.Module):
    def __init__(self, eps: float = 1e-5):
        super().__init__()
        self.eps = eps

    def forward(self, x):
        scale = (x.var(-1, keepdim=True) + self.eps).rsqrt()
        return (x - x.mean(-1, keepdim=True)) * scale
