import torch


def adam(model):
    return torch.optim.Adam(model.parameters())
