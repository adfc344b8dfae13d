"""fixer: codemods for PyTorch parameter-update bugs whose safety is earned by running the code."""

from fixer._version import __version__

__all__ = ["__version__"]
