import torch
from torch import nn


class Warm(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.randn(4))
        self.calls = 0

    def forward(self, x):
        if self.calls == 0:
            self.gain.data.clamp_(0, 1)
        self.calls += 1
        return x * self.gain


model = Warm()
optimizer = torch.optim.Adam(model.parameters())
