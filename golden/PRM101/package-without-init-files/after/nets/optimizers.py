import torch
from nets.gate import Gate


def build(model, name="adam"):
    if name == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for module in model.modules():
            if isinstance(module, Gate):
                optimizer.register_step_post_hook(module.project_parameters)
        return optimizer
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for module in model.modules():
        if isinstance(module, Gate):
            optimizer.register_step_post_hook(module.project_parameters)
    return optimizer
