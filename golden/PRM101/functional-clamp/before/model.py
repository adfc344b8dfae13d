import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.rand(3))

    def forward(self, x):
        w = torch.clamp(self.w, 0, 1)
        y = x * w
        y.data.clamp_(-10, 10)
        return y


model = Net()
optimizer = torch.optim.Adam(model.parameters())
