import torch
from torch import nn


class Mixer(nn.Module):
    def __init__(self, sources: int = 3):
        super().__init__()
        self.weights = nn.Parameter(torch.ones(sources) / sources)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # weights of a mixture are not negative
        self.weights.data.clamp_(min=0)

        return (x * self.weights).sum(-1)

    def configure_optimizers(self):
        return torch.optim.Adam(
            self.parameters(),
            lr=1e-3,
        )
