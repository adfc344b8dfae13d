"""Write `fixer/facts/torch_facts.json`: which layer registers what, read off torch itself.

Run it with a Python that has torch: ``python tools/torch_facts.py``. The file holds the torch version it was
read from; `tests/test_facts_torch.py` fails when the installed torch disagrees with it.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

TARGET = Path(__file__).resolve().parent.parent / "fixer" / "facts" / "torch_facts.json"

# Small legal constructor arguments for layers whose required arguments are not all sizes.
_SPECIAL: dict[str, dict[str, Any]] = {
    "GroupNorm": {"num_groups": 2, "num_channels": 4},
    "MultiheadAttention": {"embed_dim": 4, "num_heads": 2},
    "RNNBase": {"mode": "LSTM", "input_size": 4, "hidden_size": 4},
    "RNN": {"input_size": 4, "hidden_size": 4},
    "LSTM": {"input_size": 4, "hidden_size": 4},
    "GRU": {"input_size": 4, "hidden_size": 4},
    "Transformer": {"d_model": 4, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 1},
    "TransformerEncoderLayer": {"d_model": 4, "nhead": 2},
    "TransformerDecoderLayer": {"d_model": 4, "nhead": 2},
    "AdaptiveLogSoftmaxWithLoss": {"in_features": 4, "n_classes": 10, "cutoffs": [2]},
}
# What the stubs leave out: functions written in Python, and re-exports.
_ALSO: dict[str, list[str]] = {
    "torch": ["cdist", "einsum", "from_dlpack", "norm", "where"],
    "tensor_methods": ["norm", "new_tensor", "renorm_", "clamp_min_", "clamp_max_"],
    "functional": [
        "avg_pool1d",
        "avg_pool2d",
        "avg_pool3d",
        "bilinear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "gelu",
        "interpolate",
        "linear",
        "logsigmoid",
        "pad",
        "pixel_shuffle",
        "prelu",
        "scaled_dot_product_attention",
        "softplus",
    ],
}
# Flags that decide whether a slot holds a Parameter, None, or a buffer.
_FLAGS = (
    "bias",
    "affine",
    "elementwise_affine",
    "track_running_stats",
    "add_bias_kv",
    "_weight",
    "proj_size",
)


def _arguments(name: str, cls: type[nn.Module]) -> dict[str, Any]:
    if name in _SPECIAL:
        return dict(_SPECIAL[name])
    required = [
        parameter.name
        for parameter in list(_signature(cls).values())[1:]
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    return dict.fromkeys(required, 4)


def _signature(cls: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """The constructor's parameters; recurrent layers hide those of `RNNBase` behind a star."""
    parameters = dict(inspect.signature(cls.__init__).parameters)
    if "args" in parameters and issubclass(cls, nn.RNNBase):
        parameters = dict(inspect.signature(nn.RNNBase.__init__).parameters)
        del parameters["mode"]
    return parameters


def _positional(cls: type[nn.Module]) -> list[str]:
    names = []
    for parameter in list(_signature(cls).values())[1:]:
        if parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
        else:
            break
    return names


def _slots(module: nn.Module) -> dict[str, str]:
    slots: dict[str, str] = {}
    for name, parameter in module._parameters.items():
        slots[name] = "parameter" if parameter is not None else "none"
    for name, buffer in module._buffers.items():
        slots[name] = "buffer" if buffer is not None else "none"
    return slots


def layers() -> dict[str, Any]:
    """For each public layer: positional argument names, default slots, and what each flag changes."""
    found: dict[str, Any] = {}
    for name in sorted(dir(nn)):
        cls = getattr(nn, name)
        if not (inspect.isclass(cls) and issubclass(cls, nn.Module)) or cls is nn.Module or "Lazy" in name:
            continue
        arguments = _arguments(name, cls)
        try:
            slots = _slots(cls(**arguments))
        except Exception:  # a container or a wrapper that needs a module: it has no slots of its own
            found[name] = {"arguments": _positional(cls), "slots": {}, "flags": {}}
            continue
        flags: dict[str, dict[str, dict[str, str]]] = {}
        signature = _signature(cls)
        for flag in _FLAGS:
            if flag not in signature or not isinstance(signature[flag].default, bool):
                continue
            for value in (True, False):
                other = _slots(cls(**{**arguments, flag: value}))
                changed = {
                    slot: other.get(slot, "missing")
                    for slot in sorted(slots.keys() | other.keys())
                    if other.get(slot, "missing") != slots.get(slot, "missing")
                }
                if changed:
                    flags.setdefault(flag, {})[str(value)] = changed
        found[name] = {"arguments": _positional(cls), "slots": slots, "flags": flags}
    return found


def _returning_tensor(stub: Path, class_name: str | None = None) -> list[str]:
    """Names in a stub file (or a class of it) whose every overload returns exactly `Tensor`."""
    body: list[ast.stmt] = ast.parse(stub.read_text()).body
    if class_name is not None:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == class_name)
    returns: dict[str, set[str]] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.returns is not None:
            returns.setdefault(node.name, set()).add(ast.unparse(node.returns))
    return sorted(name for name, found in returns.items() if found <= {"Tensor", "torch.Tensor", "Self"})


def returns_tensor() -> dict[str, list[str]]:
    """Functions of `torch`, of `torch.nn.functional` and methods of `Tensor` that always return a tensor."""
    home = Path(torch.__file__).parent
    functional = home / "nn" / "functional.pyi"
    named = list(_ALSO)
    found = [
        _returning_tensor(home / "_C" / "_VariableFunctions.pyi"),
        _returning_tensor(home / "_C" / "__init__.pyi", "TensorBase"),
        _returning_tensor(functional if functional.exists() else functional.with_suffix(".py")),
    ]
    return {name: sorted({*names, *_ALSO[name]}) for name, names in zip(named, found, strict=True)}


def may_return_argument(names: dict[str, list[str]]) -> list[str]:
    """The functions that return the very Parameter they are given, unchanged, for one of a few calls."""
    homes: dict[str, Any] = {"torch": torch, "functional": nn.functional, "tensor_methods": torch.Tensor}
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        *(((argument,), {}) for argument in (0, 1, -1, 0.0, torch.float32, (4,), (3, 3))),
        *((pair, {}) for pair in ((0, 0), (0, 1), (0.5, False))),
        *(((), keywords) for keywords in ({}, {"training": False}, {"p": 0.0}, {"dtype": torch.float32})),
    ]
    found = {
        name
        for home, listed in names.items()
        for name in listed
        if not name.endswith("_") and hasattr(homes[home], name)
        if any(_returns_argument(getattr(homes[home], name), *call) for call in calls)
    }
    return sorted(found)


def _returns_argument(function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    for size in ((), (4,), (3, 3), (1, 3)):
        parameter = nn.Parameter(torch.full(size, -1.5))
        try:
            with torch.no_grad():
                same = function(parameter, *arguments, **keywords) is parameter
            if same and bool((parameter == -1.5).all()):
                return True
        except Exception:  # noqa: S112 - not a call that this function takes
            continue
    return False


def optimizers() -> list[str]:
    """The public optimizer classes of `torch.optim`."""
    return [
        name
        for name in sorted(dir(torch.optim))
        if inspect.isclass(getattr(torch.optim, name))
        and issubclass(getattr(torch.optim, name), torch.optim.Optimizer)
    ]


def read_facts() -> dict[str, Any]:
    """Everything that the file holds, read off the installed torch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = returns_tensor()
        return {
            "torch": torch.__version__.split("+")[0],
            "layers": layers(),
            "returns_tensor": names,
            "may_return_argument": may_return_argument(names),
            "optimizers": optimizers(),
        }


def main() -> int:
    """Write the file; returns the exit status."""
    TARGET.write_text(json.dumps(read_facts(), indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
