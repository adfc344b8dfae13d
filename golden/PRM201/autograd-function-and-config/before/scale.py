from dataclasses import dataclass, field

import torch


@dataclass
class Config:
    weight: torch.Tensor = field(default_factory=lambda: torch.ones(1))


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.weight = weight * 1.0
        return x * weight

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.weight, None


config = Config()
config.weight = torch.zeros(1)
