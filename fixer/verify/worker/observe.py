"""Writing down what a run does, so that two runs can be compared bit for bit.

An entry is ``(check, detail, value)``. Values are tensors, plain data, a `digest` of a tensor that is not
kept, or ``{"works": bool}`` for abilities that a fix may add but not take away.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import inspect
import random
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    Entry = tuple[str, str, Any]
    Named = list[tuple[str, Tensor]]

KEPT_BYTES = 24 * 2**20
"""Tensors beyond this much in one record are kept as digests or samples."""
DIGEST = "digest"
"""What the digest of a tensor starts with."""
_SAMPLE = 512
_SMALL = 1024
_LARGE = 1 << 15
_DEPTH = 6
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_NESTING = 200


class Recorder:
    """A list of entries in the order in which they were observed.

    A `brief` one keeps digests instead of tensors: enough to tell whether two records are the same.
    """

    def __init__(self, exact: bool = True, brief: bool = False) -> None:
        self.entries: list[Entry] = []
        self._room = KEPT_BYTES
        self._exact = exact
        self._brief = brief

    def note(self, check: str, detail: str, value: Any, whole: bool = False) -> None:
        """Add one entry; a tensor is copied, so that later changes do not reach it.

        One that has to be there as a `whole` is kept whatever its size.
        """
        kept = self._kept(value, whole) if isinstance(value, Tensor) else value
        self.entries.append((check, detail, kept))

    def note_all(self, check: str, what: str, tensors: Iterable[tuple[str, Tensor | None]]) -> None:
        """Add one entry for each named tensor; None stays None."""
        for name, tensor in tensors:
            self.note(check, f"{what} {name}", tensor)

    def note_error(self, check: str, error: BaseException) -> None:
        """Add that the check raised; the type must agree, the words need not."""
        self.note(check, "raises", type(error).__name__)

    def note_works(self, check: str, detail: str, works: bool) -> None:
        """Add an ability that a fix may add but not take away."""
        self.note(check, detail, {"works": works})

    def mark(self) -> tuple[int, int]:
        """Where the record stands, for `rewind`."""
        return len(self.entries), self._room

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget what was noted since and the room it took: both sides have to keep the same tensors."""
        count, self._room = mark
        del self.entries[count:]

    def _kept(self, tensor: Tensor, whole: bool) -> Any:
        is_brief = self._brief and not whole
        is_plain = tensor.layout == torch.strided and tensor.is_cpu and tensor.is_contiguous()
        if is_brief and is_plain and not (tensor.is_conj() or tensor.is_neg()):
            return digest(tensor)  # as nearly all are
        plain = tensor.detach()
        if plain.layout != torch.strided:
            plain = plain.to_dense()
        if is_brief:
            return digest(plain.to("cpu").resolve_conj().resolve_neg().contiguous())
        if plain.device.type == "cpu" and not (plain.is_conj() or plain.is_neg()):
            plain = plain.clone(memory_format=torch.contiguous_format)
        else:
            plain = plain.to("cpu", copy=True).resolve_conj().resolve_neg().contiguous()
        size = plain.numel() * plain.element_size()
        if size > max(self._room, _SMALL) and not whole:
            # Digests of tensors that differ in their last bits have nothing in common; samples do.
            return digest(plain) if self._exact else plain.flatten()[:: 1 + plain.numel() // _SAMPLE].clone()
        self._room -= size
        return plain


def digest(tensor: Tensor) -> list[Any]:
    """The dtype, the shape and a hash of the bytes of a contiguous tensor, as plain data."""
    size = tensor.numel() * tensor.element_size()
    if size <= _LARGE:
        data: Any = ctypes.string_at(tensor.data_ptr(), size) if size else b""
    else:
        data = (ctypes.c_char * size).from_address(tensor.data_ptr())
    hashed = hashlib.blake2b(data, digest_size=16).hexdigest()
    return [DIGEST, str(tensor.dtype), list(tensor.shape), hashed]


def without_tensors(value: Any, depth: int = 0) -> Any:
    """A value as plain data: numbers and texts as they are written, containers, and the types of the rest."""
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return repr(value)
    if depth < _DEPTH and isinstance(value, (list, tuple)):
        return [type(value).__name__, *(without_tensors(item, depth + 1) for item in value)]
    if depth < _DEPTH and isinstance(value, dict):
        return ["dict", *([str(key), without_tensors(item, depth + 1)] for key, item in value.items())]
    plain = not isinstance(value, (type, Tensor, nn.Module)) and not callable(value)
    if depth < _DEPTH and plain and getattr(value, "__dict__", None):  # a dataclass, a namespace
        held = sorted(vars(value).items())
        return [type(value).__name__, *([key, without_tensors(item, depth + 1)] for key, item in held)]
    return type(value).__name__


def defaults(cls: type) -> list[Any]:
    """What is left out by callers of a class's constructor and of its `forward`, as plain data.

    A constructor that passes on all that it is given has none of its own.
    """
    found: list[Any] = []
    for name in ("__init__", "forward"):
        methods = (vars(ancestor)[name] for ancestor in cls.__mro__ if name in vars(ancestor))
        signatures = (_signature(method) for method in methods)
        found += [
            [f"{argument.name} of {name}", without_tensors(argument.default)]
            for argument in next((arguments for arguments in signatures if arguments is not None), ())
            if argument.default is not inspect.Parameter.empty
        ]
    return found


def _signature(method: Any) -> list[inspect.Parameter] | None:
    """The arguments of a method beside the first; None if it passes on whatever it gets."""
    try:
        arguments = list(inspect.signature(method).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    collecting = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return None if arguments and all(one.kind in collecting for one in arguments) else arguments


def error_facts(error: BaseException) -> dict[str, Any]:
    """An exception as plain data; the innermost frame comes last."""
    frames = [[f.filename, f.lineno, f.name] for f in traceback.extract_tb(error.__traceback__)]
    facts: dict[str, Any] = {"type": type(error).__name__, "message": first_line(error), "frames": frames}
    if error.__cause__ is not None:
        facts["cause"] = error_facts(error.__cause__)
    elif error.__context__ is not None and first_line(error.__context__)[:80] in facts["message"]:
        facts["cause"] = error_facts(error.__context__)  # it passes the words of another on
    return facts


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, cut to a readable length."""
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def reseed(seed: int) -> None:
    """Seed every generator that a model is likely to use."""
    random.seed(seed)
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` takes ten times as long: accelerators
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def drawn() -> str:
    """What the generators give next, in few letters: equal where as many numbers were drawn before.

    This draws them; whoever calls a model after it seeds the generators anew.
    """
    number = torch.empty((), dtype=torch.int64, device="cpu").random_()
    found = [f"{int(number):x}", f"{random.getrandbits(64):x}"]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        found.append(float(numpy.random.random()).hex())
    for state in _accelerators():
        given = ctypes.string_at(state.data_ptr(), state.numel())
        found.append(hashlib.blake2b(given, digest_size=8).hexdigest())
    return " ".join(found)


def _accelerators() -> list[Tensor]:
    initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.get_rng_state_all() if initialised else []


def settings() -> list[Any]:
    """What torch is set to for everybody."""
    return [str(torch.get_default_dtype()), torch.is_grad_enabled(), torch.is_autocast_enabled()]


def small(named: Named) -> Named:
    """Those that are quick to note."""
    return [(name, tensor) for name, tensor in named if tensor.numel() <= _LARGE]


def parameters(module: nn.Module) -> Named:
    """Every parameter under every name it has."""
    if type(module).named_parameters is not nn.Module.named_parameters:
        return list(module.named_parameters(remove_duplicate=False))
    return _held(module, "_parameters")


def buffers(module: nn.Module) -> Named:
    """Every buffer under every name it has."""
    if type(module).named_buffers is not nn.Module.named_buffers:
        return list(module.named_buffers(remove_duplicate=False))
    return _held(module, "_buffers")


def _held(module: nn.Module, slots: str) -> Named:
    """What torch's own methods give, which take ten times as long for it."""
    found: Named = []
    waiting: list[tuple[str, Any, int]] = [("", module, 0)]
    while waiting:
        prefix, owner, depth = waiting.pop()
        if depth > _NESTING:
            raise RecursionError("a module contains itself")
        held = vars(owner)
        for name, tensor in held[slots].items():
            if tensor is not None:
                found.append((prefix + name, tensor))
        inner = held["_modules"]
        if inner:
            waiting += [(f"{prefix}{n}.", m, depth + 1) for n, m in reversed(inner.items()) if m is not None]
    return found


def state(module: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter and buffer, persistent or not."""
    return {name: tensor.detach().clone() for name, tensor in parameters(module) + buffers(module)}


@torch.no_grad()
def restore(module: nn.Module, saved: dict[str, Tensor]) -> None:
    """Write a `state` back in place, keeping every object and storage."""
    for name, tensor in parameters(module) + buffers(module):
        if name in saved:
            tensor.data.copy_(saved[name])


def note_structure(recorder: Recorder, check: str, module: nn.Module) -> None:
    """Note names, shapes, places, trainability, sharing, persistence and hooks of what the module holds."""
    named = parameters(module)
    recorder.note(check, "parameters", [[n, *_form(p), p.requires_grad] for n, p in named])
    recorder.note(check, "buffers", [[n, *_form(b)] for n, b in buffers(module)])
    recorder.note(check, "state_dict keys", list(module.state_dict()))
    recorder.note(check, "shared parameters", shared_names(named))
    recorder.note(check, "submodules", [[name, m.training] for name, m in module.named_modules()])
    hooks = {name: [len(getattr(m, kind)) for kind in _HOOKS] for name, m in module.named_modules()}
    recorder.note(check, "hooks around calls", [[n, *counts] for n, counts in hooks.items() if any(counts)])


def _form(tensor: Tensor) -> list[Any]:
    return [list(tensor.shape), str(tensor.dtype), tensor.device.type]


def shared_names(named: Sequence[tuple[str, Tensor]]) -> list[list[str]]:
    """Groups of names that stand for one and the same tensor."""
    groups: dict[int, list[str]] = {}
    for name, tensor in named:
        groups.setdefault(id(tensor), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def projected_loss(outputs: Named, seed: int) -> Tensor | None:
    """A fixed random projection of every floating-point output: a plain sum would hide errors that cancel."""
    total: Tensor | None = None
    for index, (_, output) in enumerate(outputs):
        if output.layout != torch.strided or not (output.is_floating_point() or output.is_complex()):
            continue
        real = torch.view_as_real(output) if output.is_complex() else output
        real = real.float() if real.dtype in (torch.float16, torch.bfloat16) else real  # sums overflow there
        term = (real * _weights(real.shape, seed + index, real.device, real.dtype)).sum()
        total = term if total is None else total + term
    return total


@functools.lru_cache(maxsize=16)
def _weights(shape: torch.Size, seed: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn /= max(1, drawn.numel()) ** 0.5  # the sum is as large for large outputs as for small ones
    return drawn.to(device=device, dtype=dtype)
