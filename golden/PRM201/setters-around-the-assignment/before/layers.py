import torch
from torch import nn
from torch.nn import functional as F


class Bounded(nn.Module):
    """The weight is computed; its setter takes a plain tensor."""

    def __init__(self, n=3):
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(n))

    @property
    def weight(self):
        return torch.sigmoid(self.raw)

    @weight.setter
    def weight(self, value):
        self.raw.data.copy_(torch.logit(value))


class Hyper(nn.Module):
    """The weights of `main` come from another network, so its own are taken away."""

    def __init__(self):
        super().__init__()
        self.main = nn.Linear(3, 3)
        for name in list(self.main._parameters):
            delattr(self.main, name)
        self.weights = nn.Linear(2, 12)

    def forward(self, x, z):
        w = self.weights(z)
        self.main.weight = w[:9].view(3, 3)
        self.main.bias = w[9:]
        return self.main(x)


class DropConnect(nn.Module):
    def __init__(self, layer: nn.Linear, p=0.5):
        super().__init__()
        self.layer, self.p = layer, p
        raw = layer.weight
        del layer.weight
        layer.register_parameter("weight_raw", nn.Parameter(raw.data))

    def forward(self, x):
        self.layer.weight = F.dropout(self.layer.weight_raw, self.p, self.training)
        return self.layer(x)


def set_weight(layer: nn.Linear, value):
    if not isinstance(value, nn.Parameter):
        value = nn.Parameter(torch.as_tensor(value))
    layer.weight = value


bounded = Bounded()
bounded.weight = torch.full((3,), 0.5)
