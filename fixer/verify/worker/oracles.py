"""The oracles that need no reference program: finite differences and forward-mode differentiation."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from .bench import Bench, Run, complex_of, converted, flattened
from .frames import Message
from .observe import first_line, parameters, restore, state


class _Precision(NamedTuple):
    dtype: torch.dtype
    steps: tuple[float, ...]
    agreement: float
    """Relative difference up to which a slope agrees with finite differences."""
    exactness: float
    """Relative difference up to which reverse and forward mode agree: both are exact but for rounding."""


_PRECISIONS = (
    _Precision(torch.float64, (1e-6, 1e-4), 1e-5, 1e-7),
    _Precision(torch.float32, (1e-2, 1e-3), 5e-2, 1e-2),  # for models that do not run in float64
)


def directional(bench: Bench, start: dict[str, Tensor] | None = None) -> Message:
    """Compare reverse mode with both oracles along random directions, from `start` if it is given.

    The answer says whether it `ran` (else the `reason`) and in which precision, whether they agree, all
    slopes, and where the model stops gradients on purpose. Forward mode keeps a slope under ``no_grad`` and
    loses it at a ``detach`` (torch 2.13), and some operators lack it: then finite differences stand alone.
    """
    answers = []
    for precision in _PRECISIONS:
        answers.append(_asked(bench, precision, start))
        if answers[-1]["ran"]:
            return answers[-1]
    return {"ran": False, "reason": "; ".join(answer["reason"] for answer in answers)}


def _asked(bench: Bench, precision: _Precision, start: dict[str, Tensor] | None) -> Message:
    try:
        return _Oracle(bench, precision, start).ask()
    except Exception as error:  # whatever the target's code raises here is a reason, not a failure
        reason = f"{_name(precision)}: {type(error).__name__}: {first_line(error)}"
        return {"ran": False, "reason": reason}


def _name(precision: _Precision) -> str:
    return str(precision.dtype).replace("torch.", "")


class _Oracle:
    """One instance of the model, in one precision."""

    def __init__(self, bench: Bench, precision: _Precision, start: dict[str, Tensor] | None) -> None:
        self._bench = bench
        self._precision = precision
        self._dtype = precision.dtype
        self._module = converted(bench.build(), precision.dtype)
        if start is not None:
            restore(self._module, start)

    def ask(self, points: int = 4) -> Message:
        """Try several points: a difference at one may be a kink (a ReLU at zero)."""
        found = self._mode_with_gradients()
        if found is None:
            return {"ran": False, "reason": "nothing in the output depends on a parameter or input"}
        mode, stops = found
        agreed = tried = 0
        facts: Message = {}
        while tried < points:
            facts = self._at_point(tried)
            facts.update(self._judged(facts, stops))
            tried += 1
            agreed += facts["expected_relative"] <= facts.pop("agreement")
            if 2 * agreed > tried:
                break
        return {
            "ran": True,
            "agrees": 2 * agreed > tried,
            "precision": _name(self._precision),
            "mode": mode,
            "points": tried,
            "stops": stops,
            **facts,
        }

    def _judged(self, facts: Message, stops: list[str]) -> Message:
        """Which oracle decides, and how far apart they are: without stops forward mode, free of kinks."""
        forward = facts["forward_mode"]
        if forward["ran"] and not stops:
            named = {"judge": "forward mode", "expected": forward["slope"]}
            return {**named, "expected_relative": forward["relative"], "agreement": self._precision.exactness}
        named = {"judge": "finite differences", "expected": facts["numeric"]}
        return {**named, "expected_relative": facts["relative"], "agreement": self._precision.agreement}

    def _mode_with_gradients(self) -> tuple[str, list[str]] | None:
        """The mode in which an output depends on something, which the model is then in, and what stops it.

        Raises what eval raised if neither mode runs.
        """
        saved = state(self._module)
        refused: Exception | None = None
        for mode in ("eval", "train"):
            self._module.train(mode == "train")
            try:
                inputs = self._bench.given(0, self._dtype)
                with _Cuts() as cuts:
                    run = self._bench.run(self._module, inputs, 0)
            except Exception as error:  # some layers first have to be trained
                refused = refused or error
                continue
            restore(self._module, saved)  # a projection in `forward` has put parameters in range
            if run.trainable:
                return mode, _stops(run, cuts.names)
        if refused is not None:
            raise refused
        return None

    def _at_point(self, point: int) -> Message:
        saved = state(self._module)
        jitter = torch.Generator().manual_seed(7_001 + point)
        with torch.no_grad():
            for _, parameter in parameters(self._module):
                if point and parameter.dtype in self._dtypes:
                    parameter.mul_(1 + 0.05 * _random_like(parameter, jitter))
        here = state(self._module) if point else saved
        fed = self._bench.inputs(point, self._dtype)
        leaves = self._leaves([tensor for _, tensor in parameters(self._module) + flattened(fed)])
        start = [leaf.detach().clone() for leaf in leaves]  # before the call, which may change them
        run = self._bench.run(self._module, fed, point)
        assert run.loss is not None
        slopes: Sequence[Tensor | None] = torch.autograd.grad(run.loss, leaves, allow_unused=True)
        directions = [_random_like(leaf, jitter) * max(1e-3, _size(leaf)) for leaf in leaves]
        terms = [(g.conj() * d).real for g, d in zip(slopes, directions) if g is not None]
        level = max(1.0, abs(float(run.loss.detach())))
        slope = sum(float(term.sum()) for term in terms)
        size = sum(float(term.abs().sum()) for term in terms)

        def loss_from(values: Iterator[Tensor]) -> Tensor:
            """The loss with other values in the very tensors that the model holds."""
            restore(self._module, here)
            with torch.no_grad():
                for leaf, given in zip(leaves, values):
                    leaf.copy_(given)
            loss = self._bench.run(self._module, fed, point).loss
            assert loss is not None
            return loss

        def value(step: float) -> float:
            moved = (origin + step * direction for origin, direction in zip(start, directions))
            return float(loss_from(moved).detach())

        def tangent() -> float:
            ad: Any = forward_ad  # it has no types
            with _forward_mode() as level:
                pairs = zip(start, directions)
                duals = (torch._VF._make_dual(o.clone(), d, level=level) for o, d in pairs)
                found = ad.unpack_dual(loss_from(duals)).tangent
                return 0.0 if found is None else float(found.detach())

        def forward_mode() -> Message:
            try:
                found = _with_formulas(tangent)
            except Exception as error:
                return {"ran": False, "reason": f"{type(error).__name__}: {first_line(error)}"}
            scale = max(abs(found), abs(slope), 1e-3 * size, 1e-12)
            return {"ran": True, "slope": found, "relative": abs(found - slope) / scale}

        best: Message = {}
        for step in self._precision.steps:
            numeric = (value(step) - value(-step)) / (2 * step)
            noise = 4 * torch.finfo(self._dtype).eps * level / step
            gap = max(0.0, abs(numeric - slope) - noise)
            relative = gap / max(abs(numeric), abs(slope), 1e-3 * size, 1e-12)
            if not best or relative < best["relative"]:
                best = {"autograd": slope, "numeric": numeric, "relative": relative, "epsilon": step}
            if relative <= self._precision.agreement:
                break
        best["forward_mode"] = forward_mode()
        restore(self._module, saved)
        return best

    def _leaves(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        unique = {id(t): t for t in tensors if t.requires_grad and t.is_leaf and t.dtype in self._dtypes}
        return list(unique.values())

    @property
    def _dtypes(self) -> tuple[torch.dtype, torch.dtype]:
        return self._dtype, complex_of(self._dtype)


@contextmanager
def _forward_mode() -> Iterator[int]:
    """Carry slopes along with values; attention runs as matrix products, for its fused kernel cannot."""
    settings: Any = torch.backends.cuda
    enabled = settings.flash_sdp_enabled()
    settings.enable_flash_sdp(False)
    try:
        with forward_ad.dual_level() as level:
            yield level
    finally:
        settings.enable_flash_sdp(enabled)


def _with_formulas(slope: Callable[[], float]) -> float:
    """What `slope` gives, with torch's formulas in Python if an operator has no other.

    `make_dual` always loads them, which takes 0.4 s; in torch 2.13 only models that differentiate something
    in their forward, a softmax or a normalisation, need them.
    """
    try:
        return slope()
    except NotImplementedError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch compiles some formulas in a way that it deprecates
            importlib.import_module("torch._decomp.decompositions_for_jvp")
        return slope()


def prepare() -> None:
    """Import what carrying slopes along imports the first time."""
    ad: Any = forward_ad
    with _forward_mode() as level:
        carried = torch._VF._make_dual(torch.zeros(1), torch.zeros(1), level=level)
        ad.unpack_dual(carried * torch.zeros(1))


def _random_like(tensor: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype).to(tensor.device)


def _size(tensor: Tensor) -> float:
    """The root mean square of a tensor's entries."""
    return float(tensor.detach().abs().square().mean().sqrt()) if tensor.numel() else 0.0


def _stops(run: Run, cuts: list[str]) -> list[str]:
    """The operations by which the model keeps gradients from flowing where its values flow."""
    found = set(cuts)
    seen: set[Any] = set()
    waiting: list[Any] = [output.grad_fn for _, output in run.outputs]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            found.add(type(node).__name__)
        waiting += [following for following, _ in node.next_functions]
    return sorted(found)


class _Cuts(TorchFunctionMode):
    """Notes every detach and every look at ``.data``."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let the call through; note its name if it cuts the graph."""
        if func in _CUTTING:
            self.names.append(_CUTTING[func])
        elif any(isinstance(a, Tensor) and a.requires_grad for a in args) and not torch.is_grad_enabled():
            self.names.append("no_grad")
        return func(*args, **(kwargs or {}))


_DATA: Any = Tensor.data  # a property of the class
_CUTTING = {Tensor.detach: "detach", Tensor.detach_: "detach_", _DATA.__get__: "data"}
