"""What happens inside a job child and its stage children."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
import traceback
from typing import Any, Callable, Mapping

from . import cage, guard, overlay
from .frames import Message

Stage = Callable[[Message, Any], Message]
RunStage = Callable[..., Message]
Conduct = Callable[[Message, RunStage], Message]

GRACE = 2.0
"""Seconds that a job keeps for its own answer once its stages have used up the rest."""
_MESSAGE_LIMIT = 2000
_FRAME_LIMIT = 100
_NOT_THE_TARGETS = (os.path.join(os.path.dirname(os.path.abspath(__file__)), ""), "<frozen importlib")


def conduct_job(job: Message, conduct: Conduct, stages: Mapping[str, Stage]) -> Message:
    """Decide a job in the job child; whatever goes wrong in here is an `unverified`."""
    cage.adopt_orphans()
    deadline = time.monotonic() + job["timeout"]

    def run_stage(stage: str, side: str, payload: Any, seconds: float | None = None) -> Message:
        end = deadline if seconds is None else min(deadline, time.monotonic() + seconds)
        return _in_child(job, end, lambda: _stage(job, stages[stage], side, payload))

    try:
        return conduct(job, run_stage)
    except Exception as error:
        evidence = {"error": describe_error(error)}
        reason = f"the verification itself failed: {type(error).__name__}: {_message(error)}"
        return {"verdict": "unverified", "reason": reason, "evidence": evidence}


def _in_child(job: Message, end: float, body: Callable[[], Message]) -> Message:
    """Run a stage in a child of its own and turn its end, whatever that is, into a message."""
    child = cage.Child(body, new_session=False)
    child.wait(end, cage.scratch_watch(job["scratch"], job["memory"]))
    cage.reap_strangers(())
    if child.answer is not None and child.fault is None:
        return child.answer
    return {"ok": False, "died": child.end, "stderr": child.last_words}


def _stage(job: Message, stage: Stage, side: str, payload: Any) -> Message:
    """Run one stage in its own process, with one side's text laid over the tree."""
    os.environ["TMPDIR"] = tempfile.tempdir = job["scratch"]
    cage.limit_resources(job["timeout"], job["memory"])
    guard.close(job["scratch"])
    overlay.install(job["overlay"][side], job["roots"], job["siblings"])
    seed_everything(job["seed"])
    try:
        return {"ok": True, "value": stage(job, payload)}
    except BaseException as error:
        return {"ok": False, "error": describe_error(error)}


def seed_everything(seed: int) -> None:
    """Seed every generator that the target can draw from, and ask torch for repeatable kernels."""
    import torch

    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` spends 10 ms on devices that are not used
    torch.use_deterministic_algorithms(True, warn_only=True)


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
