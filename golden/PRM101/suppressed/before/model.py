import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.rand(3))

    def forward(self, x):
        self.w.data.clamp_(0, 1)  # fixer: ignore[PRM101]
        return x * self.w


model = Net()
optimizer = torch.optim.Adam(model.parameters())
