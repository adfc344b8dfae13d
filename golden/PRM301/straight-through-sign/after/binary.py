import torch
import torch.nn.functional as F
from torch import nn


class Binarize(nn.Module):
    def forward(self, x):
        return torch.sign(x)


class BinaryLinear(nn.Linear):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.binarize = Binarize()

    def forward(self, x):
        return F.linear(x, self.binarize(self.weight), self.bias)
