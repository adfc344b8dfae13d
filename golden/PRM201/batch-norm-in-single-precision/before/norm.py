import torch
from torch import nn


class Fp32BatchNorm(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__()
        self.bn = nn.BatchNorm1d(*args, **kwargs)

    def forward(self, x):
        if self.bn.running_mean.dtype != torch.float:
            self.bn.running_mean = self.bn.running_mean.float()
            self.bn.running_var = self.bn.running_var.float()
            if self.bn.affine:
                try:
                    self.bn.weight = self.bn.weight.float()
                    self.bn.bias = self.bn.bias.float() * 1
                except TypeError:
                    self.bn.float()
        return self.bn(x.float()).type_as(x)
