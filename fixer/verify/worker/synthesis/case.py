"""One failed call with everything that repairing it may ask about."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from typing import TYPE_CHECKING, Any

import torch

from . import inputs, looped, mismatch, signatures, specs
from .delegation import delegate

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable

    from .arguments import Context
    from .probing import Failure
    from .repair_arguments import Plan
    from .specs import Path, Spec, State

_GUESSES = 24


class Probe:
    """What is being called: the module (or function), its parameters, and the guesses for them."""

    def __init__(self, owner: Any, function: Callable[..., Any], context: Context) -> None:
        self.owner = owner
        self.function = function
        self.context = context
        self._reads = delegate(function, context.sources)
        """What uses the inputs: another method where `forward` hands on all that it takes."""
        self.parameters = inputs.forward_parameters(self._reads)
        self.values: dict[str, Any] = {}
        """The plain values that the owner was built with, its defaults included, by their names."""
        self.numbers: list[int] = []
        """The numbers that the owner was built with, its defaults included."""
        self.sides: list[list[int]] = []
        """Those of them that say how long, high or wide the input is; several together where a list does."""
        self.takes_any_name = any(
            item.kind is item.VAR_KEYWORD for item in signatures.parameters_of(function)
        )
        self._by_name: dict[str, inspect.Parameter] = {item.name: item for item in self.parameters}
        self._guesses: dict[str, list[Spec]] = {}

    def guesses(self, name: str) -> list[Spec]:
        """Return what an argument may be, best guess first."""
        if name not in self._by_name:
            return []
        if name not in self._guesses:
            owner = getattr(self._reads, "__self__", self.owner)
            asked = (self._by_name[name], self._reads, owner, self.context)
            found = itertools.chain(looped.guesses(*asked), inputs.guesses(*asked))
            self._guesses[name] = list(itertools.islice(found, _GUESSES))
        return self._guesses[name]


class Case:
    """A failure, the inputs that it came from, and what is known about both."""

    def __init__(self, failure: Failure, state: State, probe: Probe | Plan) -> None:
        self.failure = failure
        self.message = failure.text
        self.state = state
        self.probe = probe

    @functools.cached_property
    def tensors(self) -> dict[Path, Spec]:
        """The tensors among the inputs."""
        found = (leaf for name in self.state for leaf in specs.leaves(self.state[name], (name,)))
        return {path: spec for path, spec in found if specs.is_tensor(spec)}

    @property
    def suspects(self) -> list[tuple[Path, Spec]]:
        """The tensors among the inputs: those that flowed into the failing call first."""
        return [(path, self.tensors[path]) for path in dict.fromkeys([*self.involved, *self.tensors])]

    @functools.cached_property
    def involved(self) -> list[Path]:
        """The tensors among the inputs that flowed into the failing call."""
        known = {id(value): path for path, value in self.failure.tensors.items()}
        own = {id(frame) for frame in self.failure.own_frames}
        ordered: dict[Path, None] = {}
        for frame in reversed(self.failure.frames):
            names = self._names_at(frame.filename, frame.line) if id(frame) in own else None
            for name, value in list(frame.scope.items()):
                if isinstance(value, torch.Tensor) and (names is None or name in names):
                    ordered.update((path, None) for path in mismatch.origins(value, known))
            if names is not None and ordered:
                break
        return [path for path in ordered if path in self.tensors]

    @functools.cached_property
    def blamed(self) -> list[str]:
        """The names of the arguments: those that the failing line of the called function names first."""
        return sorted(self.state, key=lambda name: name not in self._named_here)

    def is_named(self, name: str) -> bool:
        """Whether the message names an argument."""
        return re.search(rf"\b{re.escape(name)}\b", self.failure.message) is not None

    @functools.cached_property
    def absent(self) -> list[str]:
        """The arguments that were left out or None: those that the failing lines name first."""
        frames = [*self.failure.own_frames[:1], *self.failure.own_frames[-1:]]
        names = {name for frame in frames for name in self._names_at(frame.filename, frame.line)}
        missing = [
            item.name
            for item in self.probe.parameters
            if item.name not in self.state or specs.is_none(self.state[item.name])
        ]
        return sorted(missing, key=lambda name: name not in names)

    @property
    def absent_here(self) -> list[str]:
        """The arguments that were left out and that the failing line of the called function names."""
        return [name for name in self.absent if name in self._named_here]

    @functools.cached_property
    def _named_here(self) -> set[str]:
        """The names in the failing line of the called function."""
        frame = next(iter(self.failure.own_frames), None)
        return self._names_at(frame.filename, frame.line) if frame is not None else set()

    def _names_at(self, filename: str, line: int) -> set[str]:
        statement = self.probe.context.sources.statement(filename, line)
        return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} if statement else set()
