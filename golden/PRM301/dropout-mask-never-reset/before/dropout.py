import torch
from torch import nn


class LockedDropout(nn.Module):
    """The same mask at every step of a sequence."""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p
        self.mask = None

    def forward(self, x):
        if not self.training or not self.p:
            return x
        if self.mask is None:
            self.mask = x.new_empty(x.shape[0], 1, x.shape[-1]).bernoulli_(1 - self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, grad_output):
        grad_input = grad_output * self.mask
        self.mask = None  # a new mask for the next sequence
        return grad_input
