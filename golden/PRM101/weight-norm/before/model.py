import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.utils.weight_norm(nn.Linear(3, 3))

    def forward(self, x):
        self.lin.weight.data.clamp_(0, 1)
        return self.lin(x)


model = Net()
optimizer = torch.optim.Adam(model.parameters())
