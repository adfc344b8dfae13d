"""Processes that run stages: one after the other in the same one, as long as nothing is left behind in it.

A process is made for one job and may go on with others of the same run. It writes only below its home; each
job has a folder there.
"""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from typing import Any, Callable, Mapping

from . import cage, compiler, jobs
from .frames import Message
from .reuse import Reuse

_JOBS = 100 if hasattr(resource, "prlimit") else 1
"""How many jobs a process may run stages of, so that what adds up in it stays small."""
_IDLE = 10.0
"""Seconds after which one that nobody needs ends: what is installed may be another by then."""


class StageProcess:
    """A process in the cage of one job, or of several; it runs one stage at a time."""

    def __init__(self, job: Message, stages: Mapping[str, jobs.Stage]) -> None:
        self.home: str = job["home"]
        self.suits = kind(job)
        self.child = cage.Server(_performing(stages))
        self._jobs: list[int] = []
        self._ran = 0
        self._is_clean = True
        self._is_running = False
        self._idle_since = time.monotonic()
        self.asked_for_compiler = False
        """Whether its last stage has imported torch's compiler: others would do so, too."""

    @property
    def is_reusable(self) -> bool:
        """Whether another stage may run in it."""
        return self._is_clean and not self._is_running and self.child.is_alive

    @property
    def is_spare(self) -> bool:
        """Whether another job may have it."""
        fresh = time.monotonic() - self._idle_since < _IDLE
        return fresh and len(self._jobs) < _JOBS and self.is_reusable

    @property
    def is_running(self) -> bool:
        """Whether a stage has begun in it and nothing has come of it yet."""
        return self._is_running

    def begin(self, job: Message, wanted: Message) -> None:
        """Run a stage."""
        known = job["id"] in self._jobs
        if not known:
            if self._jobs:
                cage.limit_processor_time(self.child.pid, job["timeout"])
            self._jobs.append(job["id"])
        self._ran += 1
        self._is_running, self._end = True, wanted["end"]
        self._complaint = cage.scratch_watch(self.home, job["memory"])
        self.child.tell({**wanted, "job": None if known else job})

    def result(self) -> Message | None:
        """What came of the stage once it has ended, or had to be."""
        child = self.child
        if not child.check():
            child.fault = "ran out of time" if time.monotonic() >= self._end else self._complaint()
            if child.fault is None:
                return None
        self._is_running, self._idle_since = False, time.monotonic()
        answer = child.said() if child.fault is None else None
        self._is_clean = answer is not None and answer.pop("clean", False) is True
        self.asked_for_compiler = answer is not None and answer.pop("compiler", False) is True
        if not self._is_clean:
            child.kill()
        again = {"again": self._ran > 1}
        if answer is not None:
            return {**answer, **again}
        return {"ok": False, "died": child.end, "stderr": child.last_words, **again}

    def end(self) -> None:
        """Kill it, and remove its home."""
        self.child.kill()
        jobs.remove(self.home)


def kind(job: Message) -> tuple[Any, ...]:
    """What jobs have to share that one process may serve."""
    return job["device"], job["memory"], job["timeout"]


def _performing(stages: Mapping[str, jobs.Stage]) -> Callable[[Message, cage.Ask], Message]:
    """What such a process does with what it is told."""
    job: Message = {}
    entered = False
    reuse: Reuse | None = None

    def perform(wanted: Message, _: cage.Ask) -> Message:
        nonlocal job, reuse, entered
        if wanted["job"] is not None:
            job = wanted["job"]
            os.chdir(job["scratch"])
            if not entered:
                entered = True
                addresses = job["device"] == "cpu"
                cage.limit_resources(job["timeout"], job["memory"], addresses=addresses, times=_JOBS)
                jobs.enter(job)
            else:
                jobs.resume(job)
            reuse = None
            with suppress(Exception):  # another torch may lack what is asked; each stage has a process then
                reuse = Reuse(job)
        answer = jobs.perform(job, stages[wanted["stage"]], wanted["side"], wanted["payload"])
        clean = False
        if wanted["together"] and reuse is not None:
            with suppress(Exception):  # the target may have left anything where we look
                clean = reuse.left_behind() is None
        return {**answer, "clean": clean, "compiler": compiler.is_imported()}

    return perform
