"""Learned per-channel opacity."""

import torch
from torch import nn


class Opacity(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.full((channels,), 0.5))
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        self.alpha.clamp_(0.0, 1.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.alpha.view(1, -1, 1, 1)


def fit(images, targets, epochs=3):
    layer = Opacity(3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5, momentum=0.9)
    optimizer.register_step_post_hook(layer.project_parameters)
    for _ in range(epochs):
        optimizer.zero_grad()
        (layer(images) - targets).pow(2).mean().backward()
        optimizer.step()
    return layer
