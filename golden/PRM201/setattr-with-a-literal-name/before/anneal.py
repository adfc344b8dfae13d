import torch
from torch import nn


class Temperature(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_t = nn.Parameter(torch.zeros(1))

    def warm_up(self, steps):
        """Return to a temperature that depends on how long the warm-up was."""
        setattr(self, "log_t", torch.log1p(torch.tensor([float(steps)])))

    def forward(self, logits):
        return logits / self.log_t.exp()


def rewarm(steps: int = 3):
    model = Temperature()
    model.warm_up(steps)
    return model(torch.ones(2, 3))
