import torch
from torch import Tensor, nn


class Adapter(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(width))

    def load_shift(self, shift: Tensor) -> None:
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift
