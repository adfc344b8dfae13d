"""Finds inputs for one built module, or arguments for one function."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from .. import clock
from . import (
    documented,
    feature_maps,
    harvest,
    losses,
    names,
    outputs,
    probing,
    recipe,
    repair_inputs,
    signatures,
    source,
    specs,
    user,
)
from .case import Probe
from .probing import Attempt, Failure, HarnessError
from .search import Search
from .traces import Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .recipe import Arguments, Recipe
    from .specs import Spec, State

_ATTEMPTS = 400
_PATIENCE = 30
"""After how many attempts that fail in known ways another way to build the class is looked for."""
_PATIENCE_AGAIN = 6
_SECONDS_FOR_BETTER = 0.3
_SECONDS_FOR_ONE_CALL = 1.0
_LEAST_SECONDS_FOR_ONE_CALL = 0.1
_CALLS_FOR_ONE = 5
_SECONDS_TO_GO_BACK = 0.2
"""A call that takes longer is not differentiated, which would take twice as long again."""
_IN_PLACE = re.compile(
    r"a leaf Variable|modified by an inplace operation|requires_grad flags of leaf"
    r"|numpy\(\) on Tensor that requires|is not differentiable with respect to argument"
)
"""What an input that requires gradients is refused for."""


class UnsuitableError(Exception):
    """A call that went through but shows too little to compare."""


class Outcome(NamedTuple):
    """The recipe with its inputs, or the best of those that show too little, or what stopped the search."""

    recipe: Recipe | None
    weaker: Recipe | None
    failure: Failure | None


def settled(found: Outcome, what: str) -> Recipe:
    """Return the recipe of an outcome, or raise with what stopped the search."""
    best = found.recipe or found.weaker
    if best is None:
        reason = found.failure.summary if found.failure else "no time was left"
        cause = found.failure.error if found.failure else None
        raise HarnessError(f"could not {what}: {reason}") from cause
    return best


class InputSearch:
    """The search for the inputs of one module (or function) that is there already.

    `fresh` makes the module anew: what a failed attempt left in the first one must not count.
    """

    def __init__(
        self,
        probe: Probe,
        target: Callable[..., Any],
        fresh: Callable[[], Any],
        draft: Recipe,
        deadline: float,
        known: list[State] | None = None,
        latest: float | None = None,
        failures: set[Any] | None = None,
        before: list[State] | None = None,
    ) -> None:
        """`known` are inputs that the module has been seen to be called with.

        What came furthest `before`, in a module that was built in another way, is tried early.

        The search ends at the deadline; a call that has begun may go on for a while, but not past `latest`.
        It pauses early if it only meets `failures` that others have met.
        """
        self._failures = failures
        self._latest = deadline if latest is None else latest
        self._known = known or []
        self._before = before or []
        self._probe = probe
        probe.values = {**_settings(draft.construct), **_values(probe.owner, draft.construct)}
        probe.numbers = _numbers(probe.owner, draft.construct)
        probe.sides = _sides(probe.owner, draft.construct)
        self._target = target
        self._fresh = fresh
        self._draft = draft
        self._deadline = deadline
        self._begun = clock.now()
        self._weaker: Recipe | None = None
        self._found: Search | None = None

    def resume(self, deadline: float) -> Outcome:
        """Go on where `run` ran out of time."""
        if self._found is None:
            return Outcome(None, None, None)
        self._deadline = self._found.deadline = deadline
        self._found.patience = None
        return self._next_of(self._found)

    @property
    def furthest(self) -> State | None:
        """The inputs that came furthest, of those that failed."""
        return None if self._found is None else self._found.furthest

    @property
    def is_plain(self) -> bool:
        """Whether what came furthest had nothing but what has to be given."""
        needed = {item.name for item in self._probe.parameters if signatures.is_required(item)}
        return (self.furthest or {}).keys() <= needed

    def run(self, harness: dict[str, Any]) -> Outcome:
        """Try what the user says, what the module offers, then guesses and their repairs."""
        configured = user.configured_inputs(harness, self._probe.parameters)
        if configured is not None:
            return Outcome(replace(self._draft, inputs=configured, origin="the user's harness"), None, None)
        for name, state in user.conventional_inputs(self._probe.owner, self._probe.parameters):
            if self._attempt(self._target, state).failure is None:
                return Outcome(replace(self._draft, inputs=self._arranged(state), origin=name), None, None)
        return self._search()

    def _search(self) -> Outcome:
        def repair(failure: Failure, state: State) -> Iterator[State]:
            return repair_inputs.repairs(failure, state, self._probe)

        traces = Traces(self._probe.owner)

        def run(state: State) -> Attempt:
            # A failed attempt seldom leaves anything in the module; what is found must hold for a fresh one,
            # and for other values of the same inputs.
            target = self._fresh() if traces.found else self._target
            first = self._judged(self._attempt(target, state), state)
            if first.failure is not None:
                traces.look()
            if traces.found or first.failure is not None:
                return first
            second = self._attempt(self._fresh(), state, seed=1)
            # What takes so long that it cannot be tried twice did work once.
            return first if second.failure is not None and second.failure.is_out_of_time else second

        patience = None if self._failures is None else _PATIENCE_AGAIN if self._failures else _PATIENCE
        self._found = Search(
            self._starts(),
            run,
            repair,
            self._deadline,
            _ATTEMPTS,
            self._trusted(),
            patience,
            self._failures,
            self._elsewhere(),
        )
        return self._next_of(self._found)

    def _next_of(self, search: Search) -> Outcome:
        for state, _ in search:
            return Outcome(replace(self._draft, inputs=self._arranged(state)), None, None)
        return Outcome(None, self._weaker, search.last)

    def _arranged(self, state: State) -> Arguments:
        return recipe.arranged(state, self._probe.parameters)

    def _required(self) -> dict[str, list[Spec]]:
        """Return the guesses for every input that must be given."""
        return {
            parameter.name: self._probe.guesses(parameter.name)
            for parameter in self._probe.parameters
            if signatures.is_required(parameter)
        }

    def _trusted(self) -> Iterator[State]:
        """Yield the best guesses, then the inputs that others call the class with."""
        yield from self._known
        best = {name: found[0] for name, found in self._required().items()}
        yield best
        yield from documented.guesses(self._probe, best)
        yield from self._before
        cls = type(self._probe.owner)
        if isinstance(self._probe.owner, nn.Module):
            for harvested in harvest.calls(cls, self._probe.parameters, self._probe.context.sources, False):
                yield {**best, **harvested}
            yield from losses.pairs(best)
        for name, maps in feature_maps.guesses(
            self._probe.owner, self._draft.construct, self._probe.parameters
        ):
            yield {**best, name: maps}

    def _elsewhere(self) -> Iterator[State]:
        """Yield the inputs that other files call the class with: reading those takes longer than a repair."""
        owner = self._probe.owner
        if isinstance(owner, nn.Module):
            best = {name: found[0] for name, found in self._required().items()}
            sources = self._probe.context.sources
            for harvested in harvest.calls(type(owner), self._probe.parameters, sources, True):
                yield {**best, **harvested}

    def _starts(self) -> Iterator[State]:
        """Yield tensors of the shapes that those who use the class make, then the other guesses."""
        guesses = self._required()
        best = {name: found[0] for name, found in guesses.items()}
        for shape in harvest.shapes(type(self._probe.owner), self._probe.context.sources):
            yield from ({**best, name: specs.tensor(shape)} for name in best)
        for parameter in self._probe.parameters:
            if parameter.kind is parameter.VAR_POSITIONAL:
                for rank in range(5):
                    for count in (1, 2, 3):
                        items = self._probe.guesses(parameter.name)[rank : rank + 1] * count
                        yield {**best, parameter.name: specs.sequence("tuple", items)}
        for rank in range(1, max(map(len, guesses.values()), default=0)):
            yield {name: found[min(rank, len(found) - 1)] for name, found in guesses.items()}
            yield from ({**best, name: found[rank]} for name, found in guesses.items() if rank < len(found))

    def _attempt(self, target: Any, state: State, seed: int = 0) -> Attempt:
        """Call the target; once an input turns out to be changed in place, without gradients for inputs."""
        first = self._attempt_with(target, state, seed, self._draft.leaves)
        if first.failure is None or not self._draft.leaves or not _IN_PLACE.search(first.failure.message):
            return first
        second = self._attempt_with(target, state, seed, leaves=False)
        if second.failure is not None and _IN_PLACE.search(second.failure.message):
            # No input helps, and that backward raises may be what has to be shown: forward is enough.
            return self._attempt_with(target, state, seed, self._draft.leaves, goes_back=False)
        self._draft = replace(self._draft, leaves=False)
        return second

    def _attempt_with(
        self, target: Any, state: State, seed: int, leaves: bool, goes_back: bool = True
    ) -> Attempt:
        maker = specs.Maker(seed, leaves=leaves)

        def run() -> Any:
            args, kwargs = self._arranged(state).make(maker)
            called = clock.now()
            value = recipe.call(target, args, kwargs)
            is_quick = clock.now() - called < _SECONDS_TO_GO_BACK
            if goes_back and is_quick and isinstance(self._probe.owner, nn.Module):
                _differentiate(
                    self._probe.owner if target is self._target else getattr(target, "__self__", target),
                    value,
                    list(maker.tensors.values()),
                )
            return value

        entry = getattr(self._probe.function, "__name__", "forward")
        context, begun = self._probe.context, clock.now()
        if context.patience is None:
            until = max(self._deadline, min(self._latest, begun + _SECONDS_FOR_ONE_CALL))
        else:
            until = min(self._latest, begun + context.patience)
        found = probing.attempt(run, until, entry, maker.tensors)
        took = clock.now() - begun
        if found.failure is not None and found.failure.is_out_of_time and took > _LEAST_SECONDS_FOR_ONE_CALL:
            context.patience = max(took / 2, _LEAST_SECONDS_FOR_ONE_CALL)
        self._allow_for(took)
        return found

    def _allow_for(self, took: float) -> None:
        """Go on for longer if a call took long: some more such calls are worth it, while there is time."""
        until = min(self._begun + _CALLS_FOR_ONE * took, self._latest - took)
        if self._weaker is None and self._deadline < until:
            self._deadline = until
            if self._found is not None:
                self._found.deadline = until

    def _judged(self, attempt: Attempt, state: State) -> Attempt:
        """Turn a call that shows too little into a failure, but remember it: nothing better may come."""
        if attempt.failure is not None or not isinstance(self._probe.owner, nn.Module):
            return attempt
        objection = _objection(self._probe.owner, attempt.value)
        if objection is None or (attempt.value is None and self._returns_nothing()):
            return attempt
        if self._weaker is None:
            self._weaker = replace(self._draft, inputs=self._arranged(state))
            self._deadline = min(self._deadline, clock.now() + _SECONDS_FOR_BETTER)
        return Attempt(None, Failure(UnsuitableError(objection), (), 10**9, {}))

    def _returns_nothing(self) -> bool:
        """Whether what is called is called for what it does: no inputs make it return anything."""
        function = self._probe.context.sources.function(self._probe.function)
        return function is not None and source.returns_nothing(function)


def _numbers(owner: Any, construct: Arguments | None) -> list[int]:
    """Return the sizes that a module was built with, its constructor's defaults included, but no widths."""
    values = _values(owner, construct)
    return [value for name, value in values.items() if type(value) is int and not names.is_width(name)]


def _sides(owner: Any, construct: Arguments | None) -> list[list[int]]:
    """Return what a module was built with that says how long, high or wide its input is."""
    values = [value for name, value in _values(owner, construct).items() if names.is_side(name)]
    several = [list(value) if isinstance(value, (tuple, list)) else [value] for value in values]
    return [found for found in several if found and all(type(item) is int and item > 0 for item in found)]


def _values(owner: Any, construct: Arguments | None) -> dict[str, Any]:
    """Return the plain values that a module was built with, by their names."""
    given = {} if construct is None else {**dict(construct.args), **construct.kwargs}
    return {
        item.name: _plain(given[item.name]) if item.name in given else item.default
        for item in signatures.constructor_parameters(type(owner))
    }


def _settings(construct: Arguments | None) -> dict[str, Any]:
    """Return the plain values in the records of settings that a module was built with, by their names."""
    given = [] if construct is None else [*dict(construct.args).values(), *construct.kwargs.values()]
    found: dict[str, Any] = {}
    for _, record in (record for spec in given for record in specs.holders(spec, ())):
        entries = record.get("items") if record["kind"] == "namespace" else record.get("kwargs")
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            found.setdefault(name, _plain(entry))
    return found


def _plain(spec: Spec) -> Any:
    if spec["kind"] in ("list", "tuple"):
        return [_plain(item) for item in spec["items"]]
    return spec.get("value")


def _differentiate(module: nn.Module, output: Any, inputs: list[torch.Tensor]) -> None:
    """Go back through what a module returned; raise if it changed in place what that needs."""
    tensors = [value for _, value in outputs.flatten_tensors(output) if value.requires_grad]
    leaves = [value for value in [*module.parameters(), *inputs] if value.requires_grad]
    if not tensors or not leaves:
        return
    try:
        # One number: gradients for anything else import half of torch the first time.
        total = torch.stack([value.sum().abs().double() for value in tensors]).sum()
        torch.autograd.grad(total, leaves, allow_unused=True)
    except RuntimeError as error:
        if _IN_PLACE.search(str(error)):
            raise


def _objection(module: nn.Module, output: Any) -> str | None:
    """Say what makes an output useless for a comparison, None if nothing does."""
    tensors = [value for _, value in outputs.flatten_tensors(output)]
    floating = [value for value in tensors if value.is_floating_point() or value.is_complex()]
    if not tensors:
        return "forward returns no tensor: something was None"
    if not all(bool(torch.isfinite(value).all()) for value in floating):
        return "forward returns values that are not finite"
    if not any(value.numel() for value in tensors):
        return "forward returns empty tensors: at least one element is needed"
    if any(parameter.requires_grad for parameter in module.parameters()):
        return (
            None
            if any(value.requires_grad for value in floating)
            else "no gradient reaches what forward returns"
        )
    return None
