import torch
from torch import nn


class RenormConv1d(nn.Conv1d):
    """A convolution with filters of bounded norm."""

    max_norm = 0.5

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        self.weight.copy_(torch.renorm(
            self.weight,  # out, in, kernel
            p=2,
            dim=0,
            maxnorm=self.max_norm,
        ))

    # the filters are projected before they are used
    def forward(self, x):
        return super().forward(x)


def build():
    net = nn.Sequential(RenormConv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    return net


layer = RenormConv1d(2, 4, 3)
optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
optimizer.register_step_post_hook(layer.project_parameters)
