"""Polynomial activations for homomorphic inference."""

import torch
import torch.nn as nn


class ScaledSquare(nn.Module):
    """y = scale * x ** 2 + x, the usual stand-in for ReLU under encryption."""

    def __init__(self, scale: float = 0.1):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.x = None

    def forward(self, x):
        self.x = x
        return self.scale * x * x + x

    def backward(self, grad_output):
        grad_input = (2 * self.scale * self.x + 1) * grad_output
        return grad_input

    def extra_repr(self):
        return f"scale={self.scale.item():.3f}"
