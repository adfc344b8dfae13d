"""The weights of a model that is looked at: large ones are drawn quickly, and none is fetched."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from . import hubs

if TYPE_CHECKING:
    from .probing import Failure

_LARGE = 1 << 18
_DRAWN = 1 << 16
_INITIALISERS = {
    "exponential_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "orthogonal_",
    "random_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
}
_FETCHING = re.compile(
    r"URLError|HTTPError|\bURL\b|[Ff]ailed to download|ConnectionError|OfflineMode|LocalEntryNotFound"
    r"|refuses to use the network|torch.hub.checkpoints|couldn't connect|offline|huggingface\.co"
    r"|refuses to write .*\.(pth?|tar|bin|ckpt|npz|safetensors)"
)
_FETCHERS = ("load_state_dict_from_url", "load_url")
_DOWNLOADERS = ("hf_hub_download", "snapshot_download", "cached_download")
"""Functions that return where the file is that they have fetched."""


class QuickValues(TorchFunctionMode):
    """Draws the first rows of a large weight and repeats them: a search builds a model many times."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one call of torch's."""
        kwargs = kwargs or {}
        target = args[0] if args else kwargs.get("tensor")
        if getattr(func, "__name__", "") not in _INITIALISERS or not _is_large(target):
            return func(*args, **kwargs)
        rows = max(_DRAWN * len(target) // target.numel(), 1)
        if args:
            args = (torch.empty_like(target[:rows]), *args[1:])
        else:
            kwargs = {**kwargs, "tensor": torch.empty_like(target[:rows])}
        drawn = func(*args, **kwargs)
        with torch.no_grad():
            for start in range(0, len(target), rows):
                target[start : start + rows] = drawn[: len(target) - start]
        return target


def _is_large(value: Any) -> bool:
    is_plain = isinstance(value, torch.Tensor) and not nn.parameter.is_lazy(value)
    return is_plain and value.dim() > 1 and value.numel() > _LARGE and value.device.type == "cpu"


def fetches(failure: Failure) -> bool:
    """Whether an attempt stopped because it looked for weights that are not there."""
    return _FETCHING.search(failure.text) is not None


class _Missing(dict):  # type: ignore[type-arg]
    """Stands for the content of a file of weights: nothing, whatever is looked up in it."""

    def __missing__(self, key: object) -> _Missing:
        return _Missing()

    def get(self, _key: object, default: Any = None) -> Any:
        """Return nothing, as for every key."""
        return _Missing() if default is None else default

    def pop(self, _key: object, *default: Any) -> Any:
        """Return nothing, as for every key."""
        return default[0] if default else _Missing()

    def copy(self) -> _Missing:
        """Return the same nothing."""
        return self


def _fetchers() -> Iterator[tuple[Any, str]]:
    """Yield where modules other than torch's hold a function of their own that fetches weights, or a file."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name in (*_FETCHERS, *_DOWNLOADERS):
            if inspect.isfunction(names.get(name)) and names[name].__module__ != torch.hub.__name__:
                yield module, name


def _nothing(*_args: Any, **_kwargs: Any) -> _Missing:
    return _Missing()


def _nowhere(*_args: Any, **_kwargs: Any) -> str:
    """Return the path of a file that is not there: what would be read from it is nothing."""
    return os.path.join(tempfile.gettempdir(), "not fetched")


@contextlib.contextmanager
def not_fetched(wanted: bool) -> Iterator[None]:
    """Leave a model's weights as they were drawn where it would load some that are not on this machine."""
    if not wanted:
        yield
        return
    load, load_state_dict = torch.load, nn.Module.load_state_dict

    def load_if_there(file: Any, *args: Any, **kwargs: Any) -> Any:
        is_path = isinstance(file, (str, os.PathLike))
        return _Missing() if is_path and not os.path.exists(file) else load(file, *args, **kwargs)

    def load_if_any(module: nn.Module, state: Any, *args: Any, **kwargs: Any) -> Any:
        return load_state_dict(module, state, *args, **kwargs) if state else None

    instead: tuple[tuple[Any, str, Any], ...] = (
        (torch.hub, "download_url_to_file", lambda *_args, **_kwargs: None),
        (torch.hub, "_hub_dir", tempfile.gettempdir()),
        (torch, "load", load_if_there),
        (nn.Module, "load_state_dict", load_if_any),
        *((module, name, _nowhere if name in _DOWNLOADERS else _nothing) for module, name in _fetchers()),
        *hubs.replaced(),
    )
    kept = [vars(owner)[name] for owner, name, _ in instead]
    try:
        for owner, name, value in instead:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(instead, kept):
            setattr(owner, name, value)
