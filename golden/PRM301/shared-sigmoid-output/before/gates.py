import torch
from torch import nn


class HighwayGate(nn.Module):
    """Mixes a transformed input with the input itself."""

    def __init__(self, width):
        super().__init__()
        self.project = nn.Linear(width, width)
        self.transform = nn.Linear(width, width)
        self.gate = None

    def forward(self, x):
        gate = self.gate = torch.sigmoid(self.project(x))
        mixed = gate * torch.relu(self.transform(x)) + (1 - gate) * x
        return mixed

    @torch.no_grad()
    def backward(self, grad_output):
        """Derivative through the gate only."""
        return grad_output * self.gate * (1 - self.gate)
