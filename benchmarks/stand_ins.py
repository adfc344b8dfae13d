"""Stand-ins for packages that are not installed, so that the files which import them can be loaded."""

from __future__ import annotations

import sys
from abc import ABCMeta
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock


class _Anything(MagicMock):
    """Takes every call; as a decorator it leaves alone what it decorates."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and callable(args[0]) and hasattr(args[0], "__qualname__"):
            return args[0]
        return super().__call__(*args, **kwargs)

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[type, ...]:
        """As a base class it adds nothing."""
        return ()


class _HasEveryName(ABCMeta):
    """The class of the classes that have every attribute; `ABCMeta`, to go with abstract bases."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name=name)

    def __getitem__(cls, _parameters: Any) -> Any:
        """Take parameters, as a generic class does."""
        return cls


class _Class(metaclass=_HasEveryName):
    """A class that is constructed from anything and has every attribute."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        """Hand nothing on to `object`, which takes nothing."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name=name)


class _Module(ModuleType):
    """A module that has every name."""

    __path__: list[str] = []  # noqa: RUF012 - what marks a package
    __version__ = "99.0"  # new enough for every check

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        is_class = name[:1].isupper() and not name.isupper()
        value = type(name, (_Class,), {}) if is_class else _Anything(name=f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value


class StandIns(MetaPathFinder, Loader):
    """Finds whatever `names` (of top-level packages) say and nothing else does."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """Answer for the packages that are stood in for."""
        if fullname.partition(".")[0] not in self.names:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make an empty module that has every name."""
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing runs."""


def missing(error: BaseException) -> str | None:
    """The top-level package whose absence an import complained about."""
    while not isinstance(error, ModuleNotFoundError):
        if error.__cause__ is None:
            return None
        error = error.__cause__
    name = (error.name or "").partition(".")[0]
    return name if name and name not in sys.modules else None


_TORCHVISION = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width,"
    " int sampling_ratio, bool aligned) -> Tensor",
}
"""As torchvision declares those that scripted functions call: the script has to fit."""
_OTHERS = (
    "qnms qroi_align roi_pool ps_roi_align ps_roi_pool deform_conv2d _roi_align_backward"
    " _roi_pool_backward _ps_roi_align_backward _ps_roi_pool_backward _deform_conv2d_backward"
)


def declare_operators() -> None:
    """Let torchvision be imported where its compiled operators cannot be loaded; they cannot be called."""
    import torch

    declared = {**dict.fromkeys(_OTHERS.split(), "(Tensor input) -> Tensor"), **_TORCHVISION}
    for name, signature in declared.items():
        torch.library.define(f"torchvision::{name}", signature)
