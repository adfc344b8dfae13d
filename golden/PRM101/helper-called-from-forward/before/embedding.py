import torch
from torch import nn


class UnitEmbedding(nn.Module):
    """Embeddings on the unit sphere."""

    def __init__(self, count=10, dim=4):
        super().__init__()
        self.table = nn.Embedding(count, dim)

    def _to_sphere(self):
        """Divide each row by its norm."""
        weight = self.table.weight.data
        weight.div_(weight.norm(dim=1, keepdim=True))

    def forward(self, index):
        self._to_sphere()
        return self.table(index)


model = UnitEmbedding()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
