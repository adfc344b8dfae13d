import torch
from torch import nn


class Bands(nn.Module):
    def __init__(self, channels=4, rate=16000):
        super().__init__()
        self.channels, self.rate = channels, rate
        self._init_bands()

    def _init_bands(self):
        hz = torch.linspace(30.0, self.rate / 2, self.channels + 1)
        # filter edges and widths
        self.low = hz[:-1].unsqueeze(1)
        self.band = (hz[1:] - hz[:-1]).unsqueeze(1)
        # learnable
        self.low = nn.Parameter(self.low)
        self.band = nn.Parameter(self.band)

    def forward(self, t):
        return torch.cos(self.low * t) * torch.sinc(self.band * t)
