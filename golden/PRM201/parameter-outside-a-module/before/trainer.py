import torch
from torch import nn


class Fitter:
    def __init__(self, size=3):
        self.theta = nn.Parameter(torch.zeros(size))
        self.best = self.theta

    def restart(self):
        self.theta = torch.randn(3, requires_grad=True)
        self.best = self.theta.detach().clone()
