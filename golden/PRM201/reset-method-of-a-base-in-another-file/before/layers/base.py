import torch
from torch import nn


class Scaled(nn.Module):
    """Something with a learnable scale per feature."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.scale = nn.Parameter(torch.ones(features))
