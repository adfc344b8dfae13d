import torch
from torch import nn


class Critic(nn.Module):
    """A Wasserstein critic: its weights stay small."""

    def __init__(self, width=4, limit=0.01):
        super().__init__()
        self.limit = limit
        self.hidden = nn.Linear(width, 8)
        self.score = nn.Linear(8, 1)
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        for p in self.parameters():
            p.clamp_(-self.limit, self.limit)

    def forward(self, x):
        return self.score(torch.relu(self.hidden(x)))
