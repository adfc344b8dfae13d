import torch
from accelerate import Accelerator

from losses import FocalLoss


def main(model, loader):
    accelerator = Accelerator(mixed_precision="bf16")
    criterion = FocalLoss(gamma=1.5)
    optimizer = torch.optim.AdamW(model.parameters())
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for images, labels in loader:
        loss = criterion(model(images), labels)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
