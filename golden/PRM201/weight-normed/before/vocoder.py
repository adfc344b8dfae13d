import torch
from torch import nn
from torch.nn.utils import parametrize, weight_norm


class Scale(nn.Module):
    def forward(self, w):
        return w / w.norm()

    def right_inverse(self, w):
        return w


class Vocoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre = weight_norm(nn.Conv1d(4, 4, 3))
        self.post = nn.Conv1d(4, 1, 3)
        parametrize.register_parametrization(self.post, "weight", Scale())

    def bake(self):
        with torch.no_grad():
            self.post.weight = torch.ones(1, 4, 3)

    def forward(self, x):
        return self.post(self.pre(x))
