"""What tests of the search ask of a recipe."""

from __future__ import annotations

import json

import torch

from fixer.verify.worker.synthesis import Recipe, build, call, flatten_tensors, make_inputs, synthesize


def require_differentiated(cls: type, budget: float) -> None:
    """Fail unless a recipe is found that survives being sent, and with which gradients reach a parameter."""
    found = Recipe.from_json(json.loads(json.dumps(synthesize(cls, {}, budget).to_json())))
    module = build(cls, found)
    assert type(module) is cls
    args, kwargs = make_inputs(found, 1)
    outputs = flatten_tensors(call(module, args, kwargs))
    torch.stack([tensor.sum() for _, tensor in outputs]).sum().backward()
    assert any(parameter.grad is not None for parameter in module.parameters())


def require_soon(cls: type, calls: int) -> None:
    """Fail unless a recipe is found, and before the class has been called more often than that."""
    called = 0

    def count(module: torch.nn.Module, _inputs: object) -> None:
        nonlocal called
        called += type(module) is cls

    handle = torch.nn.modules.module.register_module_forward_pre_hook(count)
    try:
        require_differentiated(cls, 20.0)  # much more than any needs: a busy machine must not matter
    finally:
        handle.remove()
    assert called <= calls, called
