"""Models with a `backward` that nothing calls, each with wrong ways to delete it."""

from __future__ import annotations

from tests.mutants.models import Deletion

DELETIONS = (
    Deletion(
        "convolutions with batch norm",
        """
        class Net(nn.Module):
            def __init__(self, channels: int = 3):
                super().__init__()
                self.conv = nn.Conv2d(channels, 4, 3, padding=1)
                self.norm = nn.BatchNorm2d(4)

            def forward(self, x):
                #project
                return F.relu(self.norm(self.conv(x)))

            #method
        """,
        (
            ("padding=1", "padding=1, padding_mode='reflect'"),
            ("nn.BatchNorm2d(4)", "nn.BatchNorm2d(4, eps=1e-4)"),
            ("nn.BatchNorm2d(4)", "nn.BatchNorm2d(4, affine=False)"),
            ("nn.BatchNorm2d(4)", "nn.GroupNorm(4, 4)"),
            ("F.relu(", "F.leaky_relu("),
            ("self.norm(self.conv(x))", "self.norm(self.conv(x.detach()))"),
        ),
        inputs="torch.randn(2, 3, 6, 6)",
    ),
    Deletion(
        "attention with dropout that returns its weights",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 8):
                super().__init__()
                self.attention = nn.MultiheadAttention(dim, 2, dropout=0.2, batch_first=True)
                self.norm = nn.LayerNorm(dim)

            def forward(self, x: torch.Tensor):
                #project
                y, weights = self.attention(x, x, x)
                return {"y": self.norm(x + y), "weights": weights}

            #method
        """,
        (
            ("dropout=0.2", "dropout=0.1"),
            ("(x, x, x)", "(x, x.detach(), x)"),
            ("x + y", "y"),
            ('"weights": weights', '"weights": weights.detach()'),
        ),
        inputs="torch.randn(2, 3, 8)",
    ),
    Deletion(
        "a layer that draws random numbers",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)

            def forward(self, x):
                #project
                noise = torch.randn_like(x) if self.training else 0
                return self.lin(x + noise)

            #method
        """,
        (
            ("torch.randn_like(x)", "torch.rand_like(x)"),
            ("if self.training else 0", "if not self.training else 0"),
            ("noise = torch", "torch.rand(1); noise = torch"),
        ),
    ),
    Deletion(
        "a hard step with a gradient of its own",
        """
        class Sign(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x.sign()

            @staticmethod
            def backward(ctx, grad):
                return grad * (ctx.saved_tensors[0].abs() <= 1)


        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)

            def forward(self, x):
                #project
                return Sign.apply(self.lin(x))

            #method
        """,
        (
            ("abs() <= 1", "abs() <= 2"),
            ("Sign.apply(self.lin(x))", "self.lin(x).sign()"),
            (
                "    def backward(ctx, grad):\n",
                "    def backwards(ctx, grad):\n",
            ),
        ),
    ),
    Deletion(
        "a state that one call leaves for the next",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.cell = nn.RNNCell(dim, dim)
                self.register_buffer("state", torch.zeros(1, dim))

            def forward(self, x):
                #project
                h = self.cell(x, self.state.clone().expand(len(x), -1))
                self.state.copy_(h.detach().mean(0, keepdim=True))
                return h

            #method
        """,
        (
            ("        self.state.copy_(h.detach().mean(0, keepdim=True))\n", ""),
            ("torch.zeros(1, dim))", "torch.zeros(1, dim), persistent=False)"),
            ("h.detach().mean(0, keepdim=True)", "h.detach()[:1]"),
        ),
    ),
    Deletion(
        "sparse gradients",
        """
        class Net(nn.Module):
            def __init__(self, words: int = 7, dim: int = 4):
                super().__init__()
                self.bag = nn.EmbeddingBag(words, dim, mode="mean")
                self.head = nn.Linear(dim, 2)

            def forward(self, x: torch.LongTensor):
                #project
                return self.head(self.bag(x))

            #method
        """,
        (('mode="mean"', 'mode="sum"'), ('mode="mean"', 'mode="mean", padding_idx=0')),
        inputs="torch.randint(0, 7, (2, 3))",
    ),
)
