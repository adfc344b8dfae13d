import torch
import torch.nn.functional as F
from torch import nn


class WeightedLoss(nn.Module):
    def __init__(self, weight=None):
        super().__init__()
        self.weight = weight

    def forward(self, scores, target):
        if self.weight is None:
            self.weight = torch.ones(scores.shape[1])
        return F.cross_entropy(scores, target, weight=self.weight)


criterion = WeightedLoss()
criterion.weight = torch.tensor([1.0, 2.0])
