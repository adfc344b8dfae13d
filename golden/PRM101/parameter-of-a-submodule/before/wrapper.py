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

    def forward(self, x):
        if self.max_scale is not None:
            # as in contrastive training: never above ln(max_scale)
            self.body.logit_scale.data.clamp_(0, math.log(self.max_scale))
        return self.body(x)


def train(batches):
    wrapper = Wrapper()
    params = [p for p in wrapper.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(params, lr=1e-2)
    for batch in batches:
        optimizer.zero_grad()
        wrapper(batch).pow(2).mean().backward()
        optimizer.step()
