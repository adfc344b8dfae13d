import torch
from torch import nn


class TiedLM(nn.Module):
    def __init__(self, vocabulary=20, width=8, tie=True):
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, width)
        self.decoder = nn.Linear(width, vocabulary)
        if tie:
            self.decoder.weight = self.encoder.weight
        shared = self.encoder.weight
        self.output = nn.Linear(width, vocabulary, bias=False)
        self.output.weight = shared

    def get_input_embeddings(self):
        return self.encoder.weight

    def tie_weights(self):
        self.decoder.weight = self.get_input_embeddings()

    def forward(self, ids):
        return self.decoder(self.encoder(ids)) + self.output(self.encoder(ids))
