"""From a bare interpreter to a worker that takes requests."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import sys
from typing import Callable, Mapping, Tuple

from . import jobs, reached, spawning
from .frames import send

Machinery = Tuple[jobs.Conduct, Mapping[str, jobs.Stage]]

OLDEST_TORCH = (2, 0)
_ENVIRONMENT = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it a GPU's results differ from run to run
    "HF_HUB_OFFLINE": "1",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",  # `torch.compile` would start a compiler
    "WANDB_MODE": "disabled",
}
_COLLECTIONS = (20_000, 10, 10)
"""Garbage is looked for this often: a model's parts live as long as it does, and are gone over each time."""


class RefusalError(Exception):
    """This interpreter cannot verify anything; the message says why."""


def main(
    arguments: list[str],
    machinery: Callable[[], Machinery] | None = None,
    *,
    fork: bool = hasattr(os, "fork"),
) -> None:
    """Serve requests from standard input until it ends; the target's code never sees these descriptors.

    The arguments are the scratch folder and, where stages are started anew, the stage that this process is.
    """
    scratch, *stage = arguments
    gc.disable()  # it would look through half of torch again and again while that is imported
    requests, replies = _private_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(_ENVIRONMENT)
    try:
        version = _warm_up()
        conduct, stages = (machinery or _judge)()
    except RefusalError as refusal:
        send(replies, {"refused": str(refusal)})
        return
    sys.dont_write_bytecode = True  # our own and torch's may be kept; what comes from here on is the target's
    if stage:
        gc.enable()
        spawning.perform(requests, replies, stages[stage[0]])
        return
    if fork and machinery is None:
        from .warming import warm_up

        with contextlib.suppress(Exception):  # each job is slower then
            warm_up()
    gc.freeze()  # a collection in a child would copy every page that it shares with this process
    gc.set_threshold(*_COLLECTIONS)
    gc.enable()
    send(replies, {"ready": version, "python": sys.version, "libraries": reached.environment()})
    try:
        if fork:
            from .zygote import Zygote  # what it needs exists only where processes can be forked

            Zygote(requests, replies, scratch, conduct, stages).serve()
        else:
            spawning.serve(requests, replies, scratch, conduct)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _private_pipes() -> tuple[int, int]:
    """Move standard input and output away, and put the null device in their place."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return requests, replies


def _judge() -> Machinery:
    from .judge import conduct
    from .stages import STAGES

    return conduct, STAGES


def _warm_up() -> str:
    """Import torch and run what is slow the first time, so that no job pays for it."""
    try:
        import torch
    except BaseException as error:  # a broken installation raises anything
        first_line = str(error).partition("\n")[0]
        raise RefusalError(f"it cannot import torch ({type(error).__name__}: {first_line})") from None
    version = str(torch.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TORCH:
        raise RefusalError(f"its torch {version} is older than 2.0")
    from . import compiler

    compiler.postpone()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for optimizer in (torch.optim.SGD, torch.optim.Adam):
        parameter = torch.nn.Parameter(torch.zeros(()))
        parameter.grad = torch.zeros(())
        optimizer([parameter], lr=0.1).step()
    return version
