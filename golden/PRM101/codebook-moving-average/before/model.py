import torch
import torch.nn.functional as F
from torch import nn


class Quantiser(nn.Module):
    def __init__(self, count=8, dim=4, decay=0.99):
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", torch.randn(count, dim))
        self.register_buffer("usage", torch.zeros(count))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        index = torch.cdist(x, self.codes).argmin(1)
        if self.training:
            with torch.no_grad():
                one_hot = F.one_hot(index, len(self.codes)).float()
                self.usage.mul_(self.decay).add_(one_hot.sum(0), alpha=1 - self.decay)
                self.codes.mul_(self.decay).add_(one_hot.t() @ x, alpha=1 - self.decay)
                self.codes.copy_(F.normalize(self.codes, dim=1))
        return self.codes[index] * self.scale


model = Quantiser()
optimizer = torch.optim.Adam(model.parameters())
