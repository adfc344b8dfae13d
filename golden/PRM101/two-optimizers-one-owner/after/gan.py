import torch
from torch import nn


class Critic(nn.Module):
    def __init__(self, dim=4, clip=0.05):
        super().__init__()
        self.clip = clip
        self.hidden = nn.Linear(dim, 8)
        self.out = nn.Linear(8, 1)
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        """Keep the constrained parameters in range; runs after every optimizer step."""
        for p in self.parameters():
            p.clamp_(-self.clip, self.clip)

    def forward(self, x):
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
        self.critic_opt.register_step_post_hook(self.critic.project_parameters)
        self.generator_opt = torch.optim.RMSprop(self.generator.parameters(), lr=lr)
