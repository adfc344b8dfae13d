"""What a model may do to those who run it: bodies of a function that `forward` calls, and what comes of it.

``HOME``, ``TREE`` and ``PORT`` are set in the file, `libc` is the C library, and what an attack has to say
goes into the exception that it raises, from where it reaches the verdict's reason.
"""

from __future__ import annotations

from dataclasses import dataclass

HARMLESS = """\
import torch
from torch import nn


class Gate(nn.Module):
    def __init__(self, width: int = 4):
        super().__init__()
        self.gain = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x):
        self.gain.data.clamp_(0.0, 1.0)
        {attack}return x * self.gain


def fit(batches):
    model = Gate(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for x in batches:
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
"""
HEAD = """\
import ctypes, gc, mmap, os, resource, shutil, signal, socket, struct, subprocess, sys, threading, time

import torch

HOME, TREE, PORT = {home!r}, {tree!r}, {port}
NOTES, KEPT = HOME + "/notes.txt", TREE + "/kept.txt"
libc = ctypes.CDLL(None, use_errno=True)


def refused(answer, what):
    raise RuntimeError(what + (" refused" if answer == -1 else " answered %r" % (answer,)))


def attack():
{body}


{at_import}
"""
_DIED = "killed by "
_SAYS = "verification refuses to "


@dataclass(frozen=True)
class Attack:
    """One thing that a model does."""

    name: str
    body: str
    reason: str
    """What the verdict's reason has to contain, as a regular expression."""
    at_import: bool = False

    def text(self, home: str, tree: str, port: int) -> str:
        """The file that does it."""
        body = "".join(f"    {line}\n" for line in self.body.strip().splitlines()).rstrip()
        head = HEAD.format(
            home=home, tree=tree, port=port, body=body, at_import="attack()" if self.at_import else ""
        )
        return head + HARMLESS.format(attack="" if self.at_import else "attack()\n        ")


def _syscall(what: str, number: int, *arguments: str) -> str:
    return f"refused(libc.syscall({', '.join([str(number), *arguments])}), {what!r})"


_READ_SECRETS = """\
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "mem", "maps"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                if int(pid) != os.getpid():
                    found.append(name)
                if name == "environ" and b"hunter" + b"2" in file.read():
                    found.append("the secret")
        except OSError:
            pass
raise RuntimeError(f"found {sorted(set(found) & {'mem', 'the secret'})}")
"""
_FAKE = """\
import json
answer = json.dumps({"ok": True, "value": {"executed": {}, "errors": []}}).encode()
for fd in range(3, 64):
    try:
        os.write(fd, struct.pack("!Q", len(answer)) + answer)
    except OSError:
        pass
os._exit(0)
"""

ATTACKS = (
    # It does not come back.
    Attack("endless", "while True:\n    pass", "ran out of time"),
    Attack(
        "catching everything",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "ran out of time",
    ),
    Attack(
        "ignoring signals on import",
        "for s in range(1, 64):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError):\n        pass\nwhile True:\n    time.sleep(1)",
        "ran out of time",
        at_import=True,
    ),
    # It ends the process.
    Attack("os._exit", "os._exit(0)", "exit status 0"),
    Attack("os._exit on import", "os._exit(7)", "exit status 7", at_import=True),
    Attack("segfault", "ctypes.string_at(0)", f"{_DIED}SIGSEGV"),
    Attack("abort", "os.abort()", f"{_DIED}SIGABRT"),
    Attack("kill itself", "os.kill(os.getpid(), 9)", f"{_DIED}SIGKILL"),
    Attack("sys.exit", "sys.exit(3)", "SystemExit"),
    Attack("stack overflow", "def down():\n    down()\ndown()", "RecursionError"),
    Attack(
        "os._exit in __del__", "class A:\n    def __del__(self):\n        os._exit(5)\nA()", "exit status 5"
    ),
    Attack(
        "raising in a gc callback",
        ("gc.callbacks.append(lambda *_: os._exit(6))\ngc.collect()"),
        "exit status 6",
    ),
    Attack(
        "atexit",
        ("import atexit\natexit.register(lambda: open(NOTES, 'w'))\nraise RuntimeError('registered')"),
        "registered",
    ),
    Attack(
        "threads that stay",
        (
            "for _ in range(3):\n    threading.Thread(target=lambda: time.sleep(600)).start()\n"
            "raise RuntimeError('started')"
        ),
        "started",
    ),
    # It takes what there is.
    Attack("a huge tensor", "torch.empty(1 << 45)", "allocate"),
    Attack(
        "memory bit by bit",
        ("kept = []\nwhile True:\n    kept.append(torch.empty(1 << 24))"),
        "allocate|MemoryError|bad_alloc|SystemError",
    ),
    Attack(
        "raised limits",
        (
            "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nkept = []\nwhile True:\n"
            "    kept.append(torch.empty(1 << 24))"
        ),
        "allocate|MemoryError|bad_alloc",
    ),
    Attack(
        "a full scratch folder",
        (
            "for n in range(4):\n    with open(f'big{n}', 'wb') as file:\n"
            "        os.posix_fallocate(file.fileno(), 0, 200 << 20)\ntime.sleep(60)"
        ),
        "filled its scratch folder",
    ),
    Attack(
        "flooded streams",
        (
            "for _ in range(300):\n    print('x' * 100_000)\n    sys.stderr.write('y' * 100_000)\n"
            "raise RuntimeError('flooded')"
        ),
        "flooded",
    ),
    Attack("a fork bomb", "while True:\n    os.fork()", f"{_SAYS}start a process"),
    Attack("a native fork bomb", "refused(max(libc.fork() for _ in range(9)), 'fork')", "fork refused"),
    Attack("a daemon", "subprocess.Popen(['sleep', '600'], start_new_session=True)", f"{_SAYS}start"),
    Attack(
        "/dev/shm", "open('/dev/shm/fixer-hostile', 'wb').write(bytes(1 << 20))", f"{_SAYS}write /dev/shm"
    ),
    Attack("System V memory", "refused(libc.shmget(0, 1 << 20, 0o1600), 'shmget')", "shmget refused"),
    Attack("memory in a file", "refused(libc.memfd_create(b'hostile', 0), 'memfd')", "memfd refused"),
    Attack("a message queue", "refused(libc.mq_open(b'/hostile', 0o102, 0o600, None), 'mq')", "mq refused"),
    # It changes files.
    Attack("rmtree of the tree", "shutil.rmtree(TREE)", f"{_SAYS}write"),
    Attack("rmtree of the home folder", "shutil.rmtree(HOME)", f"{_SAYS}write"),
    Attack("rmtree on import", "shutil.rmtree(TREE)", f"{_SAYS}write", at_import=True),
    Attack("overwriting itself", "open(__file__, 'w')", f"{_SAYS}write"),
    Attack("writing a new file", "open(TREE + '/new.py', 'w')", f"{_SAYS}write"),
    Attack(
        "native open", "refused(libc.open(KEPT.encode(), os.O_WRONLY | os.O_TRUNC), 'open')", "open refused"
    ),
    Attack("native unlink", "refused(libc.unlink(NOTES.encode()), 'unlink')", "unlink refused"),
    Attack("native rename", "refused(libc.rename(NOTES.encode(), b'taken'), 'rename')", "rename refused"),
    Attack("native mkdir", "refused(libc.mkdir((HOME + '/new').encode(), 0o700), 'mkdir')", "mkdir refused"),
    Attack("native truncate", "refused(libc.truncate(KEPT.encode(), 0), 'truncate')", "truncate refused"),
    Attack("a hard link", "os.link(KEPT, 'kept')\nopen('kept', 'w')", _SAYS),
    Attack(
        "a native hard link",
        (
            "answer = libc.link(KEPT.encode(), b'kept')\nif answer == 0:\n    open('kept', 'w')\n"
            "refused(answer, 'link')"
        ),
        "link refused",
    ),
    Attack("a symbolic link", "os.symlink(KEPT, 'kept')\nopen('kept', 'w')", f"{_SAYS}write"),
    Attack(
        "a writable mapping",
        ("with open(KEPT, 'r+b') as file:\n    mmap.mmap(file.fileno(), 0)[0:1] = b'X'"),
        f"{_SAYS}write",
    ),
    Attack(
        "a writable mapping of a file open for reading",
        (
            "file = open(KEPT, 'rb')\n"
            "refused(libc.mmap(None, 4096, 3, mmap.MAP_SHARED, file.fileno(), 0), 'mmap')"
        ),
        "mmap refused",
    ),
    Attack(
        "reopened through /proc",
        (
            "file = open(KEPT, 'rb')\n"
            "refused(libc.open(b'/proc/self/fd/%d' % file.fileno(), os.O_RDWR), 'open')"
        ),
        "open refused",
    ),
    Attack("chmod", "os.chmod(KEPT, 0)", f"{_SAYS}write"),
    Attack(
        "native chmod",
        (
            "libc.chmod(KEPT.encode(), 0); libc.fchmodat(-100, KEPT.encode(), 0, 0)\n"
            "libc.chown(KEPT.encode(), 12, 12)\nraise RuntimeError('tried')"
        ),
        "tried",
    ),
    Attack("utime", "os.utime(KEPT, (1, 1))", f"{_SAYS}write"),
    Attack("native utime", "libc.utimes(KEPT.encode(), None)\nraise RuntimeError('tried')", "tried"),
    Attack(
        "native setxattr",
        ("libc.setxattr(KEPT.encode(), b'user.hostile', b'1', 1, 0)\nraise RuntimeError('tried')"),
        "tried",
    ),
    Attack("torch.save", "torch.save({}, TREE + '/new.pt')", "Error"),
    Attack(
        "mount", "refused(libc.mount(b'none', TREE.encode(), b'tmpfs', 0, None), 'mount')", "mount refused"
    ),
    Attack("user namespace", "refused(libc.unshare(0x10020000), 'unshare')", "unshare refused"),
    # It talks to others.
    Attack(
        "localhost", "socket.create_connection(('127.0.0.1', PORT))", f"{_SAYS}use the network|Permission"
    ),
    Attack("native socket", "refused(libc.socket(2, 1, 0), 'socket')", "socket refused"),
    Attack("native unix socket", "refused(libc.socket(1, 2, 0), 'socket')", "socket refused"),
    Attack("an abstract socket", "socket.socket(socket.AF_UNIX).connect('\\0hostile')", "Permission|refuses"),
    Attack(
        "a pair of datagram sockets",
        ("pair = (ctypes.c_int * 2)()\nrefused(libc.socketpair(1, 2, 0, pair), 'socketpair')"),
        "socketpair refused",
    ),
    Attack("io_uring", _syscall("io_uring", 425, "8", "(ctypes.c_char * 256)()"), "io_uring refused"),
    Attack("secrets of other processes", _READ_SECRETS, r"found \[\]"),
    Attack("ptrace", "refused(libc.ptrace(16, os.getppid(), 0, 0), 'ptrace')", "ptrace refused"),
    Attack("kill the keeper", "os.kill(os.getppid(), 9)", f"{_SAYS}signal"),
    Attack("kill the keeper natively", "refused(libc.kill(os.getppid(), 9), 'kill')", "kill refused"),
    Attack("kill everybody", "refused(libc.kill(-1, 9), 'kill')", "kill refused"),
    Attack("tgkill", "p = os.getppid()\nrefused(libc.tgkill(p, p, 9), 'tgkill')", "tgkill refused"),
    Attack("sigqueue", "refused(libc.sigqueue(os.getppid(), 9, None), 'sigqueue')", "sigqueue refused"),
    Attack(
        "a signal by fcntl",
        "refused(libc.fcntl(0, 8, os.getppid()), 'fcntl')",
        "fcntl refused",
    ),
    Attack(
        "limits of the keeper",
        (
            "libc.prlimit(os.getppid(), resource.RLIMIT_CPU, struct.pack('QQ', 0, 0), None)\n"
            "time.sleep(0.2)\nraise RuntimeError('tried')"
        ),
        "tried",
    ),
    # It lies.
    Attack("torch.equal replaced", ("torch.equal = lambda *_: True"), "the code replaces torch.equal"),
    Attack(
        "torch.cat replaced on import", "torch.cat = print", "the code replaces torch.cat", at_import=True
    ),
    Attack(
        "Tensor.clone replaced",
        ("torch.Tensor.clone = lambda self, **_: self"),
        "the code replaces torch.Tensor.clone",
    ),
    Attack("a faked answer", _FAKE, "verification itself failed|exit status 0|could not be run"),
    Attack(
        "records removed",
        ("for name in os.listdir():\n    os.remove(name)\nraise RuntimeError('removed')"),
        "removed",
    ),
)
