from torch import nn


class ClippedLinear(nn.Linear):
    # Clip what flows back.
    def backward(self, grad_output):
        return grad_output.clamp(-0.5, 0.5)


def head(width, classes):
    return nn.Sequential(ClippedLinear(width, width), nn.ReLU(), ClippedLinear(width, classes))
