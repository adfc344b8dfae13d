"""The command `fixer`. Start-up stays cheap: commands import rules, LibCST and rich when they need them."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the entry point of the distribution."""
    from fixer.cli.app import app

    app()
