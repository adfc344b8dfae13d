"""Processes that can be lost: fork one, hear its answer, and leave nothing of it behind.

The zygote forks *judges*, which run no code of the target and decide jobs, and at their request *stage
children*, which do run it. It forks both itself: what a process writes after it has forked another is slow to
write, and judges write a lot.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Callable, Iterable

from .frames import Message, TooLongError, Unpacker, messages, send
from .jobs import ANSWER_LIMIT, REQUEST_LIMIT, TAIL

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_OPEN_FILES = 512
_OUT_OF_MEMORY = 137
"""The exit status of a child without the memory to answer."""


Ask = Callable[[Message], Message]


def _prctl(option: int, argument: int) -> None:
    """Call prctl(2) where there is one; elsewhere the process group alone has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of daemonised descendants, so that they can be found and killed."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> set[int]:
    """The processes whose parent is this one, adopted ones included."""
    found: set[int] = set()
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children", encoding="ascii") as listing:
                found.update(int(pid) for pid in listing.read().split())
    return found


def reap_strangers(known: Iterable[int], *, patience: float = 2.0) -> None:
    """Kill and reap every child that is not among `known`, and what they leave behind in turn."""
    keep = set(known)
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        strangers = children() - keep
        if not strangers:
            return
        for pid in strangers:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(pid, 0)


def limit_resources(
    seconds: float, memory: int, *, addresses: bool, for_good: bool = True, times: int = 1
) -> None:
    """Cap processor time from now on, file size and open files, and `addresses` above today's.

    A GPU's driver maps more than there is memory. The time can be given so many `times` in all.
    """
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: int(time.process_time() + seconds) + 2,
        resource.RLIMIT_FSIZE: memory,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
    }
    if sys.platform == "linux" and addresses:
        # Torch maps gigabytes that it never touches: only what comes on top of them counts.
        with open("/proc/self/statm", encoding="ascii") as statm:
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
        limits[resource.RLIMIT_AS] = mapped + memory
    if sys.platform == "linux":
        # If the machine itself runs short, this process is the one to lose.
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("1000")
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        whole = value + int(seconds + 2) * (times - 1) if kind == resource.RLIMIT_CPU else value
        if hard != resource.RLIM_INFINITY:
            whole = min(whole, hard)
        resource.setrlimit(kind, (value, whole if for_good else hard))


def limit_processor_time(pid: int, seconds: float) -> None:
    """Give another process so much processor time from now on, as far as it may have it at all.

    From inside of the cage the kernel refuses to change limits.
    """
    with suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        user, system = (int(ticks) for ticks in stat.read().rpartition(")")[2].split()[11:13])
        used = (user + system) / os.sysconf("SC_CLK_TCK")
        _, hard = resource.prlimit(pid, resource.RLIMIT_CPU)
        value = int(used + seconds) + 2
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(pid, resource.RLIMIT_CPU, (value, hard))


def describe_exit(status: int) -> str:
    """What a wait status says, in words."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    if os.WEXITSTATUS(status) == _OUT_OF_MEMORY:
        return "MemoryError"
    return f"exit status {os.WEXITSTATUS(status)}"


def _close_all_but(keep: set[int]) -> None:
    for name in os.listdir("/dev/fd"):
        if int(name) not in keep:
            with suppress(OSError):
                os.close(int(name))


class Child:
    """A forked process, leader of its own group, that answers with one message."""

    def __init__(self, body: Callable[[], Message]) -> None:
        self._start(lambda answer: send(answer, body()), os.setpgrp, ())

    def _start(self, life: Callable[[int], None], lead: Callable[[], object], needs: tuple[int, ...]) -> None:
        """Fork; the child `lead`s a group or a session and `life`s with the descriptors that it `needs`."""
        parent = os.getpid()
        self.answer_fd, answer = os.pipe()
        self.error_fd, error = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(life, parent, answer, error, lead, needs)
        os.close(answer)
        os.close(error)
        self.answer: Message | None = None
        self.fault: str | None = None
        self._status: int | None = None
        self._tail = b""
        self._unpacker = Unpacker(ANSWER_LIMIT)
        self._open = [self.answer_fd, self.error_fd]
        self._is_killed = False

    @staticmethod
    def _run(
        life: Callable[[int], None],
        parent: int,
        answer: int,
        error: int,
        lead: Callable[[], object],
        needs: tuple[int, ...],
    ) -> None:
        """The child's whole life; it leaves through `os._exit`, past the parent's cleanups."""
        status = 1
        try:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the line above
                os._exit(status)
            lead()
            os.dup2(error, 2)
            _close_all_but({0, 1, 2, answer, *needs})
            life(answer)
            status = 0
        except MemoryError:  # there is none to say more
            os._exit(_OUT_OF_MEMORY)
        finally:
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)

    @property
    def descriptors(self) -> list[int]:
        """What to select on before calling `receive`."""
        return [] if self._is_killed else self._open

    def check(self) -> bool:
        """Look whether it has answered or died."""
        if self.answer is not None or self.fault is not None:
            return True
        if not self.is_alive:
            self.receive(self._readable(0))  # what it wrote in its last moments
        return self._status is not None

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is None

    def _readable(self, timeout: float) -> list[int]:
        return select.select(self._open, [], [], timeout)[0]

    def receive(self, ready: Iterable[int]) -> None:
        """Read from those of the child's descriptors that are ready."""
        for descriptor in list(ready):
            data = os.read(descriptor, 1 << 20)
            if not data:
                self._open.remove(descriptor)
            elif descriptor == self.error_fd:
                self._tail = (self._tail + data)[-TAIL:]
            else:
                self._unpack(data)

    def _unpack(self, data: bytes) -> None:
        try:
            for message in self._unpacker.feed(data):
                self.answer = message
        except (TooLongError, ValueError, RecursionError) as error:
            self.fault = f"garbled answer: {error}"

    def kill(self) -> None:
        """Kill the child's group, reap the child and close its descriptors; the second time does nothing."""
        if self._is_killed:
            return
        self._is_killed = True
        with suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._status is None:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
            _, self._status = os.waitpid(self.pid, 0)
        os.close(self.answer_fd)
        os.close(self.error_fd)

    @property
    def end(self) -> str:
        """How it ended without an answer; call after `kill`."""
        if self.fault is not None:
            return self.fault
        assert self._status is not None
        return describe_exit(self._status)

    @property
    def last_words(self) -> str:
        """The end of what it wrote to standard error."""
        return self._tail.decode("utf-8", "replace").strip()


class Server(Child):
    """A forked process, leader of its own session, that answers one request after the other.

    Before it answers it may say other things, and is told something each time.
    """

    def __init__(self, serve: Callable[[Message, Ask], Message]) -> None:
        requests, self._requests = os.pipe()
        self._start(lambda answer: _serve(serve, requests, answer), os.setsid, (requests,))
        os.close(requests)

    def tell(self, message: Message) -> None:
        """Send a request, or what it has asked for. One that cannot hear it has died."""
        self._tail = b""
        with suppress(BrokenPipeError):
            send(self._requests, message)

    def said(self) -> Message | None:
        """What it has said since it was told something."""
        message, self.answer = self.answer, None
        return message

    def kill(self) -> None:
        """Kill it, with its session, and close its descriptors; the second time does nothing."""
        if not self._is_killed:
            os.close(self._requests)
        super().kill()


def _serve(serve: Callable[[Message, Ask], Message], requests: int, answer: int) -> None:
    heard = messages(requests, REQUEST_LIMIT)

    def ask(message: Message) -> Message:
        send(answer, message)
        return next(heard)

    for request in heard:
        send(answer, serve(request, ask))


def folder_size(folder: str) -> int:
    """Bytes of all files below a folder that is being written to."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def scratch_watch(folder: str, limit: int, *, every: float = 0.25) -> Callable[[], str | None]:
    """Build a function that complains once a folder holds more than `limit` bytes; it looks only so often."""
    due = time.monotonic() + every

    def watch() -> str | None:
        nonlocal due
        if time.monotonic() < due:
            return None
        due = time.monotonic() + every
        return "filled its scratch folder" if folder_size(folder) > limit else None

    return watch
