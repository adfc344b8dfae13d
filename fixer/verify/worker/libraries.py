"""Where Python's own files, torch's and ours lie: what nobody changes while the worker runs."""

from __future__ import annotations

import os
import sysconfig

import torch


def _prefixes(*folders: str) -> tuple[str, ...]:
    """As they are imported from, and where that really is."""
    return tuple(
        {os.path.join(path, "") for folder in folders for path in (folder, os.path.realpath(folder))}
    )


_PATHS = sysconfig.get_paths()
_STANDARD = _prefixes(_PATHS["stdlib"], _PATHS["platstdlib"])
_INSTALLED = _prefixes(_PATHS["purelib"], _PATHS["platlib"])
"""Below the standard library, but what lies there can be the target."""
TORCH = _prefixes(os.path.dirname(os.path.abspath(torch.__file__)))
_OURS = _prefixes(os.path.dirname(os.path.abspath(__file__)))


def is_standard(path: str) -> bool:
    """Whether a file comes with Python."""
    return path.startswith(_STANDARD) and not path.startswith(_INSTALLED)


def is_fixed(path: str) -> bool:
    """Whether a file comes with Python, with torch or with us."""
    return path.startswith(TORCH + _OURS) or is_standard(path)
