"""Inputs that are no tensors, that checks of annotations refuse, or that take too long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import mismatch, repair_inputs, specs, synthesize
from tests.synthesis_support import require_differentiated, require_soon


class Turning(nn.Module):
    """Is told how long a sequence is, and where to put what it computes."""

    def __init__(self, dim):
        super().__init__()
        self.speed = nn.Parameter(torch.arange(0, dim, 2).float() / dim)

    def forward(self, seq_len, device):
        return torch.einsum("i , j -> i j", torch.arange(seq_len, device=device).float(), self.speed)


class Grid(nn.Module):
    """Takes as many sizes as it was built for."""

    def __init__(self, dim, axes=2):
        super().__init__()
        self.layer = nn.Linear(axes, dim)

    def forward(self, *sizes, device="cpu"):
        steps = [torch.arange(size, device=device) for size in sizes]
        return self.layer(torch.stack(torch.meshgrid(*steps, indexing="ij"), -1).float())


class Patched(nn.Module):
    """Says in words what it was not given."""

    def __init__(self, a=None, b=None, c=None):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x, noise=None, mask=None, weights=None, patch_gain=None):
        assert patch_gain is not None, "the patch gain must be given"
        return self.layer(x) * patch_gain.mean()


@pytest.mark.parametrize(("cls", "calls"), [(Turning, 4), (Patched, 6)])
def test_it_is_known_soon(cls: type, calls: int) -> None:
    require_soon(cls, calls)


def test_as_many_numbers_are_given_as_there_are_axes() -> None:
    require_differentiated(Grid, 20.0)


def _case(message: str, state: dict[str, Any], **known: Any) -> Any:
    tensors = {(name,): spec for name, spec in state.items() if specs.is_tensor(spec)}
    failure = SimpleNamespace(message=message, is_too_large=known.pop("is_too_large", False))
    return SimpleNamespace(message=message, failure=failure, state=state, tensors=tensors, **known)


def test_what_takes_too_long_is_tried_with_less() -> None:
    state = {"ids": specs.tensor([2, 6, 16], "int64"), "x": specs.tensor([2, 3, 16, 16])}
    state.update(words=specs.tensor([2, 6, 32]), rows=specs.tensor([2, 32]))
    first, second = repair_inputs._smaller(_case("", state, is_too_large=True))
    assert [spec["shape"] for spec in first.values()] == [[2, 3, 8], [2, 3, 8, 8], [2, 3, 32], [2, 32]]
    assert [spec["shape"] for spec in second.values()] == [[2, 2, 4], [2, 3, 4, 4], [2, 2, 32], [2, 32]]
    assert not list(repair_inputs._smaller(_case("", state)))


def test_a_shape_that_was_handed_on_tells_the_rank() -> None:
    message = 'Method f() parameter shape="torch.Size([2, 6])" violates type hint typing.Tuple[int, int, int]'
    assert mismatch.ranks(message) == [3]


class Held(nn.Module):
    """Refuses what its annotation does not allow."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x, sides: tuple[int, int, int] = (1, 1, 1)):
        if not isinstance(sides, tuple):
            raise TypeError(f"Method forward() parameter sides={sides!r} violates type hint tuple")
        return self.layer(x) * sides[0]


def test_what_is_held_to_its_annotation_is_left_out_or_of_that_type() -> None:
    from fixer.verify.worker.synthesis import signatures
    from fixer.verify.worker.synthesis.arguments import Context
    from fixer.verify.worker.synthesis.case import Probe
    from fixer.verify.worker.synthesis.source import Sources

    module = Held()
    probe = Probe(module, signatures.called(module), Context(Sources({}, Held)))
    state = {"x": specs.tensor([2, 4]), "sides": specs.tensor([2])}
    case = _case("Method forward() parameter sides=2 violates type hint tuple", state, probe=probe)
    without, others = list(repair_inputs._of_hinted_type(case))[:2]
    assert list(without) == ["x"]
    assert others["sides"]["kind"] == "tuple"


class Weighted(nn.Module):
    """Weighs its errors by an input, which torch has no gradient for."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x, targets, weights):
        found, targets = self.layer(x), torch.sigmoid(targets)
        return nn.functional.binary_cross_entropy_with_logits(found, targets.detach(), weight=weights)


def test_what_torch_has_no_gradient_for_requires_none() -> None:
    found = synthesize(Weighted, {}, 20.0)
    assert not found.leaves
    require_differentiated(Weighted, 20.0)
