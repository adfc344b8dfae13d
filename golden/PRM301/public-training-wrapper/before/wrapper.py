import torch
from torch import nn


class ScaledLossWrapper(nn.Module):
    """Keeps a loss scale next to the model, for half precision."""

    def __init__(self, model, init_scale=2.0 ** 16):
        super().__init__()
        self.model = model
        self.register_buffer("scale", torch.tensor(init_scale))

    def forward(self, *args, **kwargs):
        return self.model(*args, **kwargs)

    def backward(self, loss):
        (loss * self.scale).backward()
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad /= self.scale
