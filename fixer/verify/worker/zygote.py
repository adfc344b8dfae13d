"""The process that has torch imported and warm, and forks a job child for every request.

It runs no code of the target. It ends when its request pipe does, or when its parent is gone.
"""

from __future__ import annotations

import gc
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from typing import Any, Callable, Mapping, Tuple

from . import cage, jobs
from .frames import Message, Unpacker, send

Machinery = Tuple[jobs.Conduct, Mapping[str, jobs.Stage]]

MAX_IN_FLIGHT = 1
OLDEST_TORCH = (2, 0)
_REQUEST_LIMIT = 1 << 30
_PARENT_CHECK = 2.0  # seconds between looks at whether the parent is still there
_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",  # proofs run on the CPU, and a CUDA context does not survive a fork
    "HF_HUB_OFFLINE": "1",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",  # `torch.compile` would start a compiler
    "WANDB_MODE": "disabled",
}


class RefusalError(Exception):
    """This interpreter cannot verify anything; the message says why."""


def main(scratch: str, machinery: Callable[[], Machinery] | None = None) -> None:
    """Serve requests from standard input until it ends; the target's code never sees these descriptors."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(_ENVIRONMENT)
    try:
        version = _warm_up()
        conduct, stages = (machinery or _judge)()
    except RefusalError as refusal:
        send(replies, {"refused": str(refusal)})
        return
    send(replies, {"ready": {"python": ".".join(map(str, sys.version_info[:3])), "torch": version}})
    try:
        Zygote(requests, replies, scratch, conduct, stages).serve()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _judge() -> Machinery:
    from .judge import conduct
    from .stages import STAGES

    return conduct, STAGES


def _warm_up() -> str:
    """Import torch and run what is slow the first time, so that no job pays for it."""
    try:
        import torch
    except BaseException as error:  # a broken installation raises anything
        raise RefusalError(f"it cannot import torch ({type(error).__name__}: {error})") from None
    version = str(torch.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TORCH:
        raise RefusalError(f"its torch {version} is older than 2.0")
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for optimizer in (torch.optim.SGD, torch.optim.Adam):
        parameter = torch.nn.Parameter(torch.zeros(()))
        parameter.grad = torch.zeros(())
        optimizer([parameter], lr=0.1).step()
    return version


class _Running:
    """A job that has been forked and has not answered yet."""

    def __init__(self, job: Message, child: cage.Child) -> None:
        self.job = job
        self.child = child
        self.deadline = time.monotonic() + job["timeout"] + jobs.GRACE

    def answer(self) -> Message:
        """What to tell the parent; call after the child is killed."""
        if self.child.answer is not None and self.child.fault is None:
            return self.child.answer
        evidence = {"stderr": self.child.last_words} if self.child.last_words else {}
        reason = f"the verification process ended early: {self.child.end}"
        return {"verdict": "unverified", "reason": reason, "evidence": evidence}


class Zygote:
    """Reads requests, runs at most `MAX_IN_FLIGHT` of them at a time, and writes the answers."""

    def __init__(
        self,
        requests: int,
        replies: int,
        scratch: str,
        conduct: jobs.Conduct,
        stages: Mapping[str, jobs.Stage],
    ) -> None:
        self._requests = requests
        self._replies = replies
        self._scratch = scratch
        self._conduct = conduct
        self._stages = stages
        self._waiting: deque[Message] = deque()
        self._running: list[_Running] = []

    def serve(self) -> None:
        """Work until the requests end or the parent dies; then nothing of any job is left."""
        cage.adopt_orphans()
        gc.collect()
        gc.freeze()  # a collection in a child would copy every page that the zygote shares with it
        parent = os.getppid()
        unpacker = Unpacker(_REQUEST_LIMIT)
        try:
            while os.getppid() == parent:
                if self._requests in self._ready():
                    data = os.read(self._requests, 1 << 20)
                    if not data:
                        return
                    self._waiting.extend(unpacker.feed(data))
                self._finish()
                self._start()
        except BrokenPipeError:  # nobody is left to hear the answer
            return
        finally:
            for running in self._running:
                running.child.kill()
            cage.reap_strangers(())

    def _ready(self) -> list[int]:
        """Wait for something to happen and read what running jobs have written."""
        timeout = _PARENT_CHECK
        for running in self._running:
            timeout = min(timeout, max(0.0, running.deadline - time.monotonic()))
        watched = [fd for running in self._running for fd in running.child.descriptors]
        ready = select.select([self._requests, *watched], [], [], timeout)[0]
        for running in self._running:
            running.child.receive(fd for fd in running.child.descriptors if fd in ready)
        return ready

    def _start(self) -> None:
        while self._waiting and len(self._running) < MAX_IN_FLIGHT:
            job = self._waiting.popleft()
            job["scratch"] = tempfile.mkdtemp(prefix="job", dir=self._scratch)
            child = cage.Child(lambda job=job: self._job(job), new_session=True)  # type: ignore[misc]
            self._running.append(_Running(job, child))

    def _job(self, job: Message) -> Message:
        os.chdir(job["scratch"])
        return jobs.conduct_job(job, self._conduct, self._stages)

    def _finish(self) -> None:
        for running in list(self._running):
            if running.child.finished:
                self._close(running)
            elif time.monotonic() >= running.deadline:
                running.child.fault = "ran out of time"
                self._close(running)

    def _close(self, running: _Running) -> None:
        self._running.remove(running)
        running.child.kill()
        cage.reap_strangers(other.child.pid for other in self._running)
        _remove(running.job["scratch"])
        send(self._replies, {"id": running.job["id"], **running.answer()})


def _remove(folder: str) -> None:
    """Delete a job's scratch folder, also where the target made parts of it read-only."""

    def unlock_and_retry(function: Callable[[str], Any], path: str, _: Any) -> None:
        with suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            os.chmod(path, 0o700)
            function(path)

    shutil.rmtree(folder, onerror=unlock_and_retry)
