"""A spatial transformer whose localisation starts at the identity transform."""

import torch
import torch.nn.functional as F
from torch import nn


class SpatialTransformer(nn.Module):
    def __init__(self, channels=1, hidden=8):
        super().__init__()
        self.features = nn.Conv2d(channels, hidden, kernel_size=3, padding=1)
        self.theta = nn.Linear(hidden, 6)
        # Start as the identity, so that training begins with undistorted images.
        self.theta.weight.data.copy_(torch.zeros(6, hidden))
        self.theta.bias.data.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def forward(self, image):
        pooled = self.features(image).relu().mean(dim=(2, 3))
        theta = self.theta(pooled).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(image.shape), align_corners=False)
        return F.grid_sample(image, grid, align_corners=False)
