"""Trains the gated classifier on noise; the hook has to go where the optimizer is built."""

import torch
import torch.nn.functional as F

from net import Classifier


def main(steps=50):
    torch.manual_seed(0)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for step in range(steps):
        features, labels = torch.randn(32, 8), torch.randint(0, 3, (32,))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(features), labels)
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print(f"step {step}: loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
