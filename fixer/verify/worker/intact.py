"""Whether the target's code has replaced what verification itself is made of.

Both sides run in processes of their own, but beside the code under test: what it puts in the place of
`torch.equal` is called by those who compare. This finds what is replaced and left so, by accident mostly;
code that sets out to deceive the process that it runs in can.
"""

from __future__ import annotations

import builtins
import functools
import random
from typing import Any, Iterator

_OF_TENSORS = (
    *(
        "backward",
        "clone",
        "contiguous",
        "copy_",
        "detach",
        "flatten",
        "is_floating_point",
        "item",
        "new_zeros",
    ),
    *("numel", "requires_grad_", "to", "to_dense"),
)
_OF_MODULES = (
    *("_apply", "buffers", "children", "load_state_dict", "modules", "named_buffers", "named_modules"),
    *("named_parameters", "parameters", "register_parameter", "state_dict", "train", "zero_grad"),
)


class ReplacedError(Exception):
    """The target has replaced what verification works with, so nothing it says can be relied on."""


@functools.lru_cache(maxsize=1)
def known() -> dict[str, Any]:
    """What verification works with, as it is before any of the target's code runs: call it early."""
    return dict(_relied_on())


def replace(name: str, old: Any, new: Any) -> None:
    """Know that torch itself has put something else in the place of what was there."""
    if known().get(name) is old:
        known()[name] = new


def require() -> None:
    """Raise `ReplacedError` if any of it is another object now."""
    as_it_was = known()
    for name, value in _relied_on():
        if value is not as_it_was.get(name):
            raise ReplacedError(f"the code replaces {name}, which verification relies on")


def _relied_on() -> Iterator[tuple[str, Any]]:
    import torch
    from torch import nn

    for owner, prefix, names in (
        (
            torch,
            "torch",
            ("cat", "equal", "manual_seed", "maximum", "no_grad", "randn", "where", "zeros"),
        ),
        (torch.Tensor, "torch.Tensor", _OF_TENSORS),
        (torch.Generator, "torch.Generator", ("manual_seed",)),
        (torch.autograd, "torch.autograd", ("backward",)),
        (nn.Module, "torch.nn.Module", _OF_MODULES),
        (torch.optim.Optimizer, "torch.optim.Optimizer", ("register_step_post_hook", "zero_grad")),
        (random, "random", ("seed", "getstate")),
        (builtins, "builtins", ("dict", "id", "isinstance", "len", "list", "repr", "sorted", "zip")),
    ):
        for name in names:
            yield f"{prefix}.{name}", vars(owner).get(name, getattr(owner, name, None))
