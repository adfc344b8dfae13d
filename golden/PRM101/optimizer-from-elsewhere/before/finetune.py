from torch import optim

from gate import Gate


def create_optimizer(name, parameters, **options):
    return getattr(optim, name)(parameters, **options)


def main(batches):
    model = Gate()
    optimizer = create_optimizer("SGD", model.parameters(), lr=0.1)
    for batch in batches:
        optimizer.zero_grad()
        model(batch).sum().backward()
        optimizer.step()
