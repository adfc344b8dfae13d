import torch
from torch import nn


class GradientReversal(nn.Module):
    """Identity in the forward pass, flips the sign of the gradient in the backward pass."""

    def __init__(self, lambda_=1.0):
        super(GradientReversal, self).__init__()
        self.lambda_ = lambda_

    def forward(self, x):
        return x.view_as(x)

    # Called with the gradient of the loss with respect to our output.
    def backward(self, grad_output):
        return -self.lambda_ * grad_output
