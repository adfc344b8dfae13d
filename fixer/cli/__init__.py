"""The command `fixer`. Start-up stays cheap: commands import rules, LibCST and rich when they need them."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; the entry point of the distribution."""
    _open_streams()
    try:
        from fixer.cli.app import app
    except KeyboardInterrupt:
        sys.exit(130)
    app()


def _open_streams() -> None:
    """Point streams that are closed nowhere, so that no file that is opened later takes their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - open until the end
