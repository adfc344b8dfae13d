"""Puts the steps together: build the module, find inputs, write the recipe down."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import (
    arguments,
    harvest,
    names,
    outputs,
    probing,
    recipe,
    repair_arguments,
    repair_inputs,
    source,
    specs,
    user,
)
from .probing import Attempt, Failure, HarnessError
from .recipe import Arguments, Recipe
from .search import Search

if TYPE_CHECKING:
    from .specs import State

_ATTEMPTS_PER_INSTANCE = 200
_ATTEMPTS_AFTER_SUCCESS = 60


class Unsuitable(Exception):
    """A call that went through but shows too little to compare."""


def synthesize(cls: type, hints: dict[str, Any], budget: float = 2.0) -> Recipe:
    """Find out how to build a module and call it, within `budget` seconds.

    Raises `HarnessError` with the last error in one sentence.
    """
    deadline = time.monotonic() + budget
    harness = dict(hints.get("harness") or {})
    if callable(harness.get("factory")):
        return _with_factory(cls, harness, hints, deadline)
    if inspect.isabstract(cls):
        raise HarnessError(f"{cls.__qualname__} is abstract: {', '.join(sorted(cls.__abstractmethods__))}")  # type: ignore[attr-defined]
    context = arguments.Context(source.Sources(hints, cls), hints.get("module_classes"))
    plan = repair_arguments.Plan(cls, context)
    configured = user.configured_arguments(harness, plan.parameters)
    starts = iter([configured]) if configured is not None else _starts(plan)
    on_cpu = "cuda" in (context.sources.text_of(cls) or "")
    draft = Recipe(cls.__qualname__, Arguments(), Arguments(), on_cpu=on_cpu)

    def construct(state: State) -> Attempt:
        candidate = replace(draft, construct=recipe.arranged(state, plan.parameters))
        with probing.small_only():
            return probing.attempt(lambda: recipe.build(cls, candidate), deadline, "__init__")

    def repair(failure: Failure, state: State) -> Iterator[State]:
        return iter(()) if configured is not None else repair_arguments.repairs(failure, state, plan)

    search = Search(starts, construct, repair, deadline)
    last: Failure | None = None
    weaker: Recipe | None = None
    for state, module in search:
        candidate = replace(draft, construct=recipe.arranged(state, plan.parameters))
        share = deadline if configured is not None else min(deadline, time.monotonic() + budget / 2)
        found = _call_search(cls, module, candidate, harness, context, share)
        if isinstance(found, Recipe):
            return found
        weaker = weaker or found.weaker
        last = last or found.failure
    if weaker is not None:
        return weaker
    failure = last or search.last
    verb = "call" if last else "build"
    raise HarnessError(
        f"could not {verb} {cls.__qualname__}: {failure.summary if failure else 'no time was left'}"
    )


def arguments_for(function: Callable[..., Any], hints: dict[str, Any], budget: float = 2.0) -> Recipe:
    """Find arguments with which a function or a bound method runs, within `budget` seconds."""
    deadline = time.monotonic() + budget
    owner = getattr(function, "__self__", None)
    context = arguments.Context(source.Sources(hints, function), hints.get("module_classes"))
    name = getattr(function, "__name__", type(function).__name__)
    draft = Recipe(getattr(function, "__qualname__", name), None, Arguments(), method=name)
    found = _InputSearch(
        owner,
        function,
        function,
        lambda: function,
        draft,
        dict(hints.get("harness") or {}),
        context,
        deadline,
    ).run()
    if isinstance(found, Recipe):
        return found
    if found.weaker is not None:
        return found.weaker
    raise HarnessError(
        f"could not call {name}: {found.failure.summary if found.failure else 'no time was left'}"
    )


def _with_factory(cls: type, harness: dict[str, Any], hints: dict[str, Any], deadline: float) -> Recipe:
    draft = Recipe(
        cls.__qualname__,
        None,
        Arguments(),
        origin="the user's harness",
        factory=recipe.reference(harness["factory"]),
    )
    attempt = probing.attempt(lambda: recipe.make_inputs(draft, 0), deadline, "")
    if attempt.failure is not None:
        raise HarnessError(f"the harness for {cls.__qualname__} failed: {attempt.failure.summary}")
    args, kwargs = attempt.value
    if args or kwargs:
        return draft
    context = arguments.Context(source.Sources(hints, cls), hints.get("module_classes"))
    found = _call_search(cls, recipe.build(cls, draft), draft, harness, context, deadline)
    if isinstance(found, Recipe):
        return found
    if found.weaker is not None:
        return found.weaker
    raise HarnessError(
        f"could not call {cls.__qualname__}: {found.failure.summary if found.failure else 'no time was left'}"
    )


def _starts(plan: repair_arguments.Plan) -> Iterator[State]:
    """Yield constructor arguments: the best guess, what the file does, then variations of the guess."""
    start = plan.start()
    yield start
    for harvested in harvest.constructions(plan.cls, plan.parameters, plan.context.sources):
        yield {**start, **harvested}
    yield from _variations(start, plan)


def _variations(start: State, plan: repair_arguments.Plan) -> Iterator[State]:
    for width in (16, 64, 48, 1, 3):
        widths = {
            name: specs.literal(width)
            for name, spec in start.items()
            if spec["kind"] == "literal" and type(spec["value"]) is int and names.is_width(name)
        }
        if widths:
            yield {**start, **widths}
    for parameter in plan.parameters:
        if isinstance(parameter.default, bool):
            yield {**start, parameter.name: specs.literal(not parameter.default)}
    for rank in range(1, 6):
        for parameter in plan.parameters:
            guesses = plan.guesses(parameter.name)
            if rank < len(guesses):
                changed = {**start, parameter.name: guesses[rank]}
                yield {name: spec for name, spec in changed.items() if spec != arguments.ABSENT}


def _call_search(
    cls: type,
    module: Any,
    draft: Recipe,
    harness: dict[str, Any],
    context: arguments.Context,
    deadline: float,
) -> Recipe | _Stopped:
    if type(module).forward is nn.Module.forward:
        raise HarnessError(f"{cls.__qualname__} has no forward")

    def fresh() -> Any:
        probing.seed_everything(0)
        return recipe.build(cls, draft)

    return _InputSearch(module, module.forward, module, fresh, draft, harness, context, deadline).run()


class _Stopped:
    """Why no good inputs were found, and the best of those that were not good."""

    def __init__(self, failure: Failure | None, weaker: Recipe | None) -> None:
        self.failure = failure
        self.weaker = weaker


class _InputSearch:
    """Finds inputs for one built module or one function."""

    def __init__(
        self,
        owner: Any,
        function: Callable[..., Any],
        target: Callable[..., Any],
        fresh: Callable[[], Any],
        draft: Recipe,
        harness: dict[str, Any],
        context: arguments.Context,
        deadline: float,
    ) -> None:
        self.probe = repair_inputs.Probe(owner, function, context)
        self.target = target
        self.fresh = fresh
        self.draft = draft
        self.harness = harness
        self.deadline = deadline
        self.weaker: State | None = None

    def run(self) -> Recipe | _Stopped:
        """Return the recipe with its inputs, or what stopped the search."""
        configured = user.configured_inputs(self.harness, self.probe.parameters)
        if configured is not None:
            return replace(self.draft, inputs=configured, origin="the user's harness")
        for name, state in user.conventional_inputs(self.probe.owner, self.probe.parameters):
            if self._attempt(self.target, state).failure is None:
                return replace(self.draft, inputs=self._arranged(state), origin=name)
        search = Search(
            self._starts(),
            self._shared,
            lambda failure, state: repair_inputs.repairs(failure, state, self.probe),
            self.deadline,
            _ATTEMPTS_PER_INSTANCE,
        )
        for state, _ in search:
            again = self._fresh(state)
            if again.failure is None:
                return replace(self.draft, inputs=self._arranged(state))
        weaker = self.weaker
        return _Stopped(
            search.last, None if weaker is None else replace(self.draft, inputs=self._arranged(weaker))
        )

    def _arranged(self, state: State) -> Arguments:
        return recipe.arranged(state, self.probe.parameters)

    def _starts(self) -> Iterator[State]:
        needed = [
            parameter
            for parameter in self.probe.parameters
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        ]
        guesses = {parameter.name: self.probe.guesses(parameter.name) for parameter in needed}
        variadic = [
            parameter.name
            for parameter in self.probe.parameters
            if parameter.kind is parameter.VAR_POSITIONAL
        ]
        best = {name: found[0] for name, found in guesses.items()}
        if variadic and not best:
            for count in (1, 2, 3):
                for spec in (specs.tensor([2, 32]), specs.tensor([2, 6, 32]), specs.tensor([2, 32, 16, 16])):
                    yield {variadic[0]: specs.sequence("tuple", [spec] * count)}
        yield best
        for shape in harvest.shapes(type(self.probe.owner), self.probe.context.sources):
            for name in best:
                yield {**best, name: specs.tensor(shape)}
        for rank in range(1, max((len(found) for found in guesses.values()), default=0)):
            yield {name: found[min(rank, len(found) - 1)] for name, found in guesses.items()}
            for name, found in guesses.items():
                if rank < len(found):
                    yield {**best, name: found[rank]}

    def _shared(self, state: State) -> Attempt:
        return self._judged(self._attempt(self.target, state), state)

    def _fresh(self, state: State) -> Attempt:
        return self._judged(self._attempt(self.fresh(), state), state)

    def _attempt(self, target: Any, state: State) -> Attempt:
        maker = specs.Maker(0, leaves=True)

        def run() -> Any:
            args, kwargs = self._arranged(state).make(maker)
            return recipe.call(target, args, kwargs)

        self.probe.tensors[json.dumps(state, sort_keys=True)] = maker.tensors
        entry = getattr(self.probe.function, "__name__", "forward")
        return probing.attempt(run, self.deadline, entry)

    def _judged(self, attempt: Attempt, state: State) -> Attempt:
        """Turn a call that shows too little into a failure, but remember it."""
        if attempt.failure is not None or not isinstance(self.probe.owner, nn.Module):
            return attempt
        objection = _objection(self.probe.owner, attempt.value)
        if objection is None:
            return attempt
        if self.weaker is None:
            self.weaker = state
            self.deadline = min(self.deadline, time.monotonic() + 0.5)
        return Attempt(None, Failure(Unsuitable(objection), (), 10**9))


def _objection(module: nn.Module, output: Any) -> str | None:
    """Say what makes an output useless for a comparison, None if nothing does."""
    tensors = [value for _, value in outputs.flatten_tensors(output)]
    if not tensors:
        return "forward returns no tensor: something was None"
    floating = [value for value in tensors if value.is_floating_point() or value.is_complex()]
    if any(not torch.isfinite(value).all() for value in floating if value.numel()):
        return "forward returns values that are not finite"
    trainable = any(parameter.requires_grad for parameter in module.parameters())
    if trainable and not any(value.requires_grad for value in floating):
        return "no gradient reaches what forward returns"
    if floating and not any(value.numel() for value in floating):
        return "forward returns empty tensors, at least one element is needed"
    return None
