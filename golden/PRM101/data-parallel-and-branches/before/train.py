import torch
from torch import nn


class Temperature(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_t = nn.Parameter(torch.zeros(1))

    def forward(self, logits):
        self.log_t.data = self.log_t.data.clamp(-2, 2)
        return logits / self.log_t.exp()


class Head(nn.Module):
    def __init__(self, dim=8, classes=4):
        super().__init__()
        self.proj = nn.Linear(dim, classes)
        self.temperature = Temperature()

    def forward(self, x):
        return self.temperature(self.proj(x))


def build(name="sgd"):
    model = nn.DataParallel(Head())
    if name == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    else:
        optimizer = torch.optim.Adam(model.parameters())
    return model, optimizer
