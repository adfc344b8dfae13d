import torch
from torch import nn


class MaskedLinear(nn.Module):
    def __init__(self, n_in=6, n_out=4):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.register_buffer("mask", torch.tril(torch.ones(n_out, n_in)))
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        self.linear.weight.mul_(self.mask)

    def forward(self, x):
        return self.linear(x)


model = MaskedLinear()
opt = torch.optim.Adam(model.parameters(), lr=0.1)
opt.register_step_post_hook(model.project_parameters)
