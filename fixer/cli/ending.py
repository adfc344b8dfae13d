"""How a command ends: an exit code and, where something went wrong, one line instead of a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import typer

INTERRUPTED = 130


class UserError(Exception):
    """Something the user can mend; the message is one line that says what and how."""


@dataclass
class End:
    """The exit code of a command that came to its end."""

    code: int = 0


@contextmanager
def ending(show_traceback: bool = False) -> Iterator[End]:
    """Run a body and leave with its exit code, 2 if it could not work, 130 if it was interrupted."""
    end = End()
    try:
        yield end
    except UserError as error:
        say(f"fixer: {error}")
        end.code = 2
    except KeyboardInterrupt:
        say("fixer: interrupted; every file is whole")
        end.code = INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough
        _close_output()
    except Exception as error:
        if show_traceback:
            traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        say(f"fixer: internal error ({reason}); please report, rerun with --show-traceback")
        end.code = 2
    raise typer.Exit(end.code)


def say(line: str) -> None:
    """Print a line for people."""
    with suppress(BrokenPipeError):
        encoding = sys.stderr.encoding or "utf-8"
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def emit(data: str | bytes) -> None:
    """Print the result; whoever reads it may stop at any time."""
    try:
        if isinstance(data, str):
            data = data.encode(sys.stdout.encoding or "utf-8", "backslashreplace")
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        _close_output()


def _close_output() -> None:
    """Point standard output nowhere, so that Python's own flush at exit does not complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
