"""Turns the failure of a constructor into arguments worth trying next.

A failure of `forward` is read in the same way: its cause may be an argument that the constructor only stored.
Every step has the same shape: it takes the failure, the arguments and the `Plan`, and yields other arguments.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from torch import nn

from . import (
    forwarded,
    names,
    repair_fields,
    repair_handed,
    repair_items,
    repair_lengths,
    repair_objects,
    repair_parts,
    repair_shapes,
    repair_types,
    repair_variadic,
    shrinking,
    signatures,
    source,
    specs,
    wanted,
)
from .annotations import hinted
from .arguments import ABSENT, without_absent
from .case import Case
from .kinds import of_kind
from .repair_values import (
    any_lengths,
    as_fractions,
    in_failing_lines,
    is_named,
    legal_attribute,
    legal_dimension,
    legal_length,
    legal_number,
    legal_string,
    listed_string,
    suspected,
    widths_at_odds,
)
from .search import until_it_fails

if TYPE_CHECKING:
    from .arguments import Context
    from .probing import Failure
    from .specs import Spec, State

_GUESSES = 14
_STAND_INS = 2
_OTHER_STAND_INS = 4
_OF_EVERY_MODULE = frozenset(dir(nn.Module()))


class Plan:
    """What is being built: the parameters of the constructor and the guesses for them."""

    def __init__(self, cls: type, context: Context) -> None:
        self.cls = cls
        self.owner = cls
        self.context = context
        self.function = signatures.constructor(cls)
        own = signatures.constructor_parameters(cls)
        self._homes = {item.name: signatures.home(cls, item.name) for item in own}
        handed_on = [
            item
            for item in forwarded.parameters(cls, context.sources)
            if item.parameter.name not in self._homes
        ]
        self._homes.update((item.parameter.name, item.function) for item in handed_on)
        self.parameters = [*own, *(item.parameter for item in handed_on)]
        self.variadic = signatures.variadic(self.function)
        """The parameter that takes any number of arguments, if there is one: ``*shape``."""
        self.defaults = {item.name: item.default for item in self.parameters}
        self.numbers: list[int] = []
        self.sides: list[list[int]] = []
        self.takes_any_name = any(
            item.kind is item.VAR_KEYWORD for item in signatures.parameters_of(self.function)
        )
        self._guesses: dict[str, list[Spec]] = {}
        self._aliases: dict[str, set[str]] = {}

    @property
    def in_order(self) -> list[inspect.Parameter]:
        """The parameters in the order in which a call gives them, the variadic one included."""
        if self.variadic is None:
            return self.parameters
        by_name = [item for item in self.parameters if item.kind is item.KEYWORD_ONLY]
        by_place = [item for item in self.parameters if item.kind is not item.KEYWORD_ONLY]
        return [*by_place, self.variadic, *by_name]

    def guesses(self, name: str) -> list[Spec]:
        """Return what an argument may be, best guess first."""
        if name not in self._guesses:
            parameter = next(item for item in self.parameters if item.name == name)
            found = self.context.candidates(parameter, self._homes[name])
            known = [*self._declared(parameter), *itertools.islice(found, _GUESSES)]
            self._guesses[name] = known[:_GUESSES]
        return self._guesses[name]

    def _declared(self, parameter: inspect.Parameter) -> Iterator[Spec]:
        """Yield the settings of the class that the model itself names: ``config_class = NetConfig``."""
        declared = getattr(self.cls, "config_class", None)
        is_settings = names.kind_of(parameter.name) == "namespace" and signatures.is_required(parameter)
        if inspect.isclass(declared) and specs.is_importable(declared) and is_settings:
            yield self.context.instance(declared)

    def aliases(self, name: str) -> set[str]:
        """Return the names and attributes that hold an argument, or what was computed from it."""
        if name not in self._aliases:
            found = {name}
            for _, function in signatures.constructors(self.cls):
                node = self.context.sources.function(function)
                found |= source.derived(node, name) if node is not None else set()
            self._aliases[name] = found
        return self._aliases[name]

    def attributes_of(self, name: str) -> set[str]:
        """Return what the class reads off an argument, as far as no module has it anyway."""
        built = self.context.sources.function(self.function)
        kept = {path for path in source.aliases(built, name) if path != name} if built is not None else set()
        found = source.attributes(built, {name, *kept}) if built is not None else set()
        for function in vars(self.cls).values():
            node = self.context.sources.function(function) if inspect.isfunction(function) else None
            found |= source.attributes(node, kept) if node is not None and node is not built else set()
        return found - _OF_EVERY_MODULE

    def start(self) -> State:
        """Return the best guess for everything that must be given."""
        return without_absent(
            {parameter.name: self.guesses(parameter.name)[0] for parameter in self.parameters}
        )


def repairs(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Yield arguments to try after a failure, likeliest first."""
    for step in _STEPS:
        yield from map(without_absent, until_it_fails(step(failure, state, plan)))


def _missing_argument(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """What ``**kwargs`` hands on to another constructor lacks an argument."""
    match = re.search(r"missing \d+ required .*?arguments?: (.*)", failure.message)
    wanted = re.findall(r"'(\w+)'", match[1]) if match and plan.takes_any_name else []
    if wanted:
        yield {**state, **{name: of_kind(names.kind_of(name), name, plan.context)[0] for name in wanted}}


def _of_hinted_type(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """What checks annotations names the parameter that was given something else: none, or of that type."""
    found = hinted(failure.message, plan.parameters, plan.function, plan.context)
    if found is None:
        return
    parameter, values = found
    if parameter.default is not parameter.empty:
        yield {**state, parameter.name: ABSENT}
    yield from ({**state, parameter.name: spec} for spec in values)


def _not_taken(failure: Failure, state: State, _plan: Plan) -> Iterator[State]:
    """The class gives this argument to its base itself, or does not know it."""
    match = re.search(
        r"got (?:multiple values for|an unexpected)(?: keyword)? argument '(\w+)'", failure.message
    )
    if match and match[1] in state:
        yield {name: spec for name, spec in state.items() if name != match[1]}


def _too_large(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Shrink everything by the same factor, so that ratios and divisibility stay."""
    if re.search(r"TooLarge|MemoryError|OutOfTime|can't allocate|not enough memory", failure.text):
        yield from shrinking.shrunk(state, plan)


def at_once(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Yield what comes before all else once a module that was built cannot be called."""
    yield from repair_objects.layers_inside(failure, state, plan)
    yield from repair_objects.sizes_inside(failure, state, plan)
    yield from repair_variadic.any_number(failure, state, plan)
    yield from legal_dimension(failure, state, plan)
    yield from repair_lengths.more_axes(failure, state, plan)
    for step in (
        repair_items.other_objects,
        repair_items.filled,
        repair_items.members,
        repair_items.concrete,
    ):
        yield from step(failure, state, plan)
    yield from repair_lengths.for_other_ranks(failure, state, plan)
    yield from repair_fields.all_set(state)
    yield from widths_at_odds(failure, state, plan)


def _wrong_kind(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """An argument of the wrong kind: the message says what was asked of it."""
    if not isinstance(failure.error, (TypeError, AttributeError, ValueError, AssertionError)):
        return
    told = _types_told(failure.message)
    likely = suspected(failure, state, plan)
    suspects = sorted(likely, key=lambda name: _type_of(name, state, plan) not in told)[:4]
    attribute = re.search(r"object has no attribute '(\w+)'", failure.message)
    if attribute:
        for cls in itertools.islice(repair_objects.classes_with(attribute[1], plan), 4):
            yield from ({**state, name: plan.context.instance(cls)} for name in suspects[:2])
    for kind in wanted.kinds(failure, plan.context.sources):
        for name in suspects:
            yield from ({**state, name: spec} for spec in of_kind(kind, name, plan.context)[:4])


_OF_A_LIST = re.compile(
    r"'(int|float)' object is not (subscriptable|iterable)|has no len|unpack non-iterable (int|float)"
    r"|argument of type '(int|float)' is not"
)


def _not_nested(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """What a list holds was indexed, iterated or taken apart itself: it is a list of lists."""
    if not _OF_A_LIST.search(failure.message):
        return
    likely = suspected(failure, state, plan)[:3]
    given = {name: state.get(name) or specs.spec_of(plan.defaults[name]) for name in likely}
    read = repair_fields.attributes_read(failure, plan)
    for name, outer in ((name, outer) for name, outer in given.items() if outer is not None):
        for path, spec in specs.holders(outer, (name,)):
            if spec["kind"] in ("list", "tuple") and (len(path) == 1 or path[-1] in read):
                for length in (2, 3):
                    items = [specs.sequence("list", [item] * length) for item in spec["items"]]
                    yield specs.replaced({name: outer, **state}, path, {**spec, "items": items})


def _types_told(message: str) -> set[str]:
    """Return the types that a message quotes; numbers only if there is nothing else."""
    quoted = set(re.findall(r"'(\w+)'(?! \(pos)", re.sub(r"attribute '\w+'", "", message)))
    return quoted - {"int", "float"} or quoted


def _type_of(name: str, state: State, plan: Plan) -> str:
    """Return the name of the type of an argument."""
    spec = state.get(name) or specs.spec_of(plan.defaults[name]) or {"kind": ""}
    kind = spec["kind"]
    if kind == "literal":
        return type(spec["value"]).__name__
    if kind == "new":
        return str(spec["class"]["value"])
    known = {"namespace": "Namespace", "tensor": "Tensor", "helper": spec.get("value", "")}
    return str(known.get(kind, kind))


def _none_given(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Something was None: give the arguments that were left out, one by one."""
    is_none = "None" in failure.message
    for name in suspected(failure, state, plan):
        if name not in state and plan.defaults[name] is None and (is_none or is_named(name, failure)):
            yield from ({**state, name: spec} for spec in plan.guesses(name)[:4])


def _none_read(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """The failing lines read something off an argument that was left out."""
    if "'NoneType' object" in failure.message:
        for name in in_failing_lines(failure, plan):
            if name not in state and plan.defaults[name] is None:
                yield from ({**state, name: spec} for spec in plan.guesses(name)[:3] if spec != ABSENT)


_LEFT_OUT = re.compile(
    r"not (been )?(specified|given|provided|passed|set|supplied)"
    r"|(must|needs? to|should|has to|have to) (also )?be (specified|given|provided|passed|set|supplied)"
    r"|\b(is|are) (required|needed|missing)|\b(need|needs|requires?|specify|provide)\b",
    re.IGNORECASE,
)


def _left_out(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A message names an argument that was left out: ``the sequence length was not specified``."""
    if not _LEFT_OUT.search(failure.message):
        return
    for name in plan.defaults:
        if name not in state and plan.defaults[name] is None and is_named(name, failure):
            yield from ({**state, name: spec} for spec in plan.guesses(name)[:4])


def _other_guess(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    suspects = suspected(failure, state, plan)
    for rank in range(1, _GUESSES):
        for name in suspects:
            if rank < len(plan.guesses(name)):
                yield {**state, name: plan.guesses(name)[rank]}


def _other_stand_in(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """What the failing lines name was stood in for by an object that others may do better than."""
    for name in suspected(failure, state, plan)[:_STAND_INS]:
        if name in state and state[name]["kind"] in ("helper", "new", "name"):
            others = (spec for spec in plan.guesses(name) if spec["kind"] in ("helper", "new", "name"))
            yield from ({**state, name: spec} for spec in itertools.islice(others, _OTHER_STAND_INS))


def _tensor_arguments(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Tensors among the arguments are repaired as those of a call are."""
    case = Case(failure, state, plan)
    for step in (*repair_types.STEPS, *repair_shapes.STEPS) if case.tensors else ():
        yield from step(case)


_STEPS: tuple[Callable[[Failure, State, Plan], Iterator[State]], ...] = (
    repair_objects.argument_not_made,
    _of_hinted_type,
    repair_handed.handed_on,
    repair_handed.checked_fields,
    _missing_argument,
    listed_string,
    repair_parts.below,
    repair_parts.unset_setting,
    repair_parts.parts_named,
    repair_objects.missing_entry,
    repair_objects.called_object,
    repair_objects.layers_inside,
    repair_fields.unset_fields,
    repair_fields.lacking_field,
    _left_out,
    repair_variadic.any_number,
    repair_objects.sizes_inside,
    _not_taken,
    _too_large,
    _tensor_arguments,
    as_fractions,
    repair_objects.class_itself,
    repair_fields.defaulted_entry,
    _none_read,
    repair_items.added,
    repair_items.lacking,
    repair_items.called,
    repair_items.other_objects,
    repair_items.filled,
    repair_items.members,
    repair_items.concrete,
    repair_items.words,
    repair_lengths.unpacked,
    _not_nested,
    repair_lengths.related,
    repair_lengths.for_other_ranks,
    repair_lengths.room_for_kernel,
    _wrong_kind,
    legal_attribute,
    _other_stand_in,
    legal_string,
    legal_dimension,
    legal_number,
    legal_length,
    repair_objects.wrong_entry,
    _none_given,
    any_lengths,
    _other_guess,
)
