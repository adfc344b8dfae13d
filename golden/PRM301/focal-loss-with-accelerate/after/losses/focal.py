import torch
from torch import nn


class FocalLoss(nn.Module):
    def __init__(self, gamma=2.0, eps=1e-7):
        super().__init__()
        self.gamma = gamma
        self.eps = eps

    def forward(self, logits, target):
        p = torch.sigmoid(logits).clamp(self.eps, 1 - self.eps)
        p_t = torch.where(target > 0.5, p, 1 - p)
        loss = -((1 - p_t) ** self.gamma) * torch.log(p_t)
        return loss.mean()
