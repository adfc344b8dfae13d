"""An old checkpoint for a model: the values that both sides start from where construction is not the point.

No parameter in it is zero or constant, and those under a constraint are far out of range, so that the
constraint has work to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .constraint import Constrained, Constraint
from .observe import buffers, parameters, restore, state

_SCALES = (1.5, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class Binding:
    """Values under which the author's constraint changes something."""

    values: dict[str, Tensor] = field(default_factory=dict)
    """A value of each constrained parameter that the constraint has changed."""
    buffers: dict[str, Tensor] = field(default_factory=dict)
    """New values for buffers that the constraint reads, where those it was built with ask for nothing."""


def find_binding(module: nn.Module, constrained: Constrained, author: Constraint, seed: int) -> Binding:
    """Look for values that the constraint would change, first with the buffers as they are."""
    values = _binding_values(module, constrained, author, seed)
    if values:
        return Binding(values)
    drawn = {
        f"{prefix}.{name}" if prefix else name: _redrawn_buffer(buffer, seed + index)
        for prefix, instance in constrained.instances(module)
        for index, (name, buffer) in enumerate(buffers(instance))
        if name.rpartition(".")[2] in author.attributes
    }
    if not drawn:
        return Binding()
    initial = state(module)
    restore(module, drawn)
    values = _binding_values(module, constrained, author, seed)
    restore(module, initial)
    return Binding(values, drawn) if values else Binding()


def _binding_values(
    module: nn.Module, constrained: Constrained, author: Constraint, seed: int
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(seed)
    for prefix, instance in constrained.instances(module):
        initial = state(instance)
        left = [(name, p) for name, p in parameters(instance) if _is_inexact(p)]
        named = [(name, p) for name, p in left if name.rpartition(".")[2] in author.attributes]
        for scale in _SCALES:
            raw = {name: _noise(parameter, generator) * scale for name, parameter in left}
            restore(instance, {**initial, **raw})
            drawn = {name: parameter.detach().clone() for name, parameter in left}  # tied ones share a value
            author.apply(instance)
            bound = {name for name, parameter in left if not torch.equal(parameter, drawn[name])}
            found.update({f"{prefix}.{name}" if prefix else name: drawn[name] for name in sorted(bound)})
            left = [(name, p) for name, p in left if name not in bound]
            if named and not any(name in dict(left) for name, _ in named):
                break
        restore(instance, initial)
    return found


def _redrawn_buffer(buffer: Tensor, seed: int) -> Tensor:
    """Another value of the same kind: a mask with both kinds of entries, a bound that is finite."""
    generator = torch.Generator().manual_seed(seed)
    coin = torch.rand(buffer.shape, generator=generator) < 0.5
    if buffer.numel() > 1:
        coin.view(-1)[:2] = torch.tensor([False, True])
    if buffer.dtype == torch.bool or bool(((buffer == 0) | (buffer == 1)).all()):
        return coin.to(buffer)
    if not _is_inexact(buffer):
        return buffer.clone()
    finite = torch.where(buffer.isfinite(), buffer, buffer.sign() / 2)
    return finite + _noise(buffer, generator) * 0.1


def redrawn(module: nn.Module, seed: int, binding: Binding) -> dict[str, Tensor]:
    """Draw the checkpoint."""
    generator = torch.Generator().manual_seed(seed)
    checkpoint = {
        name: value.detach().clone()
        for name, value in module.state_dict().items()
        if isinstance(value, Tensor)
    }
    drawn: dict[int, Tensor] = {}
    for name, parameter in parameters(module):
        if name not in checkpoint or not _is_inexact(parameter):
            continue
        if id(parameter) not in drawn:
            noise = _noise(parameter, generator)
            if name in binding.values:
                value = binding.values[name]
            else:
                value = parameter.detach() + noise * _spread(parameter)
            drawn[id(parameter)] = value
        checkpoint[name] = drawn[id(parameter)].clone()
    return {**checkpoint, **binding.buffers}


def load_checkpoint(module: nn.Module, checkpoint: dict[str, Tensor]) -> None:
    """Load through `load_state_dict`; what a state dict does not hold is set before, or kept."""
    known = module.state_dict()
    restore(module, {name: value for name, value in checkpoint.items() if name not in known})
    module.load_state_dict({**known, **{name: checkpoint[name] for name in known if name in checkpoint}})


def _is_inexact(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _noise(tensor: Tensor, generator: torch.Generator) -> Tensor:
    kind = torch.complex128 if tensor.is_complex() else torch.float64
    return torch.randn(tensor.shape, generator=generator, dtype=kind).to(tensor)


def _spread(parameter: Tensor) -> float:
    """How far the values of a parameter lie apart, within limits."""
    values = parameter.detach().abs().to("cpu", torch.float64)
    return float(values.std(unbiased=False).clamp(0.1, 1.0)) if parameter.numel() else 0.1


def inside(
    module: nn.Module, checkpoint: dict[str, Tensor], constrained: Constrained, author: Constraint
) -> dict[str, Tensor]:
    """What `module` holds once it has loaded the checkpoint and the constraint has been applied."""
    load_checkpoint(module, checkpoint)
    for _, instance in constrained.instances(module):
        author.apply(instance)
    return state(module)
