import torch
import torch.nn.functional as F
from torch import nn


class BoundedLinear(nn.Module):
    """A linear layer whose weights stay within a box."""

    def __init__(self, n_in, n_out, bound=0.25):
        super().__init__()
        self.bound = bound
        self.weight = nn.Parameter(torch.randn(n_out, n_in) * 0.1)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        with torch.no_grad():
            self.weight.clamp_(-self.bound, self.bound)
        return F.linear(x, self.weight, self.bias)
