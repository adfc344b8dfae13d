"""The process that has torch imported and warm, and forks what jobs need: judges, and processes for stages.

It runs no code of the target itself. It ends when its request pipe does, or when its parent is gone.
"""

from __future__ import annotations

import gc
import os
import select
import tempfile
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Any, Iterator, Mapping

from . import cage, compiler, jobs, memory, reuse, staging
from .frames import Message, Unpacker, send
from .staging import StageProcess

_PARENT_CHECK = 2.0  # seconds between looks at whether the parent is still there
_POLL = 0.05
"""Seconds between looks at stages, which may end without closing their descriptors, or fill their folder."""
_MANY = 60
"""After so many forks it pays to make them cheaper, which takes as long as some jobs."""
_JOBS = 100
"""How many jobs a judge decides before a new one takes its place, so that its memory stays small."""


class _Running:
    """A job that a judge has been given and has not answered yet."""

    def __init__(self, job: Message, judge: cage.Server) -> None:
        self.job = job
        self.judge = judge
        self.process: StageProcess | None = None
        """In which stages run, once there is one."""
        self.deadline = time.monotonic() + job["timeout"] + jobs.GRACE

    @property
    def children(self) -> Iterator[cage.Child]:
        """The judge, and the process in which stages run."""
        yield self.judge
        if self.process is not None:
            yield self.process.child

    def message(self) -> Message | None:
        """What the judge says, or what to say for it, once there is something."""
        judge = self.judge
        if not judge.check():
            if time.monotonic() < self.deadline:
                return None
            judge.fault = "ran out of time"
        if judge.answer is not None and judge.fault is None:
            return judge.said()
        judge.kill()
        evidence = {"stderr": judge.last_words} if judge.last_words else {}
        reason = f"the verification process ended early: {judge.end}"
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
        self._idle: list[cage.Server] = []
        self._decided: Counter[int] = Counter()
        self._spares: list[StageProcess] = []
        self._forks = 0

    def serve(self) -> None:
        """Work until the requests end or the parent dies; then nothing of any job is left."""
        cage.adopt_orphans()
        parent = os.getppid()
        unpacker = Unpacker(jobs.REQUEST_LIMIT)
        try:
            while os.getppid() == parent:
                if self._requests in self._ready():
                    data = os.read(self._requests, 1 << 20)
                    if not data:
                        return
                    self._waiting.extend(unpacker.feed(data))
                for running in list(self._running):
                    self._advance(running)
                self._end_unneeded()
                while self._waiting:
                    self._start(self._waiting.popleft())
        except BrokenPipeError:  # nobody is left to hear the answer
            return
        finally:
            for child in self._children():
                child.kill()
            cage.reap_strangers(())

    def _children(self) -> list[cage.Child]:
        spares = [process.child for process in self._spares]
        return [*self._idle, *spares, *(child for running in self._running for child in running.children)]

    def _ready(self) -> list[int]:
        """Wait for something to happen and read what the processes of running jobs have written."""
        timeout = _PARENT_CHECK
        for running in self._running:
            timeout = min(timeout, max(0.0, running.deadline - time.monotonic()))
            if running.process is not None and running.process.is_running:
                timeout = min(timeout, _POLL)
        children = [child for running in self._running for child in running.children]
        watched = [fd for child in children for fd in child.descriptors]
        ready = select.select([self._requests, *watched], [], [], timeout)[0]
        for child in children:
            child.receive(fd for fd in child.descriptors if fd in ready)
        return ready

    def _start(self, job: Message) -> None:
        process = self._spare(staging.kind(job))
        home = tempfile.mkdtemp(prefix="home", dir=self._scratch) if process is None else process.home
        job.update(home=home, scratch=tempfile.mkdtemp(prefix="job", dir=home))
        running = _Running(job, self._judge())
        running.process = process
        running.judge.tell(job)
        self._running.append(running)

    def _spare(self, wanted: tuple[Any, ...]) -> StageProcess | None:
        """A process that other jobs have left clean, if there is one that suits."""
        found = next((process for process in self._spares if process.suits == wanted), None)
        if found is not None:
            self._spares.remove(found)
        return found

    def _end_unneeded(self) -> None:
        """End the processes that no job has needed for a while."""
        for process in list(self._spares):
            if not process.is_spare:
                self._spares.remove(process)
                process.end()

    def _judge(self) -> cage.Server:
        """One that has nothing to do, or a new one."""
        while self._idle:
            judge = self._idle.pop()
            if judge.is_alive:
                return judge
            judge.kill()
        return cage.Server(self._decide)

    def _decide(self, job: Message, ask: cage.Ask) -> Message:
        """What a judge does with a job."""
        os.chdir(job["scratch"])
        # It reads what stages have written, and they may have written anything.
        cage.limit_resources(job["timeout"], job["memory"], addresses=job["device"] == "cpu", for_good=False)

        def launch(_: Message, stage: str, side: str, payload: Any, end: float, together: bool) -> Message:
            wanted = {"stage": stage, "side": side, "payload": payload, "together": together}
            return ask({**wanted, "end": end})

        return jobs.conduct_job(job, self._conduct, launch)

    def _advance(self, running: _Running) -> None:
        """Tell a judge what came of its stage, run the next one, or pass its verdict on."""
        if running.process is not None and running.process.is_running:
            result = running.process.result()
            if result is not None:
                if running.process.asked_for_compiler:
                    self._keep_compiler()
                self._reap()
                running.judge.tell(result)
        message = running.message()
        if message is not None and "stage" in message:
            self._begin(running, message)
        elif message is not None:
            self._close(running, message)

    def _begin(self, running: _Running, wanted: Message) -> None:
        """Run a stage, in the process of the one before it where both are content with that."""
        process = running.process
        if process is None or not (wanted["together"] and process.is_reusable):
            if process is not None:
                process.child.kill()
            self._forks += 1
            if self._forks == _MANY:
                memory.use_large_pages()
            process = running.process = StageProcess(running.job, self._stages)
        process.begin(running.job, wanted)

    def _keep_compiler(self) -> None:
        """Import torch's compiler for all processes to come, rather than have each do it."""
        if not compiler.is_imported():
            with suppress(Exception):  # each goes on importing its own
                compiler.load()
                reuse.known.cache_clear()
                reuse.known()
                gc.collect()
                gc.freeze()

    def _close(self, running: _Running, verdict: Message) -> None:
        """Pass a verdict on; the judge goes on with other jobs unless it failed."""
        self._running.remove(running)
        judge = running.judge
        self._decided[judge.pid] += 1
        if judge.fault is None and judge.is_alive and self._decided[judge.pid] < _JOBS:
            self._idle.append(judge)
        else:
            judge.kill()
            del self._decided[judge.pid]
        process = running.process
        if process is None:
            jobs.remove(running.job["home"])
        elif process.is_spare:
            self._spares.append(process)
            jobs.remove(running.job["scratch"])
        else:
            process.end()
        self._reap()
        send(self._replies, {"id": running.job["id"], **verdict})

    def _reap(self) -> None:
        """Kill what stages have left behind."""
        cage.reap_strangers(child.pid for child in self._children())
