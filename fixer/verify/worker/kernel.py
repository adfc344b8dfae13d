"""What Linux itself can refuse, for code that does not go through Python: Landlock and seccomp.

Both are irreversible, need no privileges, and are used as far as the kernel offers them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import Iterable, NamedTuple, Tuple

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_PR_SET_NO_NEW_PRIVS = 38

# linux/landlock.h
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE = 1 << 0, 1 << 1
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_BIND_AND_CONNECT_TCP = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3

# linux/filter.h and linux/seccomp.h
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW = 0x7FFF0000
_FAIL_WITH = 0x00050000
_NUMBER_OFFSET, _ARCH_OFFSET, _ARGUMENT_OFFSET = 0, 4, 16
_X32_NUMBERS = 0x40000000
_CLONE_THREAD = 0x00010000
_AF_INET, _AF_INET6 = 2, 10

_Instruction = Tuple[int, int, int, int]


class _Calls(NamedTuple):
    """Numbers of the system calls that are filtered on one architecture."""

    arch: int
    clone: int
    kill: int
    socket: int
    refused: tuple[int, ...]


_CLONE3 = 435
_PIDFD_SEND_SIGNAL = 424
_CALLS = {
    "x86_64": _Calls(
        arch=0xC000003E,
        clone=56,
        kill=62,
        socket=41,
        # fork, vfork, execve, execveat, connect, ptrace, process_vm_writev
        refused=(57, 58, 59, 322, 42, 101, 311, _PIDFD_SEND_SIGNAL),
    ),
    "aarch64": _Calls(
        arch=0xC00000B7,
        clone=220,
        kill=129,
        socket=198,
        # execve, execveat, connect, ptrace, process_vm_writev
        refused=(221, 281, 203, 117, 271, _PIDFD_SEND_SIGNAL),
    ),
}


def restrict(scratch: str, devices: Iterable[str] = ()) -> bool:
    """Confine this process and its threads; say whether writing elsewhere is now impossible."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    confined = _landlock(libc, scratch, devices)
    calls = _CALLS.get(platform.machine())
    if calls is not None:
        _install(libc, _program(calls, os.getpid()))
    return confined


def landlock_version() -> int:
    """Which version of Landlock this kernel offers; less than 1 if none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)) if sys.platform == "linux" else 0


def _landlock(libc: ctypes.CDLL, scratch: str, devices: Iterable[str]) -> bool:
    """Allow writing below `scratch`, to `devices` and the null device only; neither TCP nor new programs."""
    version = landlock_version()
    if version < 1:
        return False
    writing = _WRITE_FILE | _REMOVE_AND_MAKE
    writing |= _REFER if version >= 2 else 0
    writing |= _TRUNCATE if version >= 3 else 0
    fields = [writing | _EXECUTE]
    if version >= 4:
        fields.append(_BIND_AND_CONNECT_TCP)
    if version >= 6:
        fields.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    allowed = {scratch: writing}
    for device in (os.devnull, *devices):
        allowed[device] = writing & (_WRITE_FILE | _TRUNCATE)
    for path, access in allowed.items():
        place = os.open(path, os.O_PATH)
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", access, place), 0)
        os.close(place)
    confined = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return bool(confined)


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _install(libc: ctypes.CDLL, program: list[_Instruction]) -> None:
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(_FilterProgram(len(program), code)), 0, 0)


def _program(calls: _Calls, own_pid: int) -> list[_Instruction]:
    """A filter without new processes, the internet, and signals to others.

    ``clone3`` hides its flags from a filter, so it is reported missing; libc then uses ``clone``.
    """
    refuse = (_RETURN, 0, 0, _FAIL_WITH | errno.EACCES)
    allow = (_RETURN, 0, 0, _ALLOW)
    argument = (_LOAD, 0, 0, _ARGUMENT_OFFSET)
    blocks = {
        calls.clone: [argument, (_HAS_BIT, 0, 1, _CLONE_THREAD), allow, refuse],
        calls.kill: [argument, (_EQUAL, 0, 1, own_pid), allow, refuse],
        calls.socket: [argument, (_EQUAL, 2, 0, _AF_INET), (_EQUAL, 1, 0, _AF_INET6), allow, refuse],
        _CLONE3: [(_RETURN, 0, 0, _FAIL_WITH | errno.ENOSYS)],
        **{number: [refuse] for number in calls.refused},
    }
    program = [
        (_LOAD, 0, 0, _ARCH_OFFSET),
        (_EQUAL, 1, 0, calls.arch),
        refuse,
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_AT_LEAST, 0, 1, _X32_NUMBERS),
        refuse,
    ]
    for number, block in blocks.items():
        program += [(_EQUAL, 0, len(block), number), *block]
    return [*program, allow]
