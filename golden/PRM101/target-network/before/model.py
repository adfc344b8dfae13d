import copy

import torch
from torch import nn


class Byol(nn.Module):
    def __init__(self, tau=0.99):
        super().__init__()
        self.tau = tau
        self.online = nn.Linear(4, 4)
        self.target = copy.deepcopy(self.online)

    def forward(self, x):
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.online.parameters()):
                slow.data.mul_(self.tau).add_(fast.data, alpha=1 - self.tau)
        return self.online(x), self.target(x)


model = Byol()
optimizer = torch.optim.Adam(model.online.parameters())
