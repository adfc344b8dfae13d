import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.f = nn.Linear(width, width)

    def forward(self, x):
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a, b + self.f(a)], dim=-1)

    def backward(self, y, dy):
        a, b = y.chunk(2, dim=-1)
        with torch.enable_grad():
            a = a.detach().requires_grad_()
            out = self.f(a)
        b = b - out.detach()
        da, db = dy.chunk(2, dim=-1)
        return torch.cat([a.detach(), b], dim=-1), torch.cat([da + db @ self.f.weight, db], dim=-1)


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, blocks):
        for block in blocks:
            x = block(x)
        ctx.y, ctx.blocks = x.detach(), blocks
        return x

    @staticmethod
    def backward(ctx, dy):
        y = ctx.y
        for block in ctx.blocks[::-1]:
            y, dy = block.backward(y, dy)
        return dy, None


class ReversibleSequence(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.blocks = nn.ModuleList(Coupling(width) for _ in range(depth))

    def forward(self, x):
        return _Reversible.apply(x, self.blocks)
