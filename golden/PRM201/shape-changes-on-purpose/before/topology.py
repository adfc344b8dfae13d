import torch
from torch import nn


class MeanField(nn.Module):
    """One weight for a whole population; normalised as a row."""

    def __init__(self, target=3, norm=1.0):
        super().__init__()
        self.target, self.norm = target, norm
        self.w = nn.Parameter(torch.rand(target), requires_grad=False)

    def normalize(self):
        if self.norm is not None:
            self.w = self.w.view(1, self.target)
            self.w *= self.norm / self.w.sum()
            self.w = self.w.view(self.target)

    def forward(self, s):
        return s.mean() * self.w
