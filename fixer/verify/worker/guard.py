"""What the target's code may not do: write outside its scratch folder, use the network, start processes.

An audit hook refuses with an `OSError` that names what was tried, and sees what goes through Python; the
kernel, where it can, refuses the rest.
"""

from __future__ import annotations

import errno
import glob
import os
import sys
from typing import Any, Callable

from . import kernel, reached

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_SAFE_DEVICES = {os.devnull}
_HARMLESS_SOCKET_EVENTS = {"socket.__new__", "socket.gethostname"}
_FORK_EVENTS = {"os.fork", "os.forkpty", "pty.spawn"}
_PROGRAM_EVENTS = {
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "subprocess.Popen",
}
_FREQUENT_EVENTS = {
    *("object.__getattr__", "builtins.id", "sys.settrace", "ctypes.string_at", "sys._getframe"),
    *("exec", "compile", "ctypes.cdata"),
}
"""Harmless, and raised thousands of times for each model."""
_READING_EVENTS = {"import", "os.listdir", "os.scandir"}
_SIGNAL_EVENTS = {"os.kill", "os.killpg", "signal.pthread_kill"}
_PATH_ARGUMENTS: dict[str, tuple[tuple[int, int | None], ...]] = {
    # event: the positions of (path, directory descriptor) among its arguments
    "os.chflags": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((0, 2), (1, 3)),  # a second name in the scratch folder could be written through
    "os.lockf": (),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.removexattr": ((0, None),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.setxattr": ((0, None),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
    "sqlite3.connect": ((0, None),),
}


def close(scratch: str, device: str = "cpu") -> None:
    """Close the cage around this process, for good; a `device` that models run on stays reachable."""
    devices = [] if device == "cpu" else glob.glob("/dev/nvidia*")
    confined = kernel.restrict(scratch, devices)
    sys.addaudithook(hook(os.path.realpath(scratch)))
    if not confined:
        _audit_torch_save()


def _audit_torch_save() -> None:
    """Make `torch.save` raise the event that its file writer, which is C++, does not."""
    import torch

    save = torch.save

    def audited_save(obj: Any, f: Any, *arguments: Any, **options: Any) -> None:
        if isinstance(f, (str, os.PathLike)):
            sys.audit("open", os.fspath(f), "w", os.O_WRONLY)
        save(obj, f, *arguments, **options)

    torch.save = audited_save


def hook(scratch: str) -> Callable[[str, tuple[Any, ...]], None]:
    """Build the audit hook that keeps this process inside `scratch`."""
    inside = scratch + os.sep
    own_pid = os.getpid()

    def refuse_write(path: Any, directory: Any = None) -> None:
        if isinstance(path, int):  # an open descriptor was let through when it was opened
            return
        target = _resolve(path, directory)
        if not (target + os.sep).startswith(inside) and target not in _SAFE_DEVICES:
            raise PermissionError(f"verification refuses to write {target}")

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FREQUENT_EVENTS:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING:
                refuse_write(path)
            else:
                reached.note(event, arguments)
        elif event in _READING_EVENTS:
            reached.note(event, arguments)
        elif event in _PATH_ARGUMENTS:
            for position, descriptor in _PATH_ARGUMENTS[event]:
                refuse_write(arguments[position], None if descriptor is None else arguments[descriptor])
        elif event in _FORK_EVENTS:
            raise PermissionError(f"verification refuses to start a process ({event})")
        elif event in _PROGRAM_EVENTS:
            # As if there were no such program: who asks git for a version is ready for that, and for no more.
            raise FileNotFoundError(errno.ENOENT, f"verification refuses to start a process ({event})")
        elif event in _SIGNAL_EVENTS and arguments[0] != own_pid:
            raise PermissionError(f"verification refuses to signal other processes ({event})")
        elif event.startswith("socket.") and event not in _HARMLESS_SOCKET_EVENTS:
            raise PermissionError(f"verification refuses to use the network ({event})")

    return check


def _resolve(path: Any, directory: Any) -> str:
    """The real place of a path that may be relative to a directory descriptor."""
    name = os.fsdecode(path)
    if isinstance(directory, int) and directory >= 0:
        name = os.path.join(os.readlink(f"/proc/self/fd/{directory}"), name)
    return os.path.realpath(name)
