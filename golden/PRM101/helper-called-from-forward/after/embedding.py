import torch
from torch import nn


class UnitEmbedding(nn.Module):
    """Embeddings on the unit sphere."""

    def __init__(self, count=10, dim=4):
        super().__init__()
        self.table = nn.Embedding(count, dim)
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        self._to_sphere()

    def _to_sphere(self):
        """Divide each row by its norm."""
        weight = self.table.weight.data
        weight.div_(weight.norm(dim=1, keepdim=True))

    def forward(self, index):
        return self.table(index)


model = UnitEmbedding()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
optimizer.register_step_post_hook(model.project_parameters)
