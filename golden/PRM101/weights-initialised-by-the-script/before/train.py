import torch
from torch import nn

from critic import Critic


def weights_init(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)


def main(batches):
    net_g = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 4))
    net_g.apply(weights_init)
    net_d = Critic()
    net_d.apply(weights_init)
    optimizer_d = torch.optim.RMSprop(net_d.parameters(), lr=5e-5)
    optimizer_g = torch.optim.RMSprop(net_g.parameters(), lr=5e-5)
    for real in batches:
        optimizer_d.zero_grad()
        (net_d(net_g(torch.randn(len(real), 2)).detach()).mean() - net_d(real).mean()).backward()
        optimizer_d.step()
        optimizer_g.zero_grad()
        (-net_d(net_g(torch.randn(len(real), 2))).mean()).backward()
        optimizer_g.step()
