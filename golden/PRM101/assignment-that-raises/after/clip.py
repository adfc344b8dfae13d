import torch
from torch import nn


class Similarity(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        self.scale.clamp_(0.0, 4.6)

    def forward(self, a, b):
        return self.scale.exp() * a @ b.t()


model = Similarity()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
optimizer.register_step_post_hook(model.project_parameters)
