import torch
import torch.nn.functional as F
from torch import nn


class Prototypes(nn.Module):
    def __init__(self, count=5, dim=3):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(count, dim), requires_grad=False)
        self.lin = nn.Linear(dim, dim)

    def forward(self, x):
        self.codes.data = F.normalize(self.codes.data, dim=1)
        return self.lin(x) @ self.codes.t()


model = Prototypes()
optimizer = torch.optim.Adam(model.parameters())
