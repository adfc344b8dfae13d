import torch
from torch import nn


class Similarity(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, a, b):
        self.scale = torch.clamp(self.scale, 0.0, 4.6)
        return self.scale.exp() * a @ b.t()


model = Similarity()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
