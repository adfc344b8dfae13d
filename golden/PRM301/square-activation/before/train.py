import torch
from torch import nn

from models.activations import ScaledSquare


def build():
    return nn.Sequential(nn.Linear(16, 32), ScaledSquare(), nn.Linear(32, 4))


def train(loader, epochs=3):
    net = build()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(epochs):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = criterion(net(inputs), targets)
            loss.backward()
            optimizer.step()
    return net
