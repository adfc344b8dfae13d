import torch
from torch import nn


class MaskedLinear(nn.Module):
    def __init__(self, n_in=6, n_out=4):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.register_buffer("mask", torch.tril(torch.ones(n_out, n_in)))

    def forward(self, x):
        self.linear.weight.data *= self.mask
        return self.linear(x)


model = MaskedLinear()
opt = torch.optim.Adam(model.parameters(), lr=0.1)
