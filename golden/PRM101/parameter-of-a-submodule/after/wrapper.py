import math

import torch
from torch import nn


class Body(nn.Module):
    def __init__(self, dim=4):
        super().__init__()
        self.proj = nn.Linear(dim, dim)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, x):
        return self.proj(x) * self.logit_scale.exp()


class Wrapper(nn.Module):
    def __init__(self, max_scale=100.0):
        super().__init__()
        self.body = Body()
        self.max_scale = max_scale
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        if self.max_scale is not None:
            # as in contrastive training: never above ln(max_scale)
            self.body.logit_scale.clamp_(0, math.log(self.max_scale))

    def forward(self, x):
        return self.body(x)


def train(batches):
    wrapper = Wrapper()
    params = [p for p in wrapper.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(params, lr=1e-2)
    optimizer.register_step_post_hook(wrapper.project_parameters)
    for batch in batches:
        optimizer.zero_grad()
        wrapper(batch).pow(2).mean().backward()
        optimizer.step()
