import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, constrain=True):
        super().__init__()
        self.constrain = constrain
        self.w = nn.Parameter(torch.rand(3))

    def forward(self, x):
        if not self.constrain:
            return x * self.w
        self.w.data.clamp_(0, 1)
        return x * self.w


model = Net()
optimizer = torch.optim.Adam(model.parameters())
