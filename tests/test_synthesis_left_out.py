"""Inputs that may be left out but are needed, and numbers that must be of those a model knows."""

import pytest
import torch
from torch import nn

from tests.synthesis_support import require_soon

CALLS = 60
"""How often a class may be called before its inputs are known: about twice what each needs."""


class Attends(nn.Module):
    """Looks at itself where there is no context; its keys are made for a context of another width."""

    def __init__(self, width):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(76, width)

    def forward(self, x, context=None):
        context = x if context is None else context
        return torch.softmax(self.query(x) @ self.key(context).transpose(1, 2), -1) @ self.key(context)


class WithContext(nn.Module):
    """The context has to come from outside, and is optional."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.attends = Attends(32)

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        return x + self.attends(self.norm(x), context)


class OfAnotherWidth(nn.Module):
    """Makes attention of one width itself, and is told another one."""

    def __init__(self, d_model: int, d_feed: int, drop: float, attention: nn.Module | None = None):
        super().__init__()
        self.attention = attention or nn.MultiheadAttention(48, 2, batch_first=True)
        self.norm = nn.LayerNorm(d_model)
        self.feed = nn.Sequential(nn.Linear(d_model, d_feed), nn.Dropout(drop), nn.Linear(d_feed, d_model))

    def forward(self, tgt, memory, memory_mask=None, key_mask=None):
        found, _ = self.attention(tgt, memory, memory, attn_mask=memory_mask, key_padding_mask=key_mask)
        return self.feed(self.norm(tgt + found))


class Tasks(nn.Module):
    """Has a head for each task it has been told of, which is one to begin with."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.heads = nn.ModuleDict({"0": nn.Linear(width, 2)})

    def forward(self, x, task_labels):
        return torch.stack(
            [self.heads[str(int(task))](row) for row, task in zip(x, task_labels, strict=True)]
        )


class Splines(nn.Module):
    """Looks up between which of ten places from zero to one each number lies."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.heights = nn.Parameter(torch.rand(width, 10))

    def forward(self, inputs):
        assert inputs.dim() == 2
        places = torch.linspace(0, 1, 11)
        found = (inputs[..., None] >= places).sum(-1) - 1
        return torch.stack([self.heights.gather(1, row[:, None])[:, 0] for row in found]) * inputs


class Sampled(nn.Module):
    """Knows how often its series are measured."""

    def __init__(self, freq: str):
        super().__init__()
        self.fc = nn.Linear({"D": 7, "H": 24}[freq.strip()], 1)

    def forward(self, x):
        return self.fc(x)


class Inverts(nn.Module):
    """Averages what a mask does not hide."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x, hidden):
        assert x.dim() == 3
        assert hidden.dim() == 2
        kept = (~hidden).to(x.dtype)[..., None]
        return (self.fc(x) * kept).sum(1) / kept.sum(1).clamp(min=1)


class FewTokens(nn.Module):
    """Knows four tokens, and adds what stands between the first two and the last."""

    def __init__(self, a=None, b=None, c=None):
        super().__init__()
        self.embed = nn.Embedding(4, 8)

    def embedded(self, ids):
        return nn.functional.embedding(ids * 1, self.embed.weight)

    def forward(self, first_ids, second_ids, third_ids):
        return self.embedded(first_ids) + self.embedded(second_ids) + self.embedded(third_ids)


@pytest.mark.parametrize("cls", [FewTokens, Inverts, OfAnotherWidth, WithContext, Tasks, Splines, Sampled])
def test_it_is_called_and_differentiated(cls: type) -> None:
    require_soon(cls, CALLS)
