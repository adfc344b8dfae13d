"""The process that has torch imported and warm, and forks a job child for every request.

It runs no code of the target. It ends when its request pipe does, or when its parent is gone.
"""

from __future__ import annotations

import gc
import os
import select
import tempfile
import time
from collections import deque
from typing import Any, Mapping

from . import cage, jobs, memory
from .frames import Message, Unpacker, send

_PARENT_CHECK = 2.0  # seconds between looks at whether the parent is still there


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
    """Reads requests, runs all that have arrived at once, and writes the answers; the parent paces it."""

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
        memory.use_large_pages()
        parent = os.getppid()
        unpacker = Unpacker(jobs.REQUEST_LIMIT)
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
        while self._waiting:
            job = self._waiting.popleft()
            job["scratch"] = tempfile.mkdtemp(prefix="job", dir=self._scratch)
            child = cage.Child(lambda job=job: self._job(job), new_session=True)  # type: ignore[misc]
            self._running.append(_Running(job, child))

    def _job(self, job: Message) -> Message:
        os.chdir(job["scratch"])
        cage.adopt_orphans()
        # It reads what stages have written, and they may have written anything.
        cage.limit_resources(job["timeout"], job["memory"], addresses=job["device"] == "cpu")
        return jobs.conduct_job(job, self._conduct, self._launch)

    def _launch(self, job: Message, stage: str, side: str, payload: Any, end: float) -> Message:
        """Fork a stage child from the job child."""

        def body() -> Message:
            cage.limit_resources(job["timeout"], job["memory"], addresses=job["device"] == "cpu")
            return jobs.perform(job, self._stages[stage], side, payload)

        child = cage.Child(body, new_session=False)
        child.wait(end, cage.scratch_watch(job["scratch"], job["memory"]))
        cage.reap_strangers(())
        if child.answer is not None and child.fault is None:
            return child.answer
        return {"ok": False, "died": child.end, "stderr": child.last_words}

    def _finish(self) -> None:
        for running in list(self._running):
            if running.child.check():
                self._close(running)
            elif time.monotonic() >= running.deadline:
                running.child.fault = "ran out of time"
                self._close(running)

    def _close(self, running: _Running) -> None:
        self._running.remove(running)
        running.child.kill()
        cage.reap_strangers(other.child.pid for other in self._running)
        jobs.remove(running.job["scratch"])
        send(self._replies, {"id": running.job["id"], **running.answer()})
