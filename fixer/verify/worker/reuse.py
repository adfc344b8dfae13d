"""Whether a process in which one side has run may run the other, and what is cleared away for that.

Another process costs as much as the checks of a small model. What was imported of the target goes; where the
first side has left anything else behind that the second could meet, it gets a process of its own.
"""

from __future__ import annotations

import builtins
import functools
import gc
import os
import random
import signal
import sys
import threading
import warnings
from itertools import chain
from types import ModuleType
from typing import Any, Callable, Iterator

import torch
from torch import nn

from . import cage, libraries, overlay, reached
from .frames import Message
from .surroundings import is_stand_in
from .synthesis import harvest

_LISTS = ("path", "meta_path", "path_hooks", "argv")
"""What verification itself changes of `sys`: put back as it was."""
_CACHE = "__slotnames__"
"""What `copyreg` notes down on a class of which it has copied an instance."""
_BACKENDS = (
    *("mkldnn_enabled", "cudnn_enabled", "cudnn_benchmark", "cudnn_deterministic", "cudnn_allow_tf32"),
    *("math_sdp_enabled", "flash_sdp_enabled", "mem_efficient_sdp_enabled", "cublas_allow_tf32"),
)
_OURS = "_fixer_worker"


class Reuse:
    """How a process was before the first side ran in it."""

    def __init__(self, job: Message) -> None:
        self._is_targets = reached.outside_libraries(job)
        self._lists = {name: list(getattr(sys, name)) for name in _LISTS}
        self._main = sys.modules.get("__main__")
        self._was = {**known(), **dict(_set())}

    def left_behind(self) -> str | None:
        """Make the process ready for the other side; what there is that cannot be cleared away, or None."""
        now = chain(_set(), _held())
        changed = next((name for name, value in now if self._was.get(name) != value), None)
        if changed is not None:
            return changed
        leaving = []
        for name in overlay.imported():
            module = sys.modules[name]
            if self._leaves(name, module):
                leaving.append(name)
            elif not _stays(name, module):
                return f"the module {name}"
        for name in leaving:
            del sys.modules[name]
        for name, value in self._lists.items():
            getattr(sys, name)[:] = value
        if self._main is not None:
            sys.modules["__main__"] = self._main
        harvest.forget()
        gc.collect()  # classes that are gone would still be among the subclasses of others
        gc.freeze()
        return None

    def _leaves(self, name: str, module: Any) -> bool:
        """Whether a module is one of the target's, which can be imported again as if for the first time."""
        if name == "__main__" or is_stand_in(module):
            return True
        if not isinstance(module, ModuleType):
            return False
        places = [vars(module).get("__file__")]
        if places == [None]:
            places = list(vars(module).get("__path__", ()))
        files = [place for place in places if isinstance(place, str) and not place.endswith((".so", ".pyd"))]
        return bool(files) and len(files) == len(places) and all(map(self._is_targets, files))


def _stays(name: str, module: Any) -> bool:
    """Whether a module is ours, torch's or Python's own: all that it may hold is compared, or harmless."""
    if name.partition(".")[0] == _OURS:
        return True
    if not isinstance(module, ModuleType):
        return False
    if type(module) is not ModuleType and type(module).__module__.startswith("torch."):
        return True  # a namespace of operators
    spec = vars(module).get("__spec__")
    origin = getattr(spec, "origin", None)
    if origin in ("built-in", "frozen"):
        return True
    return isinstance(origin, str) and (origin.startswith(libraries.TORCH) or libraries.is_standard(origin))


@functools.lru_cache(maxsize=1)
def known() -> dict[str, Any]:
    """What classes and modules of torch hold before any of the target's code runs: call it early."""
    return dict(_held())


def _set() -> Iterator[tuple[str, Any]]:
    """What all code of a process is run under, as values that are equal where nothing has changed."""
    for name, setting in _SETTINGS.items():
        yield name, setting()
    for home in ("torch.nn.modules.module", "torch.optim.optimizer"):
        for name, held in vars(sys.modules[home]).items():
            if name.startswith("_global") and isinstance(held, dict):
                yield name, list(held)


def _held() -> Iterator[tuple[str, Any]]:
    """What is defined for all code; only where a run has looked anyway: to look copies the page."""
    for name, owner in _OWNERS.items():
        yield f"what {name} holds", {key: value for key, value in vars(owner).items() if key != _CACHE}
    for name, owner in _LARGE_OWNERS.items():
        yield f"how much {name} holds", len(vars(owner))


_SETTINGS: dict[str, Callable[[], Any]] = {
    "the default dtype": torch.get_default_dtype,
    "the default device": lambda: getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None),
    "the backends": lambda: [getattr(torch._C, f"_get_{name}", bool)() for name in _BACKENDS],
    "whether gradients are on": torch.is_grad_enabled,
    "inference mode": torch.is_inference_mode_enabled,
    "autocast": lambda: (torch.is_autocast_enabled(), torch.is_autocast_cache_enabled()),
    "anomaly detection": torch.is_anomaly_enabled,
    "deterministic algorithms": torch.get_deterministic_debug_mode,
    "the number of threads": torch.get_num_threads,
    "the precision of products": torch.get_float32_matmul_precision,
    "modes of torch functions": torch._C._len_torch_function_stack,
    "modes of torch's dispatcher": torch._C._len_torch_dispatch_stack,
    "warnings": lambda: list(warnings.filters),
    "alarms": lambda: (signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM)),
    "open files": lambda: os.listdir("/dev/fd"),
    "child processes": cage.children,
    "the environment": lambda: dict(os.environ),
    "the working folder": os.getcwd,
    "threads": lambda: [thread.ident for thread in threading.enumerate()],
    "the recursion limit": sys.getrecursionlimit,
    "tracing": lambda: (sys.gettrace(), sys.getprofile(), threading._trace_hook),  # type: ignore[attr-defined]
    "standard streams": lambda: (id(sys.stdin), id(sys.stdout), id(sys.stderr), id(sys.excepthook)),
    "garbage collection": lambda: (gc.isenabled(), gc.get_threshold(), len(gc.callbacks)),
}
_OWNERS: dict[str, Any] = {
    "torch.Tensor": torch.Tensor,
    "torch.nn.Module": nn.Module,
    "torch.nn.Parameter": nn.Parameter,
    "torch.nn.functional": nn.functional,
    "torch.nn.init": nn.init,
    "torch.autograd.Function": torch.autograd.Function,
    "torch.optim.Optimizer": torch.optim.Optimizer,
    "torch.optim.SGD": torch.optim.SGD,
    "torch.optim.Adam": torch.optim.Adam,
}
_LARGE_OWNERS: dict[str, Any] = {
    "builtins": builtins,
    "os": os,
    "random": random,
    "torch": torch,
    "torch.autograd": torch.autograd,
    "torch.nn": nn,
    "torch.optim": torch.optim,
}
