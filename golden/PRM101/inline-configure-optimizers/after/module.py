import torch
from torch import nn


class Mixer(nn.Module):
    def __init__(self, sources: int = 3):
        super().__init__()
        self.weights = nn.Parameter(torch.ones(sources) / sources)
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        # weights of a mixture are not negative
        self.weights.clamp_(min=0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:

        return (x * self.weights).sum(-1)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(
                    self.parameters(),
                    lr=1e-3,
                )
        optimizer.register_step_post_hook(self.project_parameters)
        return optimizer
