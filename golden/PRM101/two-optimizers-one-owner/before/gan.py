import torch
from torch import nn


class Critic(nn.Module):
    def __init__(self, dim=4, clip=0.05):
        super().__init__()
        self.clip = clip
        self.hidden = nn.Linear(dim, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        for p in self.parameters():
            p.data.clamp_(-self.clip, self.clip)
        return self.out(torch.tanh(self.hidden(x)))


class Generator(nn.Module):
    def __init__(self, latent=2, dim=4):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent, 8), nn.ReLU(), nn.Linear(8, dim))

    def forward(self, z):
        return self.net(z)


class WGAN:
    def __init__(self, lr=5e-5):
        self.critic = Critic()
        self.generator = Generator()
        self.critic_opt = torch.optim.RMSprop(self.critic.parameters(), lr=lr)
        self.generator_opt = torch.optim.RMSprop(self.generator.parameters(), lr=lr)
