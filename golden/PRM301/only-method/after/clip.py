from torch import nn


class ClippedLinear(nn.Linear):
    pass


def head(width, classes):
    return nn.Sequential(ClippedLinear(width, width), nn.ReLU(), ClippedLinear(width, classes))
