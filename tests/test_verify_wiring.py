"""Replaying the code around an optimizer, with all that is not known there stood for."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from fixer.verify.worker.wiring import Region, WiringError


class Warmup:
    """Holds an optimizer, and is none."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer


def replay(
    code: str, model: str, net: nn.Module, *, optimizer: str = "optimizer", side: str = "before"
) -> Any:
    wiring = {"path": "train.py", "model": model, "optimizer": optimizer, side: code}
    scope: dict[str, Any] = {
        "torch": torch,
        "itertools": itertools,
        "Adam": torch.optim.Adam,
        "Warmup": Warmup,
    }
    return Region(wiring, side, scope, stand_in=False).build(net)


def owned(optimizer: Optimizer, net: nn.Module) -> int:
    """How often the optimizer takes the model's weight."""
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    return sum(weight is net.weight for weight in weights)


@pytest.mark.parametrize(
    ("code", "model"),
    [
        ("self.optimizer = Adam(self.model.parameters())", "self.model"),
        ("both = {'a': Adam(net.parameters()), 'b': Adam(critic.parameters())}", "net"),
        ("both = [Adam(critic.parameters()), Adam(net.parameters())]", "net"),
        ("return Adam(self.gen.parameters()), Adam(self.critic.parameters())", "self.critic"),
        ("optimizer = Warmup(Adam(net.parameters()))", "net"),
        ("self.optimizers['a'] = Adam(net.parameters())", "net"),
        ("self.optimizers.append(Adam(net.parameters()))", "net"),
        ("optimizer = wrap(Adam(net.parameters()))", "net"),
        ("o = Adam([{'params': net[0].parameters()}, {'params': net[1].parameters()}])", "net[1]"),
        ("o = Adam([{'params': nets['a'].parameters()}, {'params': nets[\"b\"].parameters()}])", "nets['b']"),
        ("o = Adam([{'params': get(1).parameters()}, {'params': get(2).net.parameters()}])", "get(2).net"),
        ("o = Adam(itertools.chain(other.parameters(), net.parameters()))", "net"),
        ("o = Adam(list(net.parameters()) + [p for _, p in other.named_parameters()])", "net"),
        ("o = Adam(list(net.parameters()) + [p for n in nets for p in n.parameters()])", "net"),
    ],
)
def test_the_optimizer_of_the_model_is_found(code: str, model: str) -> None:
    net = nn.Linear(2, 2)
    assert owned(replay(code, model, net), net) == 1


def test_what_is_put_into_something_unknown_is_there_again() -> None:
    net, seen = nn.Linear(2, 2), "self.optimizers['a']"
    code = f"{seen} = Adam(net.parameters())\n{seen}.register_step_post_hook(print)"
    assert len(replay(code, "net", net, optimizer=seen)._optimizer_step_post_hooks) == 1


def test_another_model_has_no_modules_of_ours() -> None:
    code = (
        "optimizer = Adam(net.parameters())\n"
        "for module in critic.modules():\n"
        "    if isinstance(module, torch.nn.Linear):\n"
        "        optimizer.register_step_post_hook(module.forward)"
    )
    assert not replay(code, "net", nn.Linear(2, 2), side="after")._optimizer_step_post_hooks


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("o = Adam(critic.parameters())", "0 of the model's optimizers"),
        ("both = Adam(net.parameters()), Adam(net.parameters())", "2 of the model's optimizers"),
        ("o = Adam([])", "cannot be replayed: ValueError"),
        ("o = Adam(collected)", "cannot be replayed: TypeError"),
        ("a, b = unknown\no = Adam(net.parameters())", "cannot be replayed: ValueError"),
    ],
)
def test_an_original_that_cannot_be_replayed_is_no_difference(code: str, reason: str) -> None:
    with pytest.raises(WiringError, match=reason) as raised:
        replay(code, "net", nn.Linear(2, 2))
    assert not isinstance(raised.value, Exception)  # what notes the target's errors lets it pass


def test_an_error_of_the_fixed_code_is_its_own() -> None:
    code = "optimizer = Adam(net.parameters())\noptimizer.register_step_post_hook(net.missing)"
    with pytest.raises(AttributeError, match="missing"):
        replay(code, "net", nn.Linear(2, 2), side="after")


def test_building_is_watched_only_during_the_replay() -> None:
    before = Optimizer.__init__
    replay("o = Adam(net.parameters())", "net", nn.Linear(2, 2))
    with pytest.raises(WiringError):
        replay("o = Adam([])", "net", nn.Linear(2, 2))
    assert Optimizer.__init__ is before
