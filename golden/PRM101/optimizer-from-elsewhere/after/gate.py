import torch
from torch import nn


class Gate(nn.Module):
    """Scales every channel by a factor between zero and one."""

    def __init__(self, channels=4):
        super().__init__()
        self.width = nn.Parameter(torch.rand(channels))
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        self.width.clamp_(0, 1)

    def forward(self, x):
        return x * self.width
