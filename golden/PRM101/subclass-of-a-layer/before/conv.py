import torch
from torch import nn


class RenormConv1d(nn.Conv1d):
    """A convolution with filters of bounded norm."""

    max_norm = 0.5

    # the filters are projected before they are used
    def forward(self, x):
        self.weight.data = torch.renorm(
            self.weight.data,  # out, in, kernel
            p=2,
            dim=0,
            maxnorm=self.max_norm,
        )
        return super().forward(x)


def build():
    net = nn.Sequential(RenormConv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    return net


layer = RenormConv1d(2, 4, 3)
optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
