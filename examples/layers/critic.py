"""A Wasserstein critic that clips its weights from a helper, and runs on real and fake samples before backward."""

import torch
from torch import nn


class Critic(nn.Module):
    def __init__(self, features=6, limit=0.1):
        super().__init__()
        self.limit = limit
        self.body = nn.Sequential(nn.Linear(features, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def _clip(self):
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.data.clamp_(-self.limit, self.limit)

    def forward(self, x):
        self._clip()
        return self.body(x)


def train(steps=20):
    torch.manual_seed(0)
    critic, generator = Critic(), nn.Linear(2, 6)
    critic_optimizer = torch.optim.RMSprop(critic.parameters(), lr=5e-3)
    generator_optimizer = torch.optim.RMSprop(generator.parameters(), lr=5e-3)
    for _ in range(steps):
        real, noise = torch.randn(16, 6) + 1, torch.randn(16, 2)
        critic_optimizer.zero_grad()
        (critic(generator(noise).detach()).mean() - critic(real).mean()).backward()
        critic_optimizer.step()
        generator_optimizer.zero_grad()
        (-critic(generator(noise)).mean()).backward()
        generator_optimizer.step()
    return critic


if __name__ == "__main__":
    train()
