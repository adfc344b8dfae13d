import math

import torch
from torch import nn


def init_weights(model, gain=1.0):
    """Initialise what the paper says, leave the rest alone."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            module.weight = torch.randn(module.weight.shape) * math.sqrt(2.0 * gain / fan_out)
            if module.bias is not None:
                module.bias = torch.zeros(module.out_channels)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False))
init_weights(model)
print(sum(p.numel() for p in model.parameters()))
