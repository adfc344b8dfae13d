import torch
import torch.nn as nn


class Slim(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        for m in self.modules():
            if not isinstance(m, nn.BatchNorm2d):
                continue
            m.weight.clamp_(min=0.01)  # keep channels alive

    def forward(self, x):
        return self.features(x).mean((2, 3))


def main():
    net = Slim()
    optimizer = torch.optim.SGD([{"params": net.features.parameters(), "lr": 0.1}], lr=0.01)
    optimizer.register_step_post_hook(net.project_parameters)
    return net, optimizer
