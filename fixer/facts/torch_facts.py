"""What torch's own classes and functions are, as data read off torch by `tools/torch_facts.py`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Layer:
    """One layer of `torch.nn`: its constructor's positional arguments and what its slots hold."""

    arguments: tuple[str, ...]
    slots: dict[str, str]
    """Slot name to ``"parameter"``, ``"buffer"`` or ``"none"``, with every flag at its default."""
    flags: dict[str, dict[str, dict[str, str]]]
    """Flag name, then its value as text, to the slots that then differ (``"missing"`` for an absent one)."""


@dataclass(frozen=True)
class TorchFacts:
    """The contents of `torch_facts.json`."""

    torch: str
    layers: dict[str, Layer]
    functions: frozenset[str]
    """Functions of `torch` that return a plain tensor."""
    functional: frozenset[str]
    """The same of `torch.nn.functional`."""
    methods: frozenset[str]
    """Methods of a tensor that return a tensor."""
    may_return_argument: frozenset[str]
    """Those of all three that were seen to return the very tensor they were given."""
    optimizers: frozenset[str]


@cache
def torch_facts() -> TorchFacts:
    """The facts; read once."""
    data = json.loads(resources.files("fixer.facts").joinpath("torch_facts.json").read_text("utf-8"))
    returns = data["returns_tensor"]
    return TorchFacts(
        data["torch"],
        {
            name: Layer(tuple(layer["arguments"]), layer["slots"], layer["flags"])
            for name, layer in data["layers"].items()
        },
        frozenset(returns["torch"]),
        frozenset(returns["functional"]),
        frozenset(returns["tensor_methods"]),
        frozenset(data["may_return_argument"]),
        frozenset(data["optimizers"]),
    )


SAME_OBJECT_METHODS = frozenset(
    "to cuda cpu float double half bfloat16 type type_as contiguous expand_as requires_grad_ share_memory_ "
    "pin_memory retain_grad".split()
)
"""Tensor methods that may return the very tensor they were called on, a Parameter included."""

MODULE_RETURNING_METHODS = frozenset(
    "to to_empty cuda cpu float double half bfloat16 type train eval requires_grad_ apply".split()
)
"""`nn.Module` methods that return the module itself."""

EXTERNAL_MODULES = frozenset(
    {
        "pytorch_lightning.LightningModule",
        "pytorch_lightning.core.LightningModule",
        "lightning.LightningModule",
        "lightning.pytorch.LightningModule",
        "transformers.PreTrainedModel",
        "transformers.modeling_utils.PreTrainedModel",
        "torch_geometric.nn.MessagePassing",
        "torch_geometric.nn.conv.MessagePassing",
    }
)
"""Classes outside torch and the tree that are known to derive from `nn.Module`."""

WRAPPERS = frozenset(
    {
        "torch.nn.DataParallel",
        "torch.nn.parallel.DataParallel",
        "torch.nn.parallel.DistributedDataParallel",
        "torch.compile",
        "torch.optim.swa_utils.AveragedModel",
    }
)
"""Callables that wrap one module and keep it reachable through `modules()`."""

REPARAMETRISERS = frozenset(
    {
        "torch.nn.utils.weight_norm",
        "torch.nn.utils.spectral_norm",
        "torch.nn.utils.parametrizations.weight_norm",
        "torch.nn.utils.parametrizations.spectral_norm",
        "torch.nn.utils.parametrizations.orthogonal",
    }
)
"""Functions that return their module with a `weight` that is computed from other parameters."""

REPARAMETRISATION_REMOVERS = frozenset(
    {
        "torch.nn.utils.remove_weight_norm",
        "torch.nn.utils.remove_spectral_norm",
        "torch.nn.utils.parametrize.remove_parametrizations",
    }
)
"""Functions that return their module with its own `weight` again."""

REPARAMETRISED = "torch.nn.utils.reparametrised"
"""The class that the facts give such a module; torch has none of this name."""

_CANONICAL_PREFIXES = (
    ("torch.nn.modules.", 4),  # torch.nn.modules.linear.Linear -> torch.nn.Linear
    ("torch.nn.parameter.", 3),
    ("torch.optim.optimizer.", 3),
)
_CANONICAL_NAMES = {
    "torch.nn.parallel.data_parallel.DataParallel": "torch.nn.DataParallel",
    "torch.nn.parallel.DataParallel": "torch.nn.DataParallel",
    "torch.nn.parallel.distributed.DistributedDataParallel": "torch.nn.parallel.DistributedDataParallel",
    "torch.Tensor": "torch.Tensor",
    "torch.autograd.function.Function": "torch.autograd.Function",
    "torch.autograd.variable.Variable": "torch.autograd.Variable",
    "torch.autograd.grad_mode.no_grad": "torch.no_grad",
    "torch.autograd.no_grad": "torch.no_grad",
    "torch.autograd.inference_mode": "torch.inference_mode",
}


def canonical(name: str) -> str:
    """One name for each of torch's re-exports: ``torch.nn.modules.linear.Linear`` is ``torch.nn.Linear``."""
    if name in _CANONICAL_NAMES:
        return _CANONICAL_NAMES[name]
    parts = name.split(".")
    for prefix, length in _CANONICAL_PREFIXES:
        if name.startswith(prefix) and len(parts) > length:
            return ".".join([*parts[:2], *parts[length:]])
    if name.startswith("torch.optim.") and len(parts) == 4 and parts[2] != "lr_scheduler":
        return f"torch.optim.{parts[3]}"  # torch.optim.adam.Adam
    return name
