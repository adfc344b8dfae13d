from torch import nn

from .layers import GradientReversal


class DomainClassifier(nn.Module):
    def __init__(self, features=32, hidden=16):
        super().__init__()
        self.reverse = GradientReversal(0.3)
        self.body = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, features):
        return self.body(self.reverse(features))
