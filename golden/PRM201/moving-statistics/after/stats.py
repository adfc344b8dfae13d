import torch
from torch import nn


class MovingStats(nn.Module):
    """Running mean and mean square of a signal, kept in frozen Parameters."""

    def __init__(self, size=4, decay=0.9):
        super().__init__()
        self.decay = decay
        self.mean = nn.Parameter(torch.zeros(size), requires_grad=False)
        self.square = nn.Parameter(torch.ones(size), requires_grad=False)
        self.gain = nn.Parameter(torch.ones(size))

    def blend(self, mean, square, x):
        rest = 1 - self.decay
        return self.decay * mean + rest * x.mean(0), self.decay * square + rest * (x * x).mean(0)

    def forward(self, x):
        if self.training:
            mean, square = self.blend(self.mean.data, self.square.data, x)
            self.mean.data.copy_(mean)
            self.square.data.copy_(square)
        deviation = (self.square - self.mean**2).clamp_min(1e-4).sqrt()
        return self.gain * (x - self.mean) / deviation
