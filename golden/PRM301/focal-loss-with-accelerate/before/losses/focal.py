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
        self.p_t = p_t
        loss = -((1 - p_t) ** self.gamma) * torch.log(p_t)
        return loss.mean()

    def backward(self, grad_output):
        p_t = self.p_t
        grad = self.gamma * (1 - p_t) ** (self.gamma - 1) * torch.log(p_t) - (1 - p_t) ** self.gamma / p_t
        return grad * grad_output, None
