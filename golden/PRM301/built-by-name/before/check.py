import torch

from acts import build


def main(name="swish"):
    act = build(name)
    x = torch.randn(4, requires_grad=True)
    out = act(x)
    by_hand = act.backward(torch.ones(4))
    (by_autograd,) = torch.autograd.grad(out.sum(), x)
    return torch.allclose(by_hand, by_autograd)
