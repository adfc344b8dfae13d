import torch
from torch import nn


def calibrated(scores):
    head = nn.Linear(4, 2)
    head.weight = torch.ones(2)
    head.bias = 0
    return head(scores)
