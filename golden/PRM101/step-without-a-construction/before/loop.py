import torch
from torch import nn
from torch.optim import Optimizer


class Bias(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n))

    def forward(self, x):
        self.bias.data.clamp_(-1, 1)
        return x + self.bias


def step(model: Bias, optimizer: Optimizer, batch):
    optimizer.zero_grad()
    loss = model(batch).pow(2).sum()
    loss.backward()
    optimizer.step()
    return loss.item()
