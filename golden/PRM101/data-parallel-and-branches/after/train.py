import torch
from torch import nn


class Temperature(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_t = nn.Parameter(torch.zeros(1))
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        self.log_t.clamp_(-2, 2)

    def forward(self, logits):
        return logits / self.log_t.exp()


class Head(nn.Module):
    def __init__(self, dim=8, classes=4):
        super().__init__()
        self.proj = nn.Linear(dim, classes)
        self.temperature = Temperature()

    def forward(self, x):
        return self.temperature(self.proj(x))


def build(name="sgd"):
    model = nn.DataParallel(Head())
    if name == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for module in model.modules():
            if isinstance(module, Temperature):
                optimizer.register_step_post_hook(module.project_parameters)
    else:
        optimizer = torch.optim.Adam(model.parameters())
        for module in model.modules():
            if isinstance(module, Temperature):
                optimizer.register_step_post_hook(module.project_parameters)
    return model, optimizer
