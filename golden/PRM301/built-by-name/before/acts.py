import torch
from torch import nn

REGISTRY = {}


def register(cls):
    REGISTRY[cls.__name__.lower()] = cls
    return cls


def build(name):
    return REGISTRY[name]()


@register
class Swish(nn.Module):
    def forward(self, x):
        self.saved = x
        return x * torch.sigmoid(x)

    def backward(self, grad_output):
        s = torch.sigmoid(self.saved)
        return grad_output * s * (1 + self.saved * (1 - s))
