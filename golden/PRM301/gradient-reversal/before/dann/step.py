import torch.nn.functional as F


def step(encoder, head, domains, batch, optimizer):
    """One step of domain-adversarial training."""
    features = encoder(batch["x"])
    task_loss = F.cross_entropy(head(features), batch["y"])
    domain_loss = F.cross_entropy(domains(features), batch["domain"])
    total = task_loss + domain_loss
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    return total.item()
