"""The original, run as if it said what its author meant: something to compare a repaired program with.

Assigning a tensor to a parameter raises, and so does changing one in place. Under a reference either works:
as a copy into the parameter, or as a value that stands for the parameter until the call is over.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_IN_PLACE = {
    "__iadd__": "add",
    "__isub__": "sub",
    "__imul__": "mul",
    "__itruediv__": "div",
    "__ipow__": "pow",
    **{f"{name}_": name for name in ("add", "sub", "mul", "div", "pow", "clamp", "clamp_min", "clamp_max")},
    **{
        f"{name}_": name
        for name in ("abs", "neg", "relu", "sigmoid", "tanh", "exp", "sqrt", "square", "lerp")
    },
}


class Reference:
    """While it is entered, parameters take tensors: ``"copy"`` or, for the rest of a call, ``"local"``."""

    def __init__(self, kind: str) -> None:
        self._local = kind == "local"
        self._shadows: list[tuple[nn.Module, str]] = []
        self._root: nn.Module | None = None

    def __enter__(self) -> Reference:
        self._setattr = nn.Module.__setattr__
        reference = self

        def assign(module: nn.Module, name: str, value: Any) -> None:
            reference._assign(module, name, value)

        nn.Module.__setattr__ = assign  # type: ignore[method-assign, assignment]
        self._own = {name: Tensor.__dict__[name] for name in _IN_PLACE if name in Tensor.__dict__}
        for name, replacement in {n: self._in_place(n, pure) for n, pure in _IN_PLACE.items()}.items():
            setattr(Tensor, name, replacement)
        return self

    def __exit__(self, *_: object) -> None:
        nn.Module.__setattr__ = self._setattr  # type: ignore[method-assign]
        for name in _IN_PLACE:
            delattr(Tensor, name)  # what the C base class defines shows again
        for name, original in self._own.items():
            setattr(Tensor, name, original)

    def called(self, module: nn.Module) -> None:
        """A call of `module` begins."""
        self._root = module

    def returned(self) -> None:
        """The call is over: parameters stand for themselves again."""
        for module, name in self._shadows:
            module.__dict__.pop(name, None)
        self._shadows.clear()

    def _assign(self, module: nn.Module, name: str, value: Any) -> None:
        parameter = module.__dict__.get("_parameters", {}).get(name)
        if parameter is None or not isinstance(value, Tensor) or isinstance(value, nn.Parameter):
            self._setattr(module, name, value)
        elif self._local:
            self._shadow(module, name, value)
        elif value.shape != parameter.shape:
            raise ValueError(f"{name} has shape {tuple(parameter.shape)}, its value {tuple(value.shape)}")
        else:
            parameter.data.copy_(value.detach())
            _forget(module, value, parameter)

    def _shadow(self, module: nn.Module, name: str, value: Tensor) -> None:
        module.__dict__[name] = value
        self._shadows.append((module, name))

    def _in_place(self, name: str, pure: str) -> Any:
        original = getattr(Tensor, name)
        reference = self

        def change(parameter: Tensor, *args: Any, **kwargs: Any) -> Any:
            if not (torch.is_grad_enabled() and parameter.requires_grad and parameter.is_leaf):
                return original(parameter, *args, **kwargs)
            if not reference._local:
                with torch.no_grad():
                    return original(parameter, *args, **kwargs)
            value = getattr(parameter, pure)(*args, **kwargs)
            reference._replace(parameter, value)
            return value

        return change

    def _replace(self, parameter: Tensor, value: Tensor) -> None:
        for module in self._root.modules() if self._root is not None else ():
            for name, held in module._parameters.items():
                if held is parameter:
                    self._shadow(module, name, value)


def _forget(module: nn.Module, value: Tensor, parameter: nn.Parameter) -> None:
    """Put the parameter back into lists that took the value: recurrent layers keep their weights in one."""
    for held in module.__dict__.values():
        if type(held) is list:
            held[:] = [parameter if item is value else item for item in held]
