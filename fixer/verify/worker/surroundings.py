"""What scripts do beside computing: sleep, write files, draw and log. None of it needs to happen here.

Files that a script writes go to the scratch folder and are read from there; libraries that only show or log,
where they are missing, are stood for by objects that take everything.
"""

from __future__ import annotations

import argparse
import builtins
import functools
import hashlib
import importlib.machinery
import importlib.util
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import torch

SHOWING = {
    *("IPython", "clearml", "colorama", "comet_ml", "imageio", "livelossplot", "matplotlib", "mlflow"),
    *("neptune", "plotly", "progressbar", "pylab", "rich", "seaborn", "tabulate", "tensorboard"),
    *("tensorboardX", "tensorboard_logger", "termcolor", "torchinfo", "torchsummary", "tqdm", "visdom"),
    *("wandb",),
}
"""Libraries by their import names whose absence changes nothing that is compared."""
_TENSORBOARD = "torch.utils.tensorboard"
_WRITING = set("wax+")


class _Anything:
    """Takes every call and has every attribute; wraps what can be iterated over, as a progress bar does."""

    def __init__(self, items: Any = ()) -> None:
        self._items = items

    def __getattr__(self, name: str) -> Any:
        return _attribute(name, self._items)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer with the same for what is given; a decorated function stays itself."""
        given = args[0] if args else kwargs.get("iterable", ())
        if callable(given) and not hasattr(given, "__iter__"):
            return given
        return _Anything(given if hasattr(given, "__iter__") else ())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, _: object) -> Any:
        return _Anything()

    def __setitem__(self, key: object, value: object) -> None:
        """Forget it."""

    def __format__(self, _: str) -> str:
        return ""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """Handle nothing."""


def _attribute(name: str, items: Any = ()) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "trange":
        return range
    return (lambda *_, **__: (_Anything(), _Anything())) if name == "subplots" else _Anything(items)


class _Shown(ModuleType):
    """A module that has every name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__version__ = "0"

    def __getattr__(self, name: str) -> Any:
        return _attribute(name)


class _Finder:
    """The last finder: it knows only libraries that nobody else does."""

    def find_spec(self, name: str, *_: object) -> Any:
        """A module that takes everything, for what only shows or logs."""
        if name.partition(".")[0] in SHOWING:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: Any) -> ModuleType:
        """Make the module."""
        return _Shown(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to execute."""


@functools.lru_cache(maxsize=1)
def has_tensorboard() -> bool:
    """Whether the library is installed that torch's own writer needs."""
    return importlib.util.find_spec("tensorboard") is not None


def is_stand_in(module: object) -> bool:
    """Whether a module only stands for a library that is not there."""
    return isinstance(module, _Shown)


def stand_in_for_missing() -> None:
    """Let imports of libraries that only show or log succeed where they are not installed."""
    if _TENSORBOARD not in sys.modules and not has_tensorboard():
        sys.modules[_TENSORBOARD] = _Shown(_TENSORBOARD)
    sys.meta_path.append(_Finder())


@contextmanager
def quick_and_harmless(scratch: str) -> Iterator[list[str]]:
    """Do not sleep, write only below `scratch`, and give required command line arguments a value.

    Yields the names of those arguments, once they have been asked for.
    """
    files = _Files(scratch)
    given: list[str] = []

    def parse(parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        given.extend(_supplied(parser))
        return _parse(parser, *args, **kwargs)

    with ExitStack() as stack:
        for owner, name, replacement in (
            (time, "sleep", lambda *_: None),
            (builtins, "open", files.open),
            (io, "open", files.open),
            (os, "mkdir", files.mkdir),
            (torch, "save", files.redirecting(torch.save, 1)),
            (torch, "load", files.redirecting(torch.load, 0)),
            (argparse.ArgumentParser, "parse_known_args", parse),
        ):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, replacement)
        yield given


class _Files:
    """Where a script's own files are instead of where it thinks they are."""

    def __init__(self, scratch: str) -> None:
        self._scratch = os.path.join(os.path.realpath(scratch), "")
        self._open: Callable[..., Any] = io.open
        self._mkdir = os.mkdir

    def open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """Open a file, or the one that was written in its place."""
        return self._open(self._place(file, bool(_WRITING & set(mode))), mode, *args, **kwargs)

    def mkdir(self, path: Any, *args: Any, **kwargs: Any) -> None:
        """Make a folder of the scratch folder's; others need not be there."""
        if self._is_inside(path):
            self._mkdir(path, *args, **kwargs)

    def redirecting(self, function: Callable[..., Any], position: int) -> Callable[..., Any]:
        """The same function, with the path among its arguments replaced."""

        def redirected(*args: Any, **kwargs: Any) -> Any:
            given = list(args)
            if len(given) > position:
                given[position] = self._place(given[position], writes=position == 1)
            return function(*given, **kwargs)

        return redirected

    def _is_inside(self, path: Any) -> bool:
        return os.path.realpath(os.fsdecode(path)).startswith(self._scratch)

    def _place(self, path: Any, writes: bool) -> Any:
        if not isinstance(path, (str, bytes, os.PathLike)) or self._is_inside(path):
            return path
        name = os.path.realpath(os.fsdecode(path))
        instead = f"{self._scratch}written-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"
        return instead if writes or os.path.exists(instead) else path


_parse = argparse.ArgumentParser.parse_known_args


def _supplied(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Give each required argument of a command line a value; yields their names."""
    for action in parser._actions:
        if not action.required or isinstance(action, argparse._SubParsersAction):
            continue
        yield action.option_strings[0] if action.option_strings else action.dest
        action.required = False
        if not action.option_strings:
            action.nargs = "?" if action.nargs is None else "*"
        if action.default is None:
            action.default = _value_for(action)


def _value_for(action: argparse.Action) -> Any:
    if action.choices:
        return next(iter(action.choices))
    value: Any = {int: 1, float: 0.1}.get(action.type, "value")  # type: ignore[call-overload]
    return [value] if action.nargs in ("+", "*") or isinstance(action.nargs, int) else value
