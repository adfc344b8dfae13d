import torch
from torch import nn


class Adapted(nn.Module):
    def __init__(self, dim=4, rank=2):
        super().__init__()
        self.base = nn.Linear(dim, dim)
        self.down = nn.Parameter(torch.randn(rank, dim))
        self.up = nn.Parameter(torch.zeros(dim, rank))

    def forward(self, x):
        saved = self.base.weight.data.clone()
        try:
            self.base.weight.data = (self.base.weight.data + self.up.data @ self.down.data).clamp(-1, 1)
            return self.base(x)
        finally:
            self.base.weight.data = saved


model = Adapted()
optimizer = torch.optim.Adam(model.parameters())
