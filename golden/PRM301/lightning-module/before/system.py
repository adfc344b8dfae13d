import pytorch_lightning as pl
import torch
from torch import nn


class Denoiser(pl.LightningModule):
    def __init__(self, width=64, lr=1e-3):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1))
        self.lr = lr

    def forward(self, noisy):
        return noisy - self.net(noisy)

    def training_step(self, batch, batch_idx):
        noisy, clean = batch
        return nn.functional.mse_loss(self(noisy), clean)

    def backward(self, loss, *args, **kwargs):
        loss.backward(*args, create_graph=True, **kwargs)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)
