from torch import nn


class Double(nn.Module):
    def forward(self, x):
        return 2 * x

    def backward(self, grad):
        return 2 * grad
