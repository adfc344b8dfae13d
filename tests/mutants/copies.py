"""Models that assign tensors to parameters, each with wrong statements in place of the right copy."""

from __future__ import annotations

from tests.mutants.models import Copying

COPIES = (
    Copying(
        "a convolution that starts as the identity",
        """
        class Net(nn.Module):
            def __init__(self, channels: int = 3):
                super().__init__()
                self.conv = nn.Conv2d(channels, channels, 1)
                #project

            def forward(self, x):
                return self.conv(x)
        """,
        "self.conv.weight",
        "torch.eye(channels)[:, :, None, None]",
        (
            "self.conv.weight.data.copy_(torch.eye(channels)[None, None].transpose(1, 2))",
            "self.conv.weight.data.copy_(torch.ones(1))",
            "self.conv.weight.data[:] = torch.eye(channels)[:, :, None, None] + 1e-6",
            "self.conv.weight = nn.Parameter(torch.eye(channels)[:, :, None, None])",
            "self.conv.weight.data = torch.eye(channels)[:, :, None, None]",
            "self.conv.weight.requires_grad_(False).copy_(torch.eye(channels)[:, :, None, None])",
            "self.conv.register_buffer('w', torch.eye(channels)[:, :, None, None])",
            "with torch.no_grad():\n    self.conv.weight.add_(torch.eye(channels)[:, :, None, None])",
        ),
        inputs="torch.randn(2, 3, 5, 5)",
    ),
    Copying(
        "an embedding from a table",
        """
        class Net(nn.Module):
            def __init__(self, words: int = 6, dim: int = 4):
                super().__init__()
                self.embedding = nn.Embedding(words, dim)
                self.head = nn.Linear(dim, words)
                table = torch.linspace(-1, 1, words * dim).view(words, dim)
                #project

            def forward(self, ids):
                return self.head(self.embedding(ids))
        """,
        "self.embedding.weight",
        "table",
        (
            "self.head.weight.data.copy_(table)",
            "self.embedding.weight.data.copy_(table[:1])",
            "self.embedding.weight.data.copy_(table.flip(0))",
            "self.embedding = nn.Embedding.from_pretrained(table)",
            "self.embedding.weight.data.copy_(table); self.head.weight.data.copy_(table)",
        ),
        inputs="torch.randint(0, 6, (2, 3))",
    ),
    Copying(
        "a running value inside forward",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)
                self.center = nn.Parameter(torch.zeros(dim), requires_grad=False)

            def forward(self, x):
                y = self.lin(x)
                #project
                return y - self.center
        """,
        "self.center",
        "0.9 * self.center + 0.1 * y.detach().mean(0)",
        (
            "self.center.data.copy_(0.9 * self.center + 0.1 * y.mean())",
            "self.center.data.copy_(0.8 * self.center + 0.2 * y.detach().mean(0))",
            "center = 0.9 * self.center + 0.1 * y.detach().mean(0)",
            "self.center.data.copy_(0.9 * self.center + 0.1 * y.detach().mean(0)); y = y.detach()",
        ),
    ),
    Copying(
        "a scalar in half precision",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))
                #project

            def forward(self, x: torch.Tensor):
                return x * self.scale
        """,
        "self.scale",
        "torch.tensor(0.3, dtype=torch.float64)",
        (
            "self.scale.data.copy_(torch.tensor(0.3))",
            "self.scale.data = torch.tensor(0.3)",
            "self.scale.data.fill_(0.30000001)",
        ),
    ),
)
