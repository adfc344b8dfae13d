"""One model under test: built, fed and called the same way on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import synthesis
from .observe import projected_loss, reseed
from .reference import Reference

if TYPE_CHECKING:
    from .observe import Named

LOSS_SEED = 20_011


@dataclass
class Run:
    """One call of the model: what went in, what came out, and the loss."""

    inputs: Named
    outputs: Named
    loss: Tensor | None

    @property
    def trainable(self) -> bool:
        """Whether the loss has a graph to send gradients through."""
        return self.loss is not None and self.loss.requires_grad


@dataclass
class Bench:
    """How to build and call a class; everything random depends on `seed` only."""

    cls: type[nn.Module]
    recipe: Any
    seed: int
    dtype: torch.dtype | None = None
    reference: Reference | None = None

    def build(self, seed: int = 0) -> nn.Module:
        """Construct the model."""
        reseed(self.seed + seed)
        with default_dtype(self.dtype):
            module: nn.Module = synthesis.build(self.cls, self.recipe)
        return module if self.dtype is None else module.to(self.dtype)

    def inputs(self, seed: int, dtype: torch.dtype | None = None) -> tuple[Any, Any]:
        """The positional and keyword arguments that belong to `seed`."""
        args, kwargs = synthesis.make_inputs(self.recipe, self.seed + seed, dtype=dtype or self.dtype)
        return args, kwargs

    def run(self, module: nn.Module, inputs: tuple[Any, Any], seed: int) -> Run:
        """Call the model with the generators seeded."""
        args, kwargs = inputs
        reseed(self.seed + seed)
        if self.reference is None:
            returned = synthesis.call(module, args, kwargs)
        else:
            self.reference.called(module)
            try:
                returned = synthesis.call(module, args, kwargs)
            finally:
                self.reference.returned()
        outputs = synthesis.flatten_tensors(returned)
        fed = synthesis.flatten_tensors([list(args), dict(kwargs)])
        return Run(fed, outputs, projected_loss(outputs, LOSS_SEED))

    def call(self, module: nn.Module, seed: int, dtype: torch.dtype | None = None) -> Run:
        """Call the model on the inputs that belong to `seed`."""
        return self.run(module, self.inputs(seed, dtype), seed)


@contextmanager
def default_dtype(dtype: torch.dtype | None) -> Iterator[None]:
    """Let new tensors have `dtype` unless it is None."""
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype or previous)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)


@contextmanager
def disturbed_registration(scale: float, seed: int) -> Iterator[None]:
    """Let every parameter be registered with noise on top, the same on both sides.

    Initial values are often inside a constraint already; this way a missing projection at the end of
    `__init__` shows.
    """
    original = nn.Module.register_parameter
    generator = torch.Generator().manual_seed(seed)

    def register(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and param.is_floating_point() and param.device.type == "cpu":
            noise = torch.randn(param.shape, generator=generator, dtype=torch.float64)
            param.data.add_(noise.to(param.dtype), alpha=scale)
        original(self, name, param)

    nn.Module.register_parameter = register  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]


def redrawn(module: nn.Module, seed: int, scales: dict[str, float]) -> dict[str, Tensor]:
    """A checkpoint for `module` in which no parameter is zero or constant.

    The parameters named in `scales` get values of that size, so that a constraint on them has work to do.
    """
    generator = torch.Generator().manual_seed(seed)
    checkpoint = {
        name: value.detach().clone()
        for name, value in module.state_dict().items()
        if isinstance(value, Tensor)
    }
    drawn: dict[int, Tensor] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if name not in checkpoint or not parameter.is_floating_point():
            continue
        if id(parameter) not in drawn:
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            value = parameter.detach().to("cpu", torch.float64)
            if name in scales:
                value = noise * scales[name]
            else:
                spread = float(value.std(unbiased=False).clamp(0.1, 1.0)) if value.numel() else 0.1
                value = value + noise * spread
            drawn[id(parameter)] = value.to(parameter.dtype)
        checkpoint[name] = drawn[id(parameter)].clone()
    return checkpoint


def load_checkpoint(module: nn.Module, checkpoint: dict[str, Tensor]) -> None:
    """Load through `load_state_dict`, entries that are no tensors taken from the module itself."""
    module.load_state_dict({**module.state_dict(), **checkpoint})


def gradients(named: Named) -> list[Any]:
    """The gradients under their names, None where there is none."""
    return [(name, tensor.grad) for name, tensor in named if tensor.requires_grad]
