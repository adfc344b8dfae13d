"""Where processes cannot be forked: each stage is a fresh interpreter; the worker itself decides the jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from . import jobs
from .frames import Message, TooLongError, Unpacker, messages, pack, send


def serve(requests: int, replies: int, scratch: str, conduct: jobs.Conduct) -> None:
    """Work until the requests end."""
    for job in messages(requests, jobs.REQUEST_LIMIT):
        job["home"] = job["scratch"] = tempfile.mkdtemp(prefix="job", dir=scratch)
        answer = jobs.conduct_job(job, conduct, _launch)
        jobs.remove(job["scratch"])
        send(replies, {"id": job["id"], **answer})


def perform(requests: int, replies: int, stage: jobs.Stage) -> None:
    """Be one stage: take its request, answer, and leave without the target's cleanups."""
    for request in messages(requests, jobs.REQUEST_LIMIT):
        jobs.enter(request["job"])
        send(replies, jobs.perform(request["job"], stage, request["side"], request["payload"]))
        os._exit(0)


def _launch(job: Message, stage: str, side: str, payload: Any, end: float, _: bool) -> Message:
    """Start a stage as the worker itself was started, and wait for it."""
    command = [sys.executable, sys.argv[0], job["scratch"], stage]
    request = pack({"job": job, "side": side, "payload": payload})
    try:
        done = subprocess.run(
            command,
            input=request,
            capture_output=True,
            cwd=job["scratch"],
            timeout=max(0.0, end - time.monotonic()),
        )
    except subprocess.TimeoutExpired:
        return {"ok": False, "died": "ran out of time", "stderr": ""}
    stderr = done.stderr[-jobs.TAIL :].decode("utf-8", "replace").strip()
    try:
        answer = next(Unpacker(jobs.ANSWER_LIMIT).feed(done.stdout), None)
    except (TooLongError, ValueError) as error:
        return {"ok": False, "died": f"garbled answer: {error}", "stderr": stderr}
    return answer or {"ok": False, "died": f"exit status {done.returncode}", "stderr": stderr}
