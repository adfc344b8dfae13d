"""Running a function or a whole script with its training loops cut short, and noting what it computes."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from . import synthesis
from .bench import LOSS_SEED
from .observe import Recorder, buffers, parameters, projected_loss

GLOBAL = "global variable"


class Cut(BaseException):
    """Ends a run that has been watched for long enough; no handler for `Exception` catches it."""


class Loop:
    """What the training loops of one run did, noted step by step."""

    def __init__(
        self,
        recorder: Recorder,
        steps: int,
        keep_parameters: bool,
        goes_on: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.losses: list[float] = []
        self.steps = 0
        self.timed_out = False
        self._recorder = recorder
        self._limit = steps
        self._goes_on = goes_on
        """Whether there is more to be seen after so many steps, which are as many as were asked for."""
        self._keep_parameters = keep_parameters
        self._optimizers: list[Optimizer] = []
        self._leaves: dict[int, tuple[Tensor, Tensor]] = {}

    def facts(self) -> dict[str, Any]:
        """How many tensors some loss depended on directly, and how many of them moved since."""
        moved = [leaf for leaf, start in self._leaves.values() if not torch.equal(leaf.detach(), start)]
        return {
            "losses": self.losses[:50],
            "backwards": len(self.losses),
            "steps": self.steps,
            "timed_out": self.timed_out,
            "leaves": len(self._leaves),
            "moved": len(moved),
        }

    def on_backward(self, loss: Tensor) -> None:
        """Note a loss and what it depends on; cut if the loop has no optimizer to count by."""
        taken = len(self.losses)
        if taken >= self._limit and self.steps == 0 and not self._goes_on(taken):
            raise Cut
        self._recorder.note("losses", f"backward {len(self.losses)}", loss)
        self.losses.append(float(loss.detach().double().sum()))
        for leaf in _leaves(loss):
            self._leaves.setdefault(id(leaf), (leaf, leaf.detach().clone()))

    def on_optimizer(self, optimizer: Optimizer) -> None:
        """Watch the steps of a new optimizer."""
        self._optimizers.append(optimizer)
        optimizer.register_step_pre_hook(lambda o, *_: self._before_step(o))
        optimizer.register_step_post_hook(lambda o, *_: self._after_step(o))

    def _before_step(self, optimizer: Optimizer) -> None:
        for name, parameter in self._held(optimizer):
            self._recorder.note("gradients", f"step {self.steps} {name}", parameter.grad)

    def _after_step(self, optimizer: Optimizer) -> None:
        if self._keep_parameters:
            self._recorder.note_all("parameters", f"after step {self.steps}", self._held(optimizer))
        self.steps += 1
        if self.steps >= self._limit and not self._goes_on(self.steps):
            raise Cut

    def _held(self, optimizer: Optimizer) -> list[tuple[str, Tensor]]:
        which = self._optimizers.index(optimizer)
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        return [(f"parameter {which}.{index}", parameter) for index, parameter in enumerate(held)]

    @contextmanager
    def watching(self, seconds: float = 0.0) -> Iterator[None]:
        """Watch every optimizer and every backward that happens inside, unless 0 for so many seconds at most.

        `Cut` ends here.
        """
        backward, init, loader = torch.Tensor.backward, Optimizer.__init__, DataLoader.__init__
        loop = self

        def watched_backward(tensor: Tensor, *args: Any, **kwargs: Any) -> None:
            loop.on_backward(tensor)
            backward(tensor, *args, **kwargs)  # type: ignore[no-untyped-call]

        def watched_init(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            init(optimizer, *args, **kwargs)
            loop.on_optimizer(optimizer)

        def single_process(self: Any, *args: Any, **kwargs: Any) -> None:
            for name in ("prefetch_factor", "persistent_workers", "multiprocessing_context", "timeout"):
                kwargs.pop(name, None)
            loader(self, *args, **{**kwargs, "num_workers": 0} if len(args) < 6 else kwargs)

        def out_of_time(*_: object) -> None:
            loop.timed_out = True
            raise Cut

        torch.Tensor.backward = watched_backward  # type: ignore[assignment, method-assign]
        Optimizer.__init__ = watched_init  # type: ignore[assignment, method-assign]
        DataLoader.__init__ = single_process  # type: ignore[method-assign]
        previous = signal.getsignal(signal.SIGALRM)
        if seconds:
            signal.signal(signal.SIGALRM, out_of_time)
            signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        except Cut:
            pass
        finally:
            if seconds:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, previous)
            torch.Tensor.backward = backward  # type: ignore[method-assign]
            Optimizer.__init__ = init  # type: ignore[method-assign]
            DataLoader.__init__ = loader  # type: ignore[method-assign]


def cut_short(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with its training loops cut after two steps, for those who try out arguments."""

    @functools.wraps(function)
    def shortened(*args: Any, **kwargs: Any) -> Any:
        with Loop(Recorder(), 2, keep_parameters=False).watching():
            return function(*args, **kwargs)

    owner = getattr(function, "__self__", None)
    if owner is not None:
        shortened.__self__ = owner  # type: ignore[attr-defined]
    return shortened


def note_value(recorder: Recorder, check: str, value: Any) -> None:
    """Note what a function returned or left in its arguments: tensors, models, optimizers, plain data."""
    for name, tensor in synthesis.flatten_tensors(value):
        recorder.note(check, name, tensor)
        recorder.note(check, f"{name} requires_grad", tensor.requires_grad)
        recorder.note(check, f"{name} gradient", tensor.grad if tensor.is_leaf else None)
    for name, module in _modules(value, "value"):
        recorder.note_all(check, name, parameters(module) + buffers(module))
        recorder.note(check, f"{name} training", module.training)
        for key, parameter in parameters(module):
            recorder.note(check, f"{name} gradient {key}", parameter.grad)


def note_gradients(recorder: Recorder, check: str, returned: Any, held: Any) -> None:
    """Note what a loss on everything that a function returned sends back to what it was given."""
    loss = projected_loss(synthesis.flatten_tensors(returned), LOSS_SEED)
    models = [module for _, module in _modules(held, "value")]
    named = [pair for module in models for pair in parameters(module)] + synthesis.flatten_tensors(held)
    leaves = [(name, tensor) for name, tensor in named if tensor.requires_grad]
    if loss is None or not loss.requires_grad or not leaves:
        recorder.note(check, "gradients", "none")
        return
    try:
        found = torch.autograd.grad(loss, [leaf for _, leaf in leaves], retain_graph=True, allow_unused=True)
    except RuntimeError as error:  # the function has used its graph up
        recorder.note(check, "gradients", type(error).__name__)
        return
    recorder.note_all(check, "gradient of", [(name, grad) for (name, _), grad in zip(leaves, found)])


def note_globals(recorder: Recorder, names: dict[str, Any]) -> None:
    """Note the tensors and models that a script has made."""
    for name, value in list(names.items()):
        if isinstance(value, (Tensor, nn.Module)):
            note_value(recorder, f"{GLOBAL} {name}", value)


def _modules(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, nn.Module):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _modules(item, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _modules(item, f"{name}[{index}]")


def _leaves(loss: Tensor) -> list[Tensor]:
    """The tensors at the ends of a graph, which get a gradient from it."""
    found: list[Tensor] = []
    seen: set[Any] = set()
    waiting: list[Any] = [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        waiting += [following for following, _ in node.next_functions]
    return found
