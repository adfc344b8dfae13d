"""Turns the failure of a forward call into inputs worth trying next.

Every step has the same shape: it takes the failure, the inputs and the `Probe`, and yields other inputs.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import arguments, inputs, mismatch, names, shapes, specs

if TYPE_CHECKING:
    import inspect

    from .arguments import Context
    from .probing import Failure
    from .specs import Path, Spec, State

_SIDES = (32, 64, 28, 8, 128, 224, 48, 96, 256, 299)


class Probe:
    """What is being called: the module (or function), its parameters, and the tensors of each attempt."""

    def __init__(self, owner: Any, function: Callable[..., Any], context: Context) -> None:
        self.owner = owner
        self.function = function
        self.context = context
        self.parameters = inputs.forward_parameters(function)
        self._guesses: dict[str, list[Spec]] = {}
        self.tensors: dict[str, dict[Path, torch.Tensor]] = {}

    def parameter(self, name: str) -> inspect.Parameter | None:
        """Return the parameter of that name."""
        return next((item for item in self.parameters if item.name == name), None)

    def guesses(self, name: str) -> list[Spec]:
        """Return what an argument may be, best guess first."""
        parameter = self.parameter(name)
        if name not in self._guesses:
            self._guesses[name] = (
                inputs.guesses(parameter, self.function, self.owner, self.context) if parameter else []
            )
        return self._guesses[name]

    def made(self, state: State) -> dict[Path, torch.Tensor]:
        """Return the tensors that the attempt with these inputs used."""
        return self.tensors.get(json.dumps(state, sort_keys=True), {})


def repairs(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    """Yield inputs to try after a failure, likeliest first."""
    for step in _STEPS:
        yield from step(failure, state, probe)


def _tensors(state: State) -> list[tuple[Path, Spec]]:
    return [
        (path, spec)
        for name in state
        for path, spec in specs.leaves(state[name], (name,))
        if specs.is_tensor(spec)
    ]


def _suspects(failure: Failure, state: State, probe: Probe) -> list[tuple[Path, Spec]]:
    """Return the tensors that flowed into the failing call first, then the others."""
    made = probe.made(state)
    known = {id(value): path for path, value in made.items()}
    ordered: dict[Path, None] = {}
    for frame in reversed(failure.frames):
        values = [value for value in list(frame.scope.values()) if isinstance(value, torch.Tensor)]
        statement = (
            probe.context.sources.statement(frame.filename, frame.line)
            if frame in failure.own_frames
            else None
        )
        if statement is not None:
            named = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            values = [
                value
                for name, value in list(frame.scope.items())
                if name in named and isinstance(value, torch.Tensor)
            ]
        for value in values:
            for path in mismatch.sources_of(value, known):
                ordered.setdefault(path)
        if statement is not None and ordered:
            break
    everything = dict(_tensors(state))
    return list({path: everything[path] for path in [*ordered, *everything] if path in everything}.items())


def _missing_argument(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    match = re.search(r"missing \d+ required .*?arguments?: (.*)", failure.message)
    for name in re.findall(r"'(\w+)'", match[1]) if match else ():
        for spec in probe.guesses(name)[:4]:
            if spec != arguments.ABSENT:
                yield {**state, name: spec}


def _expected_by_layer(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    """A layer that refused an input as it came says itself what it takes."""
    known = {id(value): path for path, value in probe.made(state).items()}
    for frame in reversed(failure.frames):
        layer = frame.scope.get("self")
        spec = shapes.expected(layer) if isinstance(layer, nn.Module) else None
        if spec is None:
            continue
        for value in list(frame.scope.values()):
            if isinstance(value, torch.Tensor) and id(value) in known:
                path = known[id(value)]
                old = specs.at(state, path)
                if old["dtype"] != spec["dtype"] or len(old["shape"]) != len(spec["shape"]):
                    yield specs.replaced(state, path, spec)
                yield specs.replaced(
                    state, path, {**spec, "shape": _with_features(old["shape"], spec["shape"])}
                )


def _with_features(shape: list[int], wanted: list[int]) -> list[int]:
    axis = shapes.feature_axis(len(wanted))
    if len(shape) < len(wanted):
        return wanted
    place = axis - len(wanted) if len(wanted) <= 3 else 1
    changed = list(shape)
    changed[place] = wanted[axis]
    return changed


_DTYPES: tuple[tuple[str, str], ...] = (
    (r"indices' to have .*scalar types: Long", "int64"),
    (
        r"used as indices must be long|must be long, (int, )?byte|index tensor|Expected dtype int64|expected .*int64",
        "int64",
    ),
    (
        r"expected scalar type Long but found|Expected object of scalar type Long|only applicable to index tensor|expected target.*Long",
        "int64",
    ),
    (
        r"one_hot|expected torch.LongTensor|\"bitwise|nll_loss.*not implemented for 'Float'|not implemented for 'Int'|index\w*\(\): Expected",
        "int64",
    ),
    (
        r"expected scalar type (Float|Half|Double)|must have the same dtype|have the same dtype|should be the same|not implemented for '(Long|Bool|Int)'"
        r"|can't be cast|Could not infer dtype|floating point|expected a float|must be a float|Expected.*[Ff]loat|dtypes? .*[Ff]loat"
        r"|subtraction, the `-` operator|on a bool tensor",
        "float32",
    ),
    (
        r"must be bool|[Ee]xpected.*bool|not implemented for 'Float'|masked_fill.* only supports bool|torch.bool",
        "bool",
    ),
    (r"complex|ComplexFloat|Expected.*[Cc]omplex", "complex64"),
)


def _wrong_dtype(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    for pattern, dtype in _DTYPES:
        if not re.search(pattern, failure.message):
            continue
        for path, spec in _suspects(failure, state, probe):
            if spec["dtype"] != dtype:
                yield specs.replaced(state, path, as_dtype(spec, dtype))
                if dtype == "int64" and len(spec["shape"]) > 1:
                    yield specs.replaced(state, path, as_dtype({**spec, "shape": spec["shape"][:-1]}, dtype))


def as_dtype(spec: Spec, dtype: str) -> Spec:
    """Return the spec with another element type; integers stay below 2."""
    low, high = (0, 2) if dtype in ("int64", "bool") else (None, None)
    return specs.tensor(spec["shape"], dtype, low, high)


def _wrong_rank(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    wanted = mismatch.ranks(failure.message)
    for rank in wanted:
        for path, spec in _suspects(failure, state, probe):
            if len(spec["shape"]) != rank:
                yield specs.replaced(state, path, shapes.reranked(spec, rank))
    if wanted and not re.search(r"[Ee]xpected", failure.message):
        ranks = {len(spec["shape"]) for _, spec in _tensors(state)}
        for change in (1, -1, 2):
            for path, spec in _suspects(failure, state, probe):
                rank = len(spec["shape"]) + change
                if 0 < rank <= 5 and rank not in ranks:
                    yield specs.replaced(state, path, shapes.reranked(spec, rank))


def _wrong_size(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    pairs = list(dict.fromkeys(mismatch.sizes(failure, probe.context.sources)))[:8]
    suspects = _suspects(failure, state, probe)
    for seen, wanted in pairs:
        for path, spec in suspects:
            for axis in _axes(spec):
                if spec["shape"][axis] == seen and wanted > 0:
                    yield _resized(state, path, axis, wanted)
    for seen, wanted in pairs:
        for path, spec in suspects:
            for axis in _axes(spec):
                size = spec["shape"][axis]
                scaled = size * wanted / max(seen, 1)
                for other in {scaled, size + wanted - seen} - {size}:
                    if other == int(other) and 0 < other <= 4096:
                        yield _resized(state, path, axis, int(other))
        yield from _resized_sides(state, suspects, wanted / max(seen, 1))


def _axes(spec: Spec) -> list[int]:
    """Return the axes of a tensor, features first and the batch last."""
    rank = len(spec["shape"])
    order = [shapes.feature_axis(rank), *range(rank - 1, 0, -1), 0] if rank else []
    return list(dict.fromkeys(order))


def _resized(state: State, path: Path, axis: int, size: int) -> State:
    spec = specs.at(state, path)
    shape = list(spec["shape"])
    shape[axis] = size
    return specs.replaced(state, path, {**spec, "shape": shape})


def _resized_sides(state: State, suspects: list[tuple[Path, Spec]], ratio: float) -> Iterator[State]:
    """Yield images (and signals) of other sides, first the one whose area has the ratio that is asked for."""
    for path, spec in suspects:
        shape = spec["shape"]
        if len(shape) < 3:
            continue
        start = 2
        side = shape[-1]
        fitting = round(side * ratio ** (1 / (len(shape) - start)))
        for other in dict.fromkeys((fitting, *_SIDES)):
            if (
                0 < other <= 512
                and other != side
                and math.prod(shape[:start]) * other ** (len(shape) - start) <= 2_000_000
            ):
                yield specs.replaced(
                    state, path, {**spec, "shape": [*shape[:start], *[other] * (len(shape) - start)]}
                )


def _wrong_volume(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    volume = mismatch.wanted_volume(failure.message)
    if volume is None:
        return
    seen, wanted = volume
    suspects = _suspects(failure, state, probe)
    for path, spec in suspects:
        for axis in _axes(spec):
            size = spec["shape"][axis]
            others = [size * wanted // math.gcd(seen, wanted), wanted]
            for other in dict.fromkeys((size * wanted // seen if size * wanted % seen == 0 else 0, *others)):
                if 0 < other <= 1024 and other != size:
                    yield _resized(state, path, axis, other)
        if len(spec["shape"]) > 1 and spec["shape"][1:] != [wanted]:
            yield specs.replaced(state, path, {**spec, "shape": [spec["shape"][0], wanted]})
    yield from _resized_sides(state, suspects, wanted / seen)


def _out_of_range(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    if not re.search(
        r"out of (range|bounds)|index \d+|Class values must be|device-side|less than", failure.message
    ):
        return
    suspects = [
        (path, spec) for path, spec in _suspects(failure, state, probe) if spec["dtype"] in ("int64", "int32")
    ]
    for high in (2, 1):
        for path, spec in suspects:
            if spec["high"] > high:
                yield specs.replaced(state, path, {**spec, "low": 0, "high": high})
    match = re.search(r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)", failure.message)
    if match:
        for path, spec in _suspects(failure, state, probe):
            for axis in _axes(spec):
                if spec["shape"][axis] == int(match[3]):
                    yield _resized(state, path, axis, abs(int(match[1])) + 1)


def _too_small(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    pattern = (
        r"[Kk]ernel size|[Oo]utput size|too small|[Pp]adding size should be less|more than 1 (value|spatial)"
        r"|non-zero size|maximum size for tensor|at least|non-empty|greater than|Unfold|step must be"
    )
    if not re.search(pattern, failure.message):
        return
    suspects = _suspects(failure, state, probe)
    for path, spec in suspects:
        rank = len(spec["shape"])
        if rank == 3:
            for size in (16, 64, 256, 1024):
                yield _resized(state, path, 2, size)
                yield _resized(state, path, 1, size)
        if rank == 2:
            yield _resized(state, path, 1, 4 * spec["shape"][1])
    yield from _resized_sides(state, suspects, 4.0)


_SCALARS = (
    r"only integer tensors of a single element|cannot be interpreted as an integer|integer argument|must be (an )?int"
    r"|Boolean value of Tensor|ambiguous|only one element tensors|a Tensor with \d+ elements cannot be converted|unhashable"
    r"|must be tuple of ints|must be a number|must be Number|must be float|must be bool|must be str"
)


def _not_a_tensor(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    if not re.search(_SCALARS, failure.message):
        return
    for name in _named_in_failure(failure, state, probe):
        if specs.is_tensor(state[name]):
            for value in (names.integer(name), False, True, 1, 2, 0.5):
                yield {**state, name: specs.literal(value)}
            yield {**state, name: specs.tensor([])}


def _named_in_failure(failure: Failure, state: State, probe: Probe) -> list[str]:
    """Return the arguments, those first that the failing line of the outermost frames names."""
    found: dict[str, None] = {}
    for frame in failure.own_frames[:1]:
        statement = probe.context.sources.statement(frame.filename, frame.line)
        names_there = (
            {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} if statement else set()
        )
        found.update((name, None) for name in state if name in names_there)
    return list({**found, **dict.fromkeys(state)})


def _wrong_container(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    """An object, a batch or a list where a tensor was given; an entry that a batch lacks."""
    error, message = failure.error, failure.message
    names_first = _named_in_failure(failure, state, probe)
    match = re.search(r"'Namespace' object has no attribute '(\w+)'", message)
    key = (
        match[1]
        if match
        else error.args[0]
        if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str)
        else None
    )
    if key is not None:
        for name in names_first:
            for path, spec in _namespaces(state[name], (name,)):
                if key not in spec["items"]:
                    for guess in _entry(key):
                        yield specs.replaced(state, (*path, key), guess)
        return
    attribute = re.search(r"'Tensor' object has no attribute '(\w+)'", message)
    text_key = re.search(
        r"got 'str'|only integers, slices .*indices|string indices|indices must be integers", message
    )
    if attribute or text_key:
        for name in names_first:
            if attribute and attribute[1] not in ("keys", "items", "values", "get"):
                yield {**state, name: specs.namespace({attribute[1]: _entry(attribute[1])[0]})}
            yield {**state, name: specs.namespace()}
    if re.search(
        r"must be (list|tuple)|tuple of Tensors|not 'Tensor'|not Tensor|expected .* (list|tuple)|has no attribute '(append|pop)'|sequence",
        message,
    ) or isinstance(error, IndexError):
        for name in names_first:
            if specs.is_tensor(state[name]):
                for count in (2, 3, 4):
                    yield {**state, name: specs.sequence("list", [state[name]] * count)}
    if re.search(
        r"'(list|tuple|int|bool|float|Namespace)' object|'(list|tuple)'|\b(list|tuple|int|bool|dict)\b",
        message,
    ):
        for name in names_first:
            if not specs.is_tensor(state[name]):
                yield from ({**state, name: spec} for spec in probe.guesses(name) if specs.is_tensor(spec))


def _namespaces(spec: Spec, path: Path) -> Iterator[tuple[Path, Spec]]:
    if spec["kind"] == "namespace":
        yield path, spec
        for key, item in spec["items"].items():
            yield from _namespaces(item, (*path, key))


def _entry(key: str) -> list[Spec]:
    return [
        *inputs.by_name(key),
        specs.tensor(shapes.plain(2)),
        specs.tensor(shapes.plain(3)),
        specs.tensor(shapes.plain(4)),
    ]


def _none_given(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    """Something was None: give the arguments that were left out, those named in the failing line first."""
    if "None" not in failure.message:
        return
    absent = [
        item
        for item in probe.parameters
        if state.get(item.name, arguments.ABSENT) in (arguments.ABSENT, specs.literal(None))
    ]
    lines = failure.own_frames[:1] + failure.own_frames[-1:]
    named: set[str] = set()
    for frame in lines:
        statement = probe.context.sources.statement(frame.filename, frame.line)
        named |= (
            {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} if statement else set()
        )
    for parameter in sorted(absent, key=lambda item: item.name not in named):
        for spec in [
            spec
            for spec in probe.guesses(parameter.name)
            if spec != arguments.ABSENT and not specs.is_none(spec)
        ][:4]:
            yield {**state, parameter.name: spec}


def _alike(_failure: Failure, state: State, _probe: Probe) -> Iterator[State]:
    """Two inputs may have to agree: give one the shape of the other."""
    tensors = _tensors(state)
    for path, spec in tensors:
        for other, model in tensors:
            if other != path and spec["shape"] != model["shape"]:
                yield specs.replaced(state, path, {**spec, "shape": model["shape"]})


def _out_of_domain(failure: Failure, state: State, _probe: Probe) -> Iterator[State]:
    """Probabilities, positive numbers: try numbers between 0 and 1, then ones."""
    if not re.search(
        r"between 0 and 1|finite|nan|NaN|positive|simplex|constraint|Expected value|>= ?0|negative|support|not invertible|singular",
        failure.message,
    ):
        return
    for path, spec in _tensors(state):
        if specs.is_floating(spec) and "low" not in spec:
            yield specs.replaced(state, path, specs.tensor(spec["shape"], spec["dtype"], 0, 1))
    everything = state
    for path, spec in _tensors(state):
        if specs.is_floating(spec):
            everything = specs.replaced(everything, path, specs.tensor(spec["shape"], spec["dtype"], 0, 1))
    yield everything


def _too_long(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    """Lengths must not exceed the sequence, and must be sorted."""
    if not re.search(r"length", failure.message, re.IGNORECASE):
        return
    for path, spec in _tensors(state):
        if spec["dtype"] == "int64" and len(spec["shape"]) == 1:
            for high in (names.LENGTH, names.BATCH):
                yield specs.replaced(state, path, {**spec, "low": high, "high": high + 1})


def _other_rank_everywhere(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    for path, spec in _suspects(failure, state, probe):
        for rank in (2, 3, 4, 1, 5):
            if len(spec["shape"]) != rank:
                yield specs.replaced(state, path, shapes.reranked(spec, rank))


def _interesting_sizes(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    """Try the sizes that the failing objects hold as attributes, and those of their parameters."""
    owners = [frame.scope.get("self") for frame in reversed(failure.own_frames)] + [probe.owner]
    sizes: dict[int, None] = {}
    for owner in owners:
        held = list(getattr(owner, "__dict__", {}).values())
        sizes.update((value, None) for value in held if type(value) is int and 0 < value <= 1024)
        for value in held:
            if isinstance(value, (tuple, list)) and len(value) <= 4:
                sizes.update((item, None) for item in value if type(item) is int and 0 < item <= 1024)
        if isinstance(owner, nn.Module):
            for parameter in list(owner.parameters(recurse=False)) + list(owner.buffers(recurse=False)):
                sizes.update((size, None) for size in parameter.shape if size <= 1024)
    for path, spec in _suspects(failure, state, probe):
        for size in list(sizes)[:12]:
            for axis in _axes(spec):
                if spec["shape"][axis] != size:
                    yield _resized(state, path, axis, size)


def _other_guess(failure: Failure, state: State, probe: Probe) -> Iterator[State]:
    for name in _named_in_failure(failure, state, probe):
        for spec in probe.guesses(name):
            changed = {**state, name: spec}
            yield {key: item for key, item in changed.items() if item != arguments.ABSENT}


_STEPS: tuple[Callable[[Failure, State, Probe], Iterator[State]], ...] = (
    _missing_argument,
    _expected_by_layer,
    _not_a_tensor,
    _wrong_container,
    _wrong_dtype,
    _wrong_rank,
    _wrong_size,
    _wrong_volume,
    _out_of_range,
    _out_of_domain,
    _too_long,
    _too_small,
    _none_given,
    _alike,
    _other_guess,
    _other_rank_everywhere,
    _interesting_sizes,
)
