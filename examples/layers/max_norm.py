"""A convolution whose filters have a bounded norm, as networks for EEG signals use it."""

import torch
from torch import nn


class MaxNormConv2d(nn.Conv2d):
    def __init__(self, *args, max_norm=1.0, **kwargs):
        self.max_norm = max_norm
        super().__init__(*args, **kwargs)

    def forward(self, x):
        if self.max_norm is not None:
            self.weight.data = torch.renorm(self.weight.data, p=2, dim=0, maxnorm=self.max_norm)
        return super().forward(x)


class SignalNet(nn.Module):
    def __init__(self, electrodes=8, classes=4):
        super().__init__()
        self.spatial = MaxNormConv2d(1, 6, (electrodes, 1))
        self.norm = nn.BatchNorm2d(6)
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        x = self.dropout(torch.relu(self.norm(self.spatial(x))))
        return self.head(x.mean(dim=(2, 3)))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
