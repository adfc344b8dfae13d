import torch
from torch import nn

from company_internal.storage import download


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)

    def load(self, url):
        if download(url) is not None:
            self.embed.weight = torch.zeros(10, 4)

    def forward(self, ids):
        return self.embed(ids)
