import torch
from torch import nn


class Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight):
        weight = weight.data.clamp_(0, 1)
        return weight

    @staticmethod
    def backward(ctx, grad):
        return grad


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.rand(3))

    def forward(self, x):
        return x * Clip.apply(self.w)


model = Net()
optimizer = torch.optim.Adam(model.parameters())
