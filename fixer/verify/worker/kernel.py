"""What Linux itself can refuse, for code that does not go through Python: Landlock and seccomp.

Both are irreversible, need no privileges, and are used as far as the kernel offers them. Root's own
privileges are given up as well, all but that of reading.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
import sys
from typing import NamedTuple, Sequence, Tuple

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

# linux/capability.h
_CAPABILITY_VERSION = 0x20080522
_READ_ANY_FILE = 1 << 2

# linux/filter.h and linux/seccomp.h
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _MASK, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW = 0x7FFF0000
_FAIL_WITH = 0x00050000
_NUMBER_OFFSET, _ARCH_OFFSET, _ARGUMENT_OFFSET = 0, 4, 16
_IS_OWN_PID = (_EQUAL, 0, 1, 0x7FFFFFFF)
"""Stands for a comparison with the number of the process, which is known last; no process has this one."""
_X32_NUMBERS = 0x40000000
_CLONE_THREAD = 0x00010000
_SOCKET_TYPE, _SOCK_DGRAM = 0xF, 2
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
_FS_IOC_SETFLAGS, _FS_IOC_FSSETXATTR = 0x40086602, 0x401C5820

_Instruction = Tuple[int, int, int, int]


class _Calls(NamedTuple):
    """Numbers of the system calls that are filtered on one architecture."""

    arch: int
    clone: int
    fcntl: int
    ioctl: int
    memfd_create: int
    prlimit: int
    socketpair: int
    signalling: tuple[int, ...]
    """Calls whose first argument says whom to signal."""
    refused: tuple[int, ...]
    missing: tuple[int, ...]
    """Calls that are reported as unknown to the kernel: libraries then do something else."""
    idle: tuple[int, ...]
    """Calls that succeed and do nothing: what they change on files Landlock does not cover."""


# Newer calls have the same number everywhere: pidfd_send_signal, io_uring_setup, _enter and _register,
# open_tree, move_mount, fsopen, fsmount, pidfd_getfd, mount_setattr.
_NEW = (424, 425, 426, 427, 428, 429, 430, 432, 438, 442)
_CLONE3, _MEMFD_SECRET = 435, 447
# fchmodat2, setxattrat, removexattrat, file_setattr
_NEW_IDLE = (452, 463, 466, 469)
_CALLS = {
    "x86_64": _Calls(
        arch=0xC000003E,
        clone=56,
        fcntl=72,
        ioctl=16,
        memfd_create=319,
        prlimit=302,
        socketpair=53,
        # kill, rt_sigqueueinfo, tkill, tgkill, rt_tgsigqueueinfo
        signalling=(62, 129, 200, 234, 297),
        refused=(
            # fork, vfork, execve, execveat; socket, connect
            # ptrace, process_vm_readv, process_vm_writev, kcmp
            *(57, 58, 59, 322, 41, 42, 101, 310, 311, 312),
            # shmget, semget, msgget, mq_open; add_key, request_key, keyctl
            *(29, 64, 68, 240, 248, 249, 250),
            # chroot, mount, umount2, pivot_root, unshare, setns, open_by_handle_at
            *(161, 165, 166, 155, 272, 308, 304),
            # bpf, perf_event_open, userfaultfd
            *(321, 298, 323),
            *_NEW,
        ),
        missing=(_CLONE3, _MEMFD_SECRET),
        idle=(
            # chmod, fchmod, fchmodat, chown, fchown, lchown, fchownat; utime, utimes, futimesat, utimensat
            *(90, 91, 268, 92, 93, 94, 260, 132, 235, 261, 280),
            # setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr; setrlimit, setpriority
            *(188, 189, 190, 197, 198, 199, 160, 141),
            *_NEW_IDLE,
        ),
    ),
    "aarch64": _Calls(
        arch=0xC00000B7,
        clone=220,
        fcntl=25,
        ioctl=29,
        memfd_create=279,
        prlimit=261,
        socketpair=199,
        signalling=(129, 138, 130, 131, 240),
        refused=(
            *(221, 281, 198, 203, 117, 270, 271, 272),
            *(194, 190, 186, 180, 217, 218, 219),
            *(51, 40, 39, 41, 97, 268, 265),
            *(280, 241, 282),
            *_NEW,
        ),
        missing=(_CLONE3, _MEMFD_SECRET),
        idle=(52, 53, 54, 55, 88, 5, 6, 7, 14, 15, 16, 164, 140, *_NEW_IDLE),
    ),
}


def restrict(scratch: str, devices: Sequence[str] = ()) -> bool:
    """Confine this process and its threads; say whether writing elsewhere is now impossible."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    confined = _landlock(libc, scratch, devices)
    _give_up_privileges(libc)
    calls = _CALLS.get(platform.machine())
    if calls is not None:
        # Memory that no limit of addresses counts; the driver of a device may want it.
        more = () if devices else (calls.memfd_create,)
        _install(libc, _code(calls._replace(missing=calls.missing + more)), os.getpid())
    return confined


def landlock_version() -> int:
    """Which version of Landlock this kernel offers; less than 1 if none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)) if sys.platform == "linux" else 0


def _landlock(libc: ctypes.CDLL, scratch: str, devices: Sequence[str]) -> bool:
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


def _give_up_privileges(libc: ctypes.CDLL) -> None:
    """Drop every capability but that of reading: root may otherwise raise limits and look into processes."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    held = ctypes.create_string_buffer(24)
    if libc.capget(header, held) != 0:
        return
    kept = struct.unpack("=6I", held.raw)[1] & _READ_ANY_FILE
    libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _install(libc: ctypes.CDLL, code: bytes, own_pid: int) -> None:
    code = code.replace(_packed(_IS_OWN_PID), _packed((*_IS_OWN_PID[:-1], own_pid)))
    program = _FilterProgram(len(code) // len(_packed(_IS_OWN_PID)), code)
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)


def _packed(instruction: _Instruction) -> bytes:
    return struct.pack("=HBBI", *instruction)


@functools.lru_cache(maxsize=2)
def _code(calls: _Calls) -> bytes:
    """The filter as the kernel takes it, but for the process that installs it."""
    return b"".join(map(_packed, _program(calls)))


def prepare() -> None:
    """Do what need not be done in every process."""
    calls = _CALLS.get(platform.machine())
    if calls is not None:
        _code(calls._replace(missing=(*calls.missing, calls.memfd_create)))


def _program(calls: _Calls) -> list[_Instruction]:
    """A filter without new processes, sockets, signals to others, and what outlives a process.

    ``clone3`` hides its flags from a filter, so it is reported missing; libc then uses ``clone``.
    """
    refuse = _failing(errno.EACCES)
    allow = (_RETURN, 0, 0, _ALLOW)
    blocks = {
        calls.clone: [_argument(0), (_HAS_BIT, 0, 1, _CLONE_THREAD), allow, refuse],
        # An unconnected datagram socket can be sent to any address.
        calls.socketpair: [
            _argument(1),
            (_MASK, 0, 0, _SOCKET_TYPE),
            (_EQUAL, 0, 1, _SOCK_DGRAM),
            refuse,
            allow,
        ],
        calls.fcntl: _unless(1, (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX)),
        calls.ioctl: _unless(1, (_FS_IOC_SETFLAGS, _FS_IOC_FSSETXATTR)),
        # Limits may be asked for: both halves of the pointer to new ones are zero then.
        calls.prlimit: [
            _argument(2),
            (_EQUAL, 0, 3, 0),
            (_LOAD, 0, 0, _ARGUMENT_OFFSET + 2 * 8 + 4),
            (_EQUAL, 0, 1, 0),
            allow,
            _failing(0),
        ],
        **{n: [_argument(0), _IS_OWN_PID, allow, refuse] for n in calls.signalling},
        **{number: [refuse] for number in calls.refused},
        **{number: [_failing(errno.ENOSYS)] for number in calls.missing},
        **{number: [_failing(0)] for number in calls.idle},
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


def _argument(index: int) -> _Instruction:
    """Load the lower half of an argument."""
    return (_LOAD, 0, 0, _ARGUMENT_OFFSET + 8 * index)


def _failing(error: int) -> _Instruction:
    """Do not make the call and answer with an error; 0 looks like success."""
    return (_RETURN, 0, 0, _FAIL_WITH | error)


def _unless(index: int, values: tuple[int, ...]) -> list[_Instruction]:
    """Allow a call unless an argument has one of the values."""
    last = len(values)
    tests = [(_EQUAL, last - place, 0, value) for place, value in enumerate(values)]
    return [_argument(index), *tests, (_RETURN, 0, 0, _ALLOW), _failing(errno.EACCES)]
