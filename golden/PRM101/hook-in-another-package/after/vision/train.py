import torch
from torch import optim

from .model import Model
from .layers.bounded import BoundedLinear


def train(loader, lr=1e-3):
    model = Model()
    opt = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    for module in model.modules():
        if isinstance(module, BoundedLinear):
            opt.register_step_post_hook(module.project_parameters)
    for x, y in loader:
        opt.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
    return model
