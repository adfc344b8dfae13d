import torch
from torch import nn


class ProjectedSGD(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure=None):
        loss = super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                p.clamp_(-1, 1)
        return loss


model = nn.Linear(3, 3)
optimizer = ProjectedSGD(model.parameters(), lr=0.1)
