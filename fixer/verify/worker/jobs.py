"""A job and its stages, whichever way their processes are made."""

from __future__ import annotations

import linecache
import mmap
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from typing import Any, Callable

from . import calling, guard, intact, overlay, places, reached
from .frames import Message

Stage = Callable[[Message, Any], Message]
RunStage = Callable[..., Message]
Conduct = Callable[[Message, RunStage], Message]
Launch = Callable[[Message, str, str, Any, float, bool], Message]
"""Runs a stage (job, stage, side, payload, end, together) in a process and turns its end into a message.

Stages that may run `together` can get one process, one after the other.
"""

GRACE = 2.0
"""Seconds that a job keeps for its own answer once its stages have used up the rest."""
ANSWER_LIMIT = 16 << 20
TAIL = 2000
"""Bytes of standard error that are worth quoting."""
REQUEST_LIMIT = 1 << 30
_MESSAGE_LIMIT = 2000
_RESERVE = 32 << 20
"""Bytes that are set aside while a stage runs; untouched, they take none of the machine's memory."""
_UNKNOWN: Message = {"files": [], "folders": [], "calls": [], "hurried": True, "lost": True}
"""What a process has reached that died, or was ended, before it could tell."""
_FRAME_LIMIT = 100
_NOT_THE_TARGETS = (os.path.join(os.path.dirname(os.path.abspath(__file__)), ""), "<frozen importlib")


def conduct_job(job: Message, conduct: Conduct, launch: Launch) -> Message:
    """Decide a job; whatever goes wrong in here is an `unverified`."""
    deadline = time.monotonic() + job["timeout"]

    seen: list[Message] = []

    def run_stage(
        stage: str, side: str, payload: Any, seconds: float | None = None, *, together: bool = False
    ) -> Message:
        end = deadline if seconds is None else min(deadline, time.monotonic() + seconds)
        answer = launch(job, stage, side, payload, end, together)
        seen.append(answer.pop("reached", _UNKNOWN))
        return answer

    try:
        return {**conduct(job, run_stage), "reached": reached.joined(seen)}
    except Exception as error:
        evidence = {"error": describe_error(error)}
        reason = f"the verification itself failed: {type(error).__name__}: {_message(error)}"
        return {"verdict": "unverified", "reason": reason, "evidence": evidence}


def enter(job: Message) -> None:
    """Close the cage around this process, for good: it runs nothing but stages from here on."""
    os.environ["TMPDIR"] = tempfile.tempdir = job["scratch"]
    guard.close(job["home"], job["device"])
    seed_everything(job["seed"])


def resume(job: Message) -> None:
    """Go on with another job: what was read for the one before may have changed since."""
    os.environ["TMPDIR"] = tempfile.tempdir = job["scratch"]
    reached.forget()
    calling.forget()
    places.forget()
    linecache.clearcache()
    is_targets = reached.outside_libraries(job)
    for path in list(sys.path_importer_cache):
        if is_targets(path):
            del sys.path_importer_cache[path]


def perform(job: Message, stage: Stage, side: str, payload: Any) -> Message:
    """Run a stage in this process, with one side laid over the tree."""
    overlay.install(job["overlay"][side], job["roots"], job["siblings"])
    seed_everything(job["seed"])
    intact.known()
    reserve = mmap.mmap(-1, _RESERVE, access=mmap.ACCESS_COPY)  # a bytearray would write all of its pages
    try:
        try:
            value = stage(job, payload)
        finally:
            intact.require()
        return {"ok": True, "value": value, "reached": reached.told(job)}
    except BaseException as error:
        reserve.close()  # where all memory is taken, there is none left to say so
        return {"ok": False, "error": describe_error(error), "reached": reached.told(job)}


def seed_everything(seed: int) -> None:
    """Seed every generator that the target can draw from, and ask torch for repeatable kernels."""
    import torch

    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` spends 10 ms on devices that are not used
    # `torch.use_deterministic_algorithms` does the same, but imports the compiler to tell it, too.
    torch._C._set_deterministic_algorithms(True, warn_only=True)


def describe_error(error: BaseException) -> Message:
    """An exception as data: its class, its message, and the target's frames from the outside in."""
    frames: list[list[Any]] = [
        [frame.f_code.co_filename, line, frame.f_code.co_name]
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith(_NOT_THE_TARGETS)
    ]
    return {"type": type(error).__name__, "message": _message(error), "frames": frames[-_FRAME_LIMIT:]}


def _message(error: BaseException) -> str:
    try:
        return str(error)[:_MESSAGE_LIMIT]
    except Exception:  # `__str__` is the target's code
        return ""


def remove(folder: str) -> None:
    """Delete a job's scratch folder, also where the target made parts of it read-only."""

    def unlock_and_retry(function: Callable[[str], Any], path: str, _: Any) -> None:
        with suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            os.chmod(path, 0o700)
            function(path)

    shutil.rmtree(folder, onerror=unlock_and_retry)
