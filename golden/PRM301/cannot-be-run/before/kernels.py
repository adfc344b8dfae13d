import torch
from torch import nn

import warp_kernels_cuda


class WarpNorm(nn.Module):
    def forward(self, x):
        self.x = x
        return warp_kernels_cuda.norm(x)

    def backward(self, grad_output):
        return warp_kernels_cuda.norm_grad(self.x, grad_output)
