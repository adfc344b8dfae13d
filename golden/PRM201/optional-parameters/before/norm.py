import torch
from torch import nn


class Norm(nn.Module):
    def __init__(self, width=4, affine=True, bias=True):
        super().__init__()
        if affine:
            self.weight = nn.Parameter(torch.ones(width))
        else:
            self.register_parameter("weight", None)
        if bias:
            self.bias = nn.Parameter(torch.zeros(width))
        self.width = width

    def to_identity(self):
        self.weight = torch.ones(self.width)
        self.bias = torch.zeros(self.width)

    def forward(self, x):
        return x
