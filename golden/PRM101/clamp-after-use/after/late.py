import torch
from torch import nn


class Late(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(n) * 3)
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        self.gain.clamp_(0, 1)

    def forward(self, x):
        y = torch.sin(x * self.gain) * self.gain
        return y


model = Late()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
optimizer.register_step_post_hook(model.project_parameters)
