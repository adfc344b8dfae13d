import torch
from torch import nn


class Assignable(nn.Module):
    """Lets tensors be assigned to its Parameters."""

    def __setattr__(self, name, value):
        own = self.__dict__.get("_parameters", {})
        if name in own and isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
            own[name].data.copy_(value)
        else:
            super().__setattr__(name, value)
