"""Guesses the arguments of a constructor or a function: default, annotation, use, then name."""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from . import names, signatures, specs
from .annotations import annotated, annotation_of, is_module
from .kinds import kind_of_value, of_kind
from .roles import in_role
from .source import is_stub
from .uses import used

if TYPE_CHECKING:
    from .source import Sources
    from .specs import Spec, State

ABSENT: Spec = {"kind": "absent"}
"""Leave the argument out."""

_MAX_DEPTH = 3
_LONGEST_STUB = 200
"""Bytes of bytecode: what is longer does more than refuse."""
_ANY_KIND = ("int", "list", "namespace", "module", "class", "str", "tensor", "float")


class Context:
    """What guessing needs to know beside the argument itself; `depth` counts the objects inside objects."""

    def __init__(self, sources: Sources, module_classes: list[type] | None = None, depth: int = 0) -> None:
        self.sources = sources
        self.module_classes = [cls for cls in module_classes or [] if specs.is_importable(cls)]
        self.depth = depth
        self.patience: float | None = None
        """How long a call may take now: half of the last that was stopped, for what is as large."""
        self.making: Callable[[type], Spec | None] | None = None
        """How to look for a way to make an instance of another class."""
        self._made: dict[type, Spec | None] = {}

    @property
    def is_deep(self) -> bool:
        """Whether it is time to stop looking into other classes."""
        return self.depth >= _MAX_DEPTH

    def deeper(self) -> Context:
        """Return the context for an object inside this one."""
        inner = Context(self.sources, self.module_classes, self.depth + 1)
        inner.making, inner._made = self.making, self._made
        return inner

    def is_runnable(self, cls: type) -> bool:
        """Whether a module class has a `forward` that does something."""
        forward = signatures.entry(cls)
        if inspect.isabstract(cls) or forward is None:
            return False
        code = getattr(forward, "__code__", None)
        if code is not None and not _raises(code):  # no need to read a whole file for it
            return True
        node = self.sources.function(forward)
        return not (node and is_stub(node))

    def candidates(self, parameter: inspect.Parameter, function: Callable[..., Any]) -> Iterator[Spec]:
        """Yield what the argument may be, best guess first."""
        return unique(_candidates(parameter, function, self))

    def evidence(self, parameter: inspect.Parameter, function: Callable[..., Any]) -> Iterator[Spec]:
        """Yield what the annotation and the uses of an argument say, whatever its name."""
        annotation = annotation_of(parameter, function)
        if annotation is nn.Module:  # what it returns, its uses say
            yield from used(parameter.name, function, self)
        yield from annotated(annotation, parameter.name, self)
        yield from used(parameter.name, function, self)

    def instance(self, cls: type) -> Spec:
        """Describe an instance of another class, its arguments guessed."""
        inner = self.deeper()
        function = signatures.constructor(cls)
        guesses = {
            parameter.name: next(inner.candidates(parameter, function))
            for parameter in signatures.constructor_parameters(cls)
            if signatures.is_required(parameter)
        }
        return specs.new(cls, guesses)

    def made(self, cls: type) -> Spec | None:
        """Describe an instance of another class that can be made, None if no way is known."""
        if cls not in self._made and self.making is not None:
            self._made[cls] = None  # what contains itself has no end
            self._made[cls] = self.making(cls)
        return self._made.get(cls)


def _settings_first(evidence: Iterator[Spec], name: str, context: Context) -> Iterator[Spec]:
    """Yield a record before lists and numbers: much is asked of settings that would do for those as well."""
    first = next(evidence, None)
    if first is not None and first["kind"] in ("list", "tuple", "literal"):
        yield from of_kind("namespace", name, context)
    if first is not None:
        yield first
    yield from evidence


def _raises(code: types.CodeType) -> bool:
    """Whether a function may do nothing but raise: it is short, and raises somewhere."""
    is_short = len(code.co_code) <= _LONGEST_STUB
    return is_short and any(step.opname == "RAISE_VARARGS" for step in dis.get_instructions(code))


def without_absent(state: State) -> State:
    """Leave out the arguments that are to be left out."""
    return {name: spec for name, spec in state.items() if spec != ABSENT}


def unique(found: Iterator[Spec]) -> Iterator[Spec]:
    """Drop repeated specs, keeping the first."""
    seen: set[str] = set()
    for spec in found:
        key = repr(spec)
        if key not in seen:
            seen.add(key)
            yield spec


def _candidates(
    parameter: inspect.Parameter, function: Callable[..., Any], context: Context
) -> Iterator[Spec]:
    name, default = parameter.name, parameter.default
    if signatures.is_variadic(parameter):
        yield ABSENT
        return
    if default is not parameter.empty:
        off = names.fetches_weights(name) and isinstance(default, (bool, str)) and bool(default)
        yield specs.literal(False if default is True else None) if off else ABSENT
    if names.is_device(name):
        yield from of_kind("device", name, context)
    if names.kind_of(name) == "tokens" and not is_module(annotation_of(parameter, function)):
        yield from of_kind("tokens", name, context)
    evidence = context.evidence(parameter, function)
    if names.kind_of(name) == "namespace":
        evidence = _settings_first(evidence, name, context)
    yield from evidence
    owner = signatures.owner_of(function)
    if owner is not None and not issubclass(owner, nn.Module):
        yield from in_role(name, context)
    if default is not parameter.empty and default is not None:
        described = specs.spec_of(default)
        if described is not None:
            yield described
        yield from of_kind(kind_of_value(default), name, context)
    yield from of_kind(names.kind_of(name), name, context)
    for kind in _ANY_KIND:
        yield from of_kind(kind, name, context)[:2]
