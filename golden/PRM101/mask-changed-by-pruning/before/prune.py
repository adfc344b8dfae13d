import torch
from torch import nn


class PrunedLinear(nn.Linear):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.register_buffer("mask", torch.ones(n_out, n_in))

    def prune(self, share):
        threshold = self.weight.abs().quantile(share)
        self.mask.copy_((self.weight.abs() > threshold).float())

    def forward(self, x):
        self.weight.data.mul_(self.mask)
        return super().forward(x)


def main(batches):
    model = nn.Sequential(PrunedLinear(4, 8), nn.ReLU(), PrunedLinear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch, batch in enumerate(batches):
        for layer in model:
            if isinstance(layer, PrunedLinear):
                layer.prune(0.1 * epoch)
        optimizer.zero_grad()
        model(batch).sum().backward()
        optimizer.step()
