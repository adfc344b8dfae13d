"""Torch's compiler, imported once something asks for it: that takes as long as importing the rest of torch.

Every optimizer step imports it, only to tell it that it is not wanted here.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Sequence

import torch

from . import intact

_NAME = "torch._dynamo"
_loading = threading.RLock()


def postpone() -> None:
    """Put a module in the compiler's place that turns into it as soon as more is asked of it."""
    if _NAME in sys.modules:
        return
    spec = importlib.util.find_spec(_NAME)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Postponed
    sys.modules[_NAME] = torch._dynamo = module
    sys.meta_path.insert(0, _Finder())


def is_imported() -> bool:
    """Whether something has asked for the compiler itself."""
    return _NAME in sys.modules and not _is_postponed()


def load() -> None:
    """Import the compiler now."""
    with _loading:
        module = sys.modules[_NAME]
        if not _is_postponed():
            return
        module.__class__ = ModuleType
        spec = module.__spec__
        assert spec is not None
        assert spec.loader is not None
        replaced = torch.manual_seed
        try:
            spec.loader.exec_module(module)
        except BaseException:  # the next one to import it sees for himself why it cannot be imported
            sys.modules.pop(_NAME, None)
            vars(torch).pop("_dynamo", None)
            raise
        intact.replace("torch.manual_seed", replaced, torch.manual_seed)  # the compiler wraps it


def _is_postponed() -> bool:
    return isinstance(sys.modules.get(_NAME), _Postponed)


class _Postponed(ModuleType):
    """Knows what torch itself calls where nothing is compiled (`torch._compile`, `torch.optim.optimizer`)."""

    def graph_break(self, msg: str = "") -> None:
        """Do nothing, as the original does outside of a compilation."""

    def disable(self, fn: Any = None, recursive: bool = True, **options: Any) -> Any:
        """Give back torch's own functions; everybody else gets what the compiler makes of theirs."""
        if callable(fn) and options == {"wrapping": False}:
            return fn
        load()
        real: Any = sys.modules[_NAME]
        return real.disable(fn, recursive, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # whoever goes through all modules asks for such
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")
        load()
        return getattr(sys.modules[_NAME], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("__"):
            load()
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        load()
        return dir(sys.modules[_NAME])


class _Finder:
    """Imports the compiler before any of its parts, as Python would."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - importlib passes it
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """The part as it is by then, if the compiler had not been imported."""
        if not fullname.startswith(f"{_NAME}.") or not _is_postponed():
            return None
        load()
        part = sys.modules.get(fullname)
        return None if part is None else ModuleSpec(fullname, _Already(part))


class _Already(Loader):
    """A loader of what has been imported while it was looked for."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, _: ModuleSpec) -> ModuleType:
        """The module itself."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing again, and leave the module as it was."""
        module.__spec__ = self._spec
