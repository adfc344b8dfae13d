import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, size=4, hidden=5):
        super().__init__()
        self.lstm = nn.LSTM(size, hidden, batch_first=True)
        self.lstm.bias_hh_l0.data.copy_(torch.ones(4 * hidden))
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0])
