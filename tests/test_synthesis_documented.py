"""Shapes of inputs that docstrings and comments give, and nothing else does."""

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import documented
from tests.synthesis_support import require_soon

CALLS = 16
"""How often a class may be called before its inputs are known."""


class Assigns(nn.Module):
    """Weighs the boxes of a model by how near they are to those that are known."""

    def __init__(self, num_classes: int = 7, top: int = 9):
        super().__init__()
        self.num_classes = num_classes
        self.top = top
        self.weight = nn.Parameter(torch.ones(num_classes))

    def forward(self, scores, boxes, anchors, known, present):
        """Assign.

        Args:
            scores (torch.Tensor): Scores with shape (bs, num_anchors, num_classes).
            boxes (torch.Tensor): Boxes that were predicted, with
                shape (bs, num_anchors, 4).
            anchors (torch.Tensor): Where they started, `(num_anchors, 2)`.
            known (torch.Tensor): Boxes that are known, (bs, n_known, 4).
            present (torch.Tensor): shape (bs, n_known, 1).
        """
        batch, count, four = boxes.shape
        if scores.shape != (batch, count, self.num_classes) or four != 4 or anchors.shape != (count, 2):
            raise RuntimeError("no")
        if known.shape[0] != batch or known.shape[2] != 4 or present.shape != (batch, known.shape[1], 1):
            raise RuntimeError("no")
        apart = (boxes[:, None] - known[:, :, None]).abs().sum(-1) + anchors.sum()
        return ((scores * self.weight).sum(-1)[:, None] * apart * present).topk(self.top).values


class Commented(nn.Module):
    """Says what it takes beside the code."""

    def __init__(self, d_model: int = 24):
        super().__init__()
        self.d_model = d_model
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(
        self,
        tokens,  # [L, N, d_model]
        offsets,
    ):
        # offsets: [N, 2*L, 3], where each token is moved, and its end
        length, batch, width = tokens.shape
        if width != self.d_model or offsets.shape != (batch, 2 * length, 3):
            raise RuntimeError("no")
        return (tokens * self.weight).sum() * offsets.prod(-1)


class Each(nn.Module):
    """Takes several maps of one kind."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5))

    def forward(self, maps: list[torch.Tensor], ids):
        """Pick.

        :param maps: list of tensors of shape [B, 5, 12]
        :param ids: LongTensor of shape [B, 3]
        """
        if any(item.shape[1:] != (5, 12) for item in maps) or ids.shape != (len(maps[0]), 3):
            raise RuntimeError("no")
        return sum(item.sum(-1) @ self.weight for item in maps) + ids.sum(1)


class Levels(nn.Module):
    """Looks at maps of several sizes, all of whose points stand in a row."""

    def __init__(self, n_levels: int = 3):
        super().__init__()
        self.n_levels = n_levels
        self.weight = nn.Parameter(torch.ones(12))

    def forward(self, query, points, value, shapes: list):
        """Look.

        :param query         (N, Length_{query}, 12)
        :param points        (N, Length_{query}, 1, 2 or 4), each from 0 to 1
        :param value         (N, Length_{value}, 12)
        :param shapes        (n_levels, 2), heights and widths
        """
        assert sum(side[0] * side[1] for side in shapes) == value.shape[1]
        if len(shapes) != self.n_levels or points.shape[2:] not in ((1, 2), (1, 4)):
            raise RuntimeError("no")
        return ((query * self.weight) @ value.transpose(1, 2)).sum(-1) + points.sum((2, 3))


@pytest.mark.parametrize("cls", [Assigns, Commented, Each, Levels])
def test_inputs_have_the_shapes_that_are_written_down(cls: type) -> None:
    require_soon(cls, CALLS)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (": (B, C, H, W) images", ["B", "C", "H", "W"]),
        (" of shape [batch x time x 3]", ["batch", "time", "3"]),
        (": BxCxT", ["B", "C", "T"]),
        (": in the format NCHW", ["N", "C", "H", "W"]),
        (": (B, 2*S-1, E)", ["B", "2*S-1", "E"]),
        (" (Tensor, optional): (N, L)", ["N", "L"]),
        (" in the range (0, 1)", []),
        (" tuple (int, int)", []),
        (": (optional) the mask", []),
    ],
)
def test_shapes_are_told_from_other_brackets(text: str, items: list[str]) -> None:
    assert documented.sizes_in(text) == items


def test_sums_and_products_of_sizes_are_known() -> None:
    sizes = documented._Sizes(6)
    sizes.update(L=5)
    assert [documented._value(item, sizes) for item in ("2*L-1", "L//2", "L + 1", "7", "K", "L/0")] == [
        *(9, 2, 6, 7, 0, 0)
    ]
