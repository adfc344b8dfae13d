"""How a command ends: an exit code and, where something went wrong, one line instead of a traceback."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

import typer


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
        with _orderly_stop():
            yield end
    except UserError as error:
        complain(str(error))
        end.code = 2
    except KeyboardInterrupt as stop:
        complain("interrupted; every file is whole")
        end.code = 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except BrokenPipeError:  # the reader has seen enough
        _close_output()
    except Exception as error:
        if show_traceback:
            traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        complain(f"internal error ({reason}); please report it with what --show-traceback prints")
        end.code = 2
    raise typer.Exit(end.code)


@contextmanager
def _orderly_stop() -> Iterator[None]:
    """Have the signals that end a process interrupt it as Ctrl-C does, so that it tidies up."""
    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            before[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def complain(message: str) -> None:
    """Print what went wrong, on one line."""
    say(f"fixer: {printable(message)}")


def printable(text: str) -> str:
    """The text with escapes for line breaks and whatever else a terminal would obey."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


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
    except OSError as error:
        _close_output()
        raise UserError(f"standard output cannot be written ({error.strerror})") from None


def _close_output() -> None:
    """Point standard output nowhere, so that Python's own flush at exit does not complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
