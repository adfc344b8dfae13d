"""Runs one attempt and says how far it came and what stopped it."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn, overrides
from torch.overrides import TorchFunctionMode

from .. import clock
from ..untraced import Traced

if TYPE_CHECKING:
    from types import TracebackType

    from .specs import Path

_TORCH = os.path.dirname(os.path.abspath(torch.__file__))
_HERE = os.path.dirname(os.path.abspath(__file__))
_IMPORTING = "<frozen importlib._bootstrap>"
_TELLING = 200
"""How much of a message tells two failures apart."""
_INSIDE_OF_A_LINE = ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")
_AGAIN = 0.5
"""Seconds after which an attempt that should have stopped is told again."""


# Code that is wrong whatever it is given.
_INHERENT = re.compile(
    r"cannot assign '|leaf Variable that requires grad|modified by an inplace operation"
    r"|keyword argument 'retain_grad'"
)


_PLAIN = re.compile(r"^'(list|tuple|int|float|str|dict|bool|Namespace)' object (has no attribute|is not)")


_SIDES_LEFT = re.compile(r"Calculated output size: \(\d+x([-\dx]+)\)")


_LONGEST_CODE = 1_000_000


def _shortfall(message: str) -> int:
    """How much larger what a pool takes has to be, by what the message says would be left of it."""
    match = _SIDES_LEFT.search(message)
    return sum(max(0, 1 - int(side)) for side in match[1].split("x")) if match else 0


class HarnessError(Exception):
    """Nothing runnable was found; the message is one sentence with the last error."""


class TooLargeError(Exception):
    """The model has more parameters than a quick check should train; `held` of them were there in time."""

    def __init__(self, message: str, held: int = 0) -> None:
        super().__init__(message)
        self.held = held


class _OutOfTimeError(BaseException):
    """An attempt takes too long; not an Exception, so that no handler of the model's stops it."""


class Frame(NamedTuple):
    """One frame of a traceback, outermost first in a `Failure`."""

    filename: str
    line: int
    function: str
    scope: dict[str, Any]
    outer: dict[str, Any]
    step: int = 0
    """Where in the function's code it stopped: what comes later in a line is evaluated later."""


class Failure(NamedTuple):
    """What stopped an attempt."""

    error: BaseException
    frames: tuple[Frame, ...]
    calls: int
    """How many calls of modules had begun, and how many had ended: what a layer returned was of use."""
    tensors: dict[Path, torch.Tensor]
    is_in_argument: bool = False
    """Whether what was to be called could not even be given its arguments."""

    @property
    def message(self) -> str:
        """The text of the exception."""
        return str(self.error)

    @property
    def text(self) -> str:
        """The exception's type and text."""
        return f"{type(self.error).__name__}: {self.error}"

    @property
    def summary(self) -> str:
        """The exception in one line."""
        first = " ".join(self.message.split())[:200]
        where = next(
            (f" at line {frame.line} of {frame.function}" for frame in reversed(self.own_frames)), ""
        )
        return f"{type(self.error).__name__}: {first or 'no message'}{where}"

    @property
    def own_frames(self) -> list[Frame]:
        """The frames of the code under test."""
        return [frame for frame in self.frames if not frame.filename.startswith((_HERE, _TORCH, "<"))]

    @property
    def is_hopeless(self) -> bool:
        """Whether no arguments can help: the code names what is not there, or breaks autograd's rules."""
        broken = isinstance(self.error, (NameError, ImportError, SyntaxError))
        if isinstance(self.error, UnboundLocalError):  # another argument may take another branch
            return False
        return broken or _INHERENT.search(self.message) is not None

    @property
    def is_about_kind(self) -> bool:
        """Whether something was of the wrong kind: of failures that came as far, it says the least."""
        return isinstance(self.error, (AttributeError, TypeError)) and bool(_PLAIN.search(self.message))

    @property
    def is_out_of_time(self) -> bool:
        """Whether the attempt was stopped from outside."""
        return isinstance(self.error, _OutOfTimeError)

    @property
    def signature(self) -> tuple[Any, ...]:
        """Tells failures apart that differ in more than sizes."""
        places = tuple((frame.filename, frame.line) for frame in self.own_frames)
        return (type(self.error), places, re.sub(r"\d+", "#", self.message)[:_TELLING])

    @property
    def is_too_large(self) -> bool:
        """Whether the attempt was stopped because it takes too much room or time."""
        return isinstance(self.error, (TooLargeError, MemoryError)) or self.is_out_of_time

    @property
    def progress(self) -> tuple[float, ...]:
        """Grows with how far the attempt came."""
        own = self.own_frames
        # What runs inside of a comprehension is not beyond the line that it stands in.
        lines = [frame.line for frame in own if not frame.function.endswith(_INSIDE_OF_A_LINE)] or [0]
        if self.is_in_argument:
            return (-1, self.calls)
        step = next((frame.step for frame in reversed(own)), 0) / _LONGEST_CODE
        return (lines[0], self.calls, *lines[1:], step - _shortfall(self.message))


class OnCpu(TorchFunctionMode):
    """Keeps tensors on the CPU where the code under test names a CUDA device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Drop the device from one call."""
        name = getattr(func, "__name__", "")
        if name == "cuda":
            return args[0]
        kwargs = {
            key: torch.device("cpu") if key == "device" and _is_cuda(item) else item
            for key, item in (kwargs or {}).items()
        }
        if name == "to":
            args = tuple(torch.device("cpu") if _is_cuda(item) else item for item in args)
        return func(*args, **kwargs)


@contextlib.contextmanager
def on_cpu(wanted: bool) -> Iterator[None]:
    """Keep what runs inside on the CPU, if wanted."""
    if not wanted:
        yield
        return
    with OnCpu():
        yield


def _is_cuda(value: Any) -> bool:
    return isinstance(value, (str, torch.device)) and str(value).startswith("cuda")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators that models draw from, and give them their state back afterwards."""
    state = random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(seed)
            torch.default_generator.manual_seed(seed)  # `torch.manual_seed` is far slower: accelerators
            yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what the code under test prints and warns about to itself, and do not wait for anything."""
    sink, sleep = io.StringIO(), time.sleep
    time.sleep = lambda *_: None  # what is waited for, a second try to fetch weights, does not come
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            warnings.simplefilter("ignore")
            yield
    finally:
        time.sleep = sleep


@contextlib.contextmanager
def modes_kept() -> Iterator[None]:
    """Give torch its modes back afterwards: whoever is stopped while one is entered or left loses count."""
    torch_modes: Any = overrides
    before = torch_modes._get_current_function_mode_stack()
    try:
        yield
    finally:
        if torch_modes._get_current_function_mode_stack() != before:
            while torch_modes._get_current_function_mode_stack():
                torch_modes._pop_mode()
            for mode in before:
                torch_modes._push_mode(mode)


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[Callable[[], None]]:
    """Raise `_OutOfTimeError` after some seconds of work, where the platform and the thread have a timer.

    It is raised again until it arrives: Python drops what is raised in a callback of the garbage collector.
    Yields what disarms the timer: where it strikes while this context is left, nothing else does.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield _nothing
        return
    armed = True

    def stop(_number: int, frame: Any) -> None:
        while frame is not None and armed:
            if frame.f_code.co_filename == _IMPORTING:
                return  # half an import would fail whatever imports the module later
            frame = frame.f_back
        if armed:
            raise _OutOfTimeError("it ran out of time")

    def disarm() -> None:
        nonlocal armed
        armed = False
        for _, timer, _ in timers:
            signal.setitimer(timer, 0)
        for number, handler in previous:
            signal.signal(number, handler)

    seconds = max(seconds, 0.001)
    timers = (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, clock.waiting(seconds)),
    )
    previous = [(number, signal.signal(number, stop)) for number, _, _ in timers]
    for _, timer, after in timers:
        signal.setitimer(timer, after, _AGAIN)
    try:
        yield disarm
    finally:
        _surely(disarm)


def _nothing() -> None:
    """There is no timer."""


def _surely(disarm: Callable[[], None]) -> None:
    """Disarm a timer that may strike right now: what is left armed would end the process."""
    try:
        disarm()
    except _OutOfTimeError:
        disarm()


@contextlib.contextmanager
def small_only(limit: int) -> Iterator[None]:
    """Refuse models with more than `limit` parameters while they are built, before they are initialised."""
    register = getattr(nn.modules.module, "register_module_parameter_registration_hook", None)
    total = held = 0

    def count(_module: nn.Module, _name: str, parameter: Any) -> None:
        nonlocal total, held
        held += 1
        total += 0 if parameter is None or nn.parameter.is_lazy(parameter) else parameter.numel()
        if total > limit:
            raise TooLargeError(f"more than {limit} parameters", held)

    if register is None:
        yield
        return
    handle = register(count)
    try:
        yield
    finally:
        handle.remove()


class Attempt(NamedTuple):
    """What came of one attempt: a value, or a failure."""

    value: Any
    failure: Failure | None


def attempt(
    function: Callable[[], Any],
    deadline: float,
    entry: str,
    tensors: dict[Path, torch.Tensor] | None = None,
) -> Attempt:
    """Call a function that runs code under test.

    Frames before the one whose name is `entry` are not reported; `tensors` are the inputs of the call.
    """
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    hooks = nn.modules.module
    handles = (hooks.register_module_forward_pre_hook(count), hooks.register_module_forward_hook(count))
    disarm: Callable[[], None] = _nothing
    try:
        with modes_kept(), quiet(), seeded(0), torch.enable_grad(), limited(deadline - clock.now()) as disarm:
            return Attempt(_traced(function), None)
    except (Exception, SystemExit, _OutOfTimeError) as error:
        _surely(disarm)
        return Attempt(None, Failure(error, _frames(error.__traceback__, entry), calls, tensors or {}))
    finally:
        _surely(disarm)
        for handle in handles:
            handle.remove()


def _traced(function: Callable[[], Any]) -> Any:
    with Traced():
        return function()


def _frames(traceback: TracebackType | None, entry: str) -> tuple[Frame, ...]:
    found: list[Frame] = []
    while traceback is not None:
        frame = traceback.tb_frame
        found.append(
            Frame(
                frame.f_code.co_filename,
                traceback.tb_lineno or 0,
                frame.f_code.co_name,
                frame.f_locals,
                frame.f_globals,
                traceback.tb_lasti,
            )
        )
        traceback = traceback.tb_next
    first = next(
        (index for index, item in enumerate(found) if item.function == entry and item.filename != __file__),
        None,
    )
    return tuple(found if first is None else found[first:])
