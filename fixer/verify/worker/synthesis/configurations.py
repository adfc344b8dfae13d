"""Classes of the package that hold settings: found by the entries that were missing, and by their names."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from typing import TYPE_CHECKING

from torch import nn

from . import signatures

if TYPE_CHECKING:
    from .specs import Path

_NAMED = re.compile(
    r"(config|configuration|cfg|args|arguments|params|options|settings|hparams|hyperparameters)$"
)
_SAYS_NOTHING = frozenset(
    "config configuration cfg conf args params options settings hparams content".split()
)


def with_entry(key: str, path: Path, subject: type) -> list[type]:
    """Return the classes that have a field of that name, likeliest first.

    They are named after the argument that they are for, or after the class that is given them.
    """
    root = subject.__module__.split(".")[0]
    asked = _words(" ".join(path)) - _SAYS_NOTHING
    about = _words(subject.__name__) | set(_SAYS_NOTHING)

    def order(cls: type) -> tuple[float, ...]:
        words = _words(cls.__name__)
        shared = len(words & about)
        return (-len(words & asked), -shared / len(words), -shared)

    return sorted((cls for cls in _classes(root) if key in _fields(cls)), key=order)


def _words(name: str) -> set[str]:
    """Return the words of a name in either style: ``TabNetConfig``, ``net_config``."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def _classes(root: str) -> list[type]:
    """Return the classes of a package that are configurations by their kind or their name."""
    loaded = [module for name, module in list(sys.modules.items()) if name.split(".")[0] == root]
    return [
        cls
        for module in loaded
        for cls in list(getattr(module, "__dict__", {}).values())
        if inspect.isclass(cls)
        and cls.__module__ == getattr(module, "__name__", None)
        and (dataclasses.is_dataclass(cls) or _NAMED.search(cls.__name__.lower()))
        and not issubclass(cls, nn.Module)
        and not inspect.isabstract(cls)
    ]


def _fields(cls: type) -> set[str]:
    return {item.name for item in signatures.parameters_of(cls)}
