"""One model under test: built, fed and called the same way on both sides."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from . import synthesis
from .observe import drawn, projected_loss, reseed, without_tensors
from .reference import Reference
from .untraced import Untraced

if TYPE_CHECKING:
    from .observe import Named

LOSS_SEED = 20_011
DISTURBANCES = (2.0, 20.0, 200.0)
"""How large the noise is that parameters start with; more only where less leaves them in range."""
_SMALL = 1 << 15
"""Numbers in inputs that are kept."""


@dataclass
class Run:
    """One call of the model: what went in, what came out, and the loss."""

    given: tuple[Any, Any]
    outputs: Named
    rest: Any
    """What came out beside tensors, as plain data."""
    loss: Tensor | None

    @property
    def inputs(self) -> Named:
        """The tensors among the arguments, with their paths."""
        return flattened(self.given)

    @property
    def trainable(self) -> bool:
        """Whether the loss has a graph to send gradients through."""
        return self.loss is not None and self.loss.requires_grad

    def backward(self) -> None:
        """Send gradients back from the loss."""
        assert self.loss is not None
        self.loss.backward()  # type: ignore[no-untyped-call]


@dataclass
class Bench:
    """How to build and call a class; everything random depends on `seed` only."""

    cls: type[nn.Module]
    recipe: Any
    seed: int
    dtype: torch.dtype | None = None
    device: str = "cpu"
    reference: Reference | None = None
    drawn: str | None = None
    """What the last construction has drawn, where the model was called since for the shapes it waited for."""
    _fed: dict[tuple[int, torch.dtype | None], tuple[Any, Any]] = field(default_factory=dict, repr=False)
    """Inputs that have been drawn: to copy them is quicker."""

    def build(self, seed: int = 0) -> nn.Module:
        """Construct the model."""
        reseed(self.seed + seed)
        with _built_in(self.dtype):
            module: nn.Module = synthesis.build(self.cls, self.recipe)
            if self.device != "cpu":
                module = module.to(self.device)
            self.drawn = None
            if any(map(nn.parameter.is_lazy, module.parameters())):
                self.drawn = drawn()
                self.call(module, 0)  # only now its parameters have shapes
        return module if self.dtype is None else converted(module, self.dtype)

    def build_disturbed(self, cls: type[nn.Module] | None = None, size: float = DISTURBANCES[0]) -> nn.Module:
        """Construct the model with noise on every parameter, as it is registered and as it is initialised.

        Initial values are often inside a constraint already; this way a missing projection at the end of
        `__init__` shows. What is initialised once the constructor of `cls` has ended is left as it is.
        """
        generator = torch.Generator().manual_seed(self.seed + 5)

        def disturb(param: nn.Parameter) -> None:
            if _has_values(param):
                noise = torch.randn(param.shape, generator=generator, dtype=torch.float64)
                param.data.add_(noise.to(param.device, param.dtype), alpha=size)

        with _registering(disturb), _initialising(disturb, cls or self.cls):
            return self.build()

    def inputs(self, seed: int, dtype: torch.dtype | None = None) -> tuple[Any, Any]:
        """The positional and keyword arguments that belong to `seed`."""
        wide = dtype or self.dtype
        fed: tuple[Any, Any] = synthesis.make_inputs(self.recipe, self.seed + seed, dtype=wide)
        if self.recipe.draws_only and self.device == "cpu" and wide is None:
            return fed
        as_complex = None if wide is None else complex_of(wide)
        placed: tuple[Any, Any] = _placed(fed, self.device, as_complex)
        return placed

    def given(self, seed: int, dtype: torch.dtype | None = None) -> tuple[Any, Any]:
        """The same as `inputs`, of which small ones are drawn only once."""
        if not self.recipe.draws_only:
            return self.inputs(seed, dtype)
        with Untraced():
            return self._drawn_once(seed, dtype)

    def _drawn_once(self, seed: int, dtype: torch.dtype | None) -> tuple[Any, Any]:
        key = (seed, dtype or self.dtype)
        if key in self._fed:
            args, kwargs = self._fed[key]
            return tuple(map(_copy, args)), {name: _copy(value) for name, value in kwargs.items()}
        args, kwargs = given = self.inputs(seed, dtype)
        if sum(tensor.numel() for _, tensor in flattened(given)) <= _SMALL:
            kept = {name: _kept(value) for name, value in kwargs.items()}
            self._fed[key] = tuple(map(_kept, args)), kept
        return given

    def run(self, module: nn.Module, inputs: tuple[Any, Any], seed: int) -> Run:
        """Call the model with the generators seeded."""
        args, kwargs = inputs
        reseed(self.seed + seed)
        if self.reference is None:
            returned = synthesis.call(module, args, kwargs)
        else:
            self.reference.called(module)
            try:
                returned = synthesis.call(module, args, kwargs)
            finally:
                self.reference.returned()
        with Untraced():
            outputs = synthesis.flatten_tensors(returned)
            loss = projected_loss(outputs, LOSS_SEED)
            return Run(inputs, outputs, without_tensors(returned), loss)

    def call(self, module: nn.Module, seed: int, dtype: torch.dtype | None = None) -> Run:
        """Call the model on the inputs that belong to `seed`."""
        return self.run(module, self.given(seed, dtype), seed)


class _Kept(NamedTuple):
    tensor: Tensor
    is_leaf: bool


def _kept(value: Any) -> Any:
    """A copy of a tensor and whether it is a leaf that gets a gradient; any other value as it is."""
    return _Kept(value.detach().clone(), value.requires_grad) if isinstance(value, Tensor) else value


def _copy(kept: Any) -> Any:
    """A tensor of one's own like the one that was kept, made without what cuts a graph."""
    return kept.tensor.clone().requires_grad_(kept.is_leaf) if isinstance(kept, _Kept) else kept


def flattened(inputs: tuple[Any, Any]) -> Named:
    """The tensors among arguments, with their paths."""
    args, kwargs = inputs
    found: Named = synthesis.flatten_tensors([list(args), dict(kwargs)])
    return found


def complex_of(dtype: torch.dtype) -> torch.dtype:
    """The complex numbers that are as precise as `dtype`."""
    return torch.complex128 if dtype == torch.float64 else torch.complex64


def converted(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Change the precision of a model in place; `Module.to` would drop imaginary parts."""

    def convert(tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            return tensor.to(complex_of(dtype))
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    module._apply(convert)  # type: ignore[no-untyped-call]
    return module


def _placed(value: Any, device: str, as_complex: torch.dtype | None) -> Any:
    """The same arguments on a device, complex tensors as precise as asked for; leaves stay leaves."""
    if isinstance(value, Tensor):
        dtype = as_complex if as_complex is not None and value.is_complex() else value.dtype
        if value.device.type == device and value.dtype == dtype:
            return value
        return value.detach().to(device, dtype).requires_grad_(value.requires_grad)
    if isinstance(value, nn.Module):
        return value if device == "cpu" else value.to(device)
    if type(value) in (tuple, list):
        return type(value)(_placed(item, device, as_complex) for item in value)
    if type(value) is dict:
        return {key: _placed(item, device, as_complex) for key, item in value.items()}
    return value


@contextmanager
def _built_in(dtype: torch.dtype | None) -> Iterator[None]:
    """Let models that are built inside have this precision from the start, unless it is None.

    What `__init__` computes with its parameters is then computed in it too.
    """
    if dtype is None:
        yield
        return

    def widen(param: nn.Parameter) -> None:
        if _has_values(param):
            param.data = param.data.to(complex_of(dtype) if param.is_complex() else dtype)

    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with _registering(widen):
            yield
    finally:
        torch.set_default_dtype(previous)


@contextmanager
def _registering(change: Callable[[nn.Parameter], None]) -> Iterator[None]:
    """Change every parameter that is registered inside, before it is."""
    original = nn.Module.register_parameter

    def register(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None:
            change(param)
        original(self, name, param)

    nn.Module.register_parameter = register  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]


@contextmanager
def _initialising(change: Callable[[nn.Parameter], None], cls: type[nn.Module]) -> Iterator[None]:
    """Change what `torch.nn.init` gives values while a `cls` is built: layers do that after registering."""
    originals = {
        name: function
        for name, function in vars(nn.init).items()
        if callable(function) and name.endswith("_") and not name.startswith("_")
    }

    def changing(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def initialise(*args: Any, **kwargs: Any) -> Any:
            returned = function(*args, **kwargs)
            if isinstance(returned, nn.Parameter) and _under_construction(cls):
                with torch.no_grad():
                    change(returned)
            return returned

        return initialise

    for name, function in originals.items():
        setattr(nn.init, name, changing(function))
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(nn.init, name, function)


def _under_construction(cls: type[nn.Module]) -> bool:
    """Whether the code that runs was called by the constructor of a `cls`."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        names = frame.f_code.co_varnames
        if frame.f_code.co_name == "__init__" and names and isinstance(frame.f_locals.get(names[0]), cls):
            return True
        frame = frame.f_back
    return False


def _has_values(param: Any) -> bool:
    if nn.parameter.is_lazy(param) or param.device.type == "meta":
        return False
    return bool(param.is_floating_point() or param.is_complex())


def gradients(named: Named) -> list[Any]:
    """The gradients under their names, None where there is none."""
    return [(name, tensor.grad) for name, tensor in named if tensor.requires_grad]
