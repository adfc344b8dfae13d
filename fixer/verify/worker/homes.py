"""A home folder in the scratch folder, for code that keeps something in the user's when it is imported.

The guard refuses to write there, and a package that makes its folder of settings first of all could not be
imported at all.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import Iterator

_REFUSED = re.compile(r"refuses to write (.*)")
_CACHES = {"TORCH_HOME": "torch", "HF_HOME": "huggingface"}


def move(error: BaseException) -> bool:
    """Move home if an import failed because it may not be written to: what failed can be tried again."""
    home, instead = os.path.expanduser("~"), os.path.join(tempfile.gettempdir(), "home")
    inside = os.path.join(os.path.realpath(home), "")
    if home == instead or not any(path.startswith(inside) for path in _refused(error)):
        return False
    for name, folder in _CACHES.items():  # the weights that are there stay there
        os.environ.setdefault(name, os.path.join(home, ".cache", folder))
    os.makedirs(instead, exist_ok=True)
    os.environ["HOME"] = instead
    return True


def _refused(error: BaseException | None) -> Iterator[str]:
    """The places that an error, or one that it was raised for, says must not be written to."""
    while error is not None:
        match = _REFUSED.search(str(error)) if isinstance(error, OSError) else None
        if match is not None:
            yield match[1]
        error = error.__cause__ or error.__context__
