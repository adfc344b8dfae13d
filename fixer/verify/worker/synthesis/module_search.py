"""Builds a class in one way after the other until one can be called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from .. import clock
from . import (
    abstract,
    harvest,
    names,
    probing,
    recipe,
    repair_arguments,
    setting_up,
    shrinking,
    signatures,
    specs,
    user,
    weights,
)
from .arguments import Context, without_absent
from .case import Probe
from .input_search import InputSearch, Outcome, settled
from .probing import Attempt, Failure, HarnessError, TooLargeError
from .recipe import Arguments, Recipe
from .repair_arguments import Plan
from .search import Search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .specs import State

_ATTEMPTS = 600
_PARAMETERS = 3_000_000
_PARAMETERS_IF_NEEDED = 200_000_000
_SHRINKING_ATTEMPTS = 8
_SHARE_OF_ONE = 1 / 6
"""The part of the time left in which inputs are looked for before the class is built in another way."""
_SECONDS_FOR_ONE = 0.25
_BUILDS_FOR_ONE = 5
"""What takes long to build is worth some more calls before it is built in another way."""
_CAME_FURTHEST = 2
"""In how many modules built before what came furthest is worth trying again."""
_SET_UPS = 3
_KEPT = 0.4
"""The part of all time that is kept for going on with the first ones."""


class ModuleSearch:
    """Builds one class in one way after the other until one can be called."""

    def __init__(
        self, cls: type, harness: dict[str, Any], context: Context, deadline: float, method: str | None = None
    ) -> None:
        """`method` is called instead of `forward`."""
        self._cls = cls
        self._harness = harness
        self._plan = Plan(cls, context)
        self._deadline = deadline
        self._kept = (deadline - clock.now()) * _KEPT
        self._limit = _PARAMETERS
        self._too_large: list[int] = []
        self._seconds_to_build = 0.0
        self._configured = user.configured_arguments(harness, self._plan.in_order)
        on_cpu = "cuda" in (context.sources.text_of(cls) or "")
        calls = getattr(cls, "forward", None) is nn.Module.forward and signatures.entry(cls) is not None
        entry = method or ("__call__" if calls else "forward")
        self._draft = Recipe(cls.__qualname__, Arguments(), Arguments(), entry, on_cpu=on_cpu)
        self._search = self._new_search()
        self._begun: list[InputSearch] = []
        self._set_ups = 0
        self._failures: set[Any] = set()
        self._best = Outcome(None, None, None)

    def run(self) -> Recipe:
        """Return the first recipe that works, else the first that nearly does."""
        try:
            return self._go_on()
        except TooLargeError:
            self._limit = _PARAMETERS_IF_NEEDED
            self._search = self._new_search()
        try:
            return self._go_on()
        except TooLargeError as error:
            raise HarnessError(f"could not build {self._cls.__qualname__}: {error}") from error

    def resume(self, deadline: float) -> Recipe:
        """Go on where `run` ran out of time."""
        self._deadline = self._search.deadline = deadline
        return self.run()

    def instance(self) -> Recipe:
        """Return the first recipe that builds the class, which need not be callable."""
        for state, _ in self._search:
            return replace(self._with(state), method="__init__")
        return settled(Outcome(None, None, self._search.last), f"build {self._cls.__qualname__}")

    def _go_on(self) -> Recipe:
        """Look for other ways to build the class, then go on with the inputs for those that were found."""
        for state, module in self._search:
            self._begun.append(self._input_search(self._with(state), module))
            found = self._begun[-1].run(self._harness)
            if found.recipe is None and found.failure is not None:
                found = self._set_up(state, module, found.failure) or found
            if found.recipe is not None:
                return found.recipe
            best = self._best
            self._best = Outcome(None, best.weaker or found.weaker, best.failure or found.failure)
            if found.failure is not None:
                plain = self._begun[-1].is_plain
                sources = self._plan.context.sources
                abstract.refuse_unfinished(self._cls, found.failure, sources, module, plain)
                if found.failure.is_hopeless:
                    break
                urgent = repair_arguments.at_once(found.failure, state, self._plan)
                self._search.reject(state, found.failure, urgent)
            if clock.now() > self._deadline - self._kept:
                break
        for unfinished in self._begun:
            found = unfinished.resume(self._deadline)
            if found.recipe is not None:
                return found.recipe
        if self._best.failure is None and self._best.weaker is None:
            last = self._search.last
            if last is not None and isinstance(last.error, TooLargeError):
                raise last.error
            return settled(self._best._replace(failure=last), f"build {self._cls.__qualname__}")
        return settled(self._best, f"call {self._cls.__qualname__}")

    def _new_search(self) -> Search:
        """Search from the user's arguments alone; else from the best guess and what the tree does."""
        if self._configured is not None:
            return self._search_among(iter([self._configured]), iter(()))
        start = self._plan.start()
        return self._search_among(self._trusted(start), _variations(start, self._plan))

    def _search_among(self, trusted: Iterator[State], others: Iterator[State]) -> Search:
        return Search(others, self._construct, self._repair, self._deadline, _ATTEMPTS, trusted)

    def _trusted(self, start: State) -> Iterator[State]:
        """Yield the best guess, then what others build the class with."""
        yield start
        for harvested in harvest.constructions(self._cls, self._plan.in_order, self._plan.context.sources):
            yield {**start, **harvested}
        yield from self._as_in_the_file(start)

    def _as_in_the_file(self, start: State) -> Iterator[State]:
        """Yield the best guess with objects that the file makes for arguments of the same kind or name."""
        parameters, sources = self._plan.parameters, self._plan.context.sources
        for parameter in parameters:
            made = [spec for spec in self._plan.guesses(parameter.name) if spec["kind"] == "new"][1:3]
            for spec in (*made, *harvest.tables(self._cls, parameter.name)):
                yield {**start, parameter.name: spec}
        for named in harvest.equally_named(self._cls, parameters, sources):
            yield {**start, **named}

    def _construct(self, state: State) -> Attempt:
        found = self._construct_once(state)
        if self._draft.fetches and found.failure is not None and weights.fetches(found.failure):
            self._draft = replace(self._draft, fetches=False)
            return self._construct_once(state)
        return found

    def _construct_once(self, state: State) -> Attempt:
        candidate = self._with(state)
        maker = specs.Maker(0, scope=recipe.globals_of(self._cls))

        def run() -> Any:
            return recipe.build(self._cls, candidate, maker)

        begun = clock.now()
        with probing.small_only(self._limit), weights.QuickValues():
            found = probing.attempt(run, self._deadline, "__init__", maker.tensors)
        if found.failure is None:
            self._seconds_to_build = clock.now() - begun
            return found
        if isinstance(found.failure.error, TooLargeError):
            self._give_up_if_large(found.failure.error, state)
        if len(maker.made) < len(state):
            return Attempt(None, found.failure._replace(is_in_argument=True))
        needed = {item.name for item in self._plan.parameters if signatures.is_required(item)}
        plain = state.keys() <= needed
        abstract.refuse_unfinished(self._cls, found.failure, self._plan.context.sources, plain=plain)
        return found

    def _give_up_if_large(self, error: TooLargeError, state: State) -> None:
        """End the search among small models where no argument makes the model smaller."""
        has_sizes = next(shrinking.shrunk(state, self._plan), None) is not None
        is_as_large = error.held in self._too_large
        self._too_large.append(error.held)
        is_first_search = self._limit == _PARAMETERS
        if len(self._too_large) == _SHRINKING_ATTEMPTS or (
            is_first_search and (is_as_large or not has_sizes)
        ):
            raise error

    def _repair(self, failure: Failure, state: State) -> Iterator[State]:
        return (
            iter(()) if self._configured is not None else repair_arguments.repairs(failure, state, self._plan)
        )

    def _set_up(self, state: State, module: Any, failure: Failure) -> Outcome | None:
        """Call the methods that set what was found unset, one for one, and then the module."""
        for name in setting_up.missing(module, failure, self._plan.context.sources):
            if self._set_ups == _SET_UPS:
                break
            self._set_ups += 1
            method = getattr(module, name)
            search = self._input_search(replace(self._with(state), method=name), method)
            found = search.run({})
            prepared = found.recipe or found.weaker
            if prepared is None:
                continue
            draft = replace(self._with(state), setup=[(name, prepared.inputs)])
            made = probing.attempt(lambda draft=draft: recipe.build(self._cls, draft), self._deadline, name)  # type: ignore[misc]
            if made.failure is None:
                self._begun.append(self._input_search(draft, made.value))
                outcome = self._begun[-1].run(self._harness)
                if outcome.recipe is not None:
                    return outcome
        return None

    def _input_search(self, draft: Recipe, target: Any) -> InputSearch:
        """Begin to look for the inputs of a module, or of a bound method of one."""
        is_module = isinstance(target, nn.Module)
        module = target if is_module else target.__self__

        def fresh() -> Any:
            with probing.seeded(0), weights.QuickValues():
                made = recipe.build(self._cls, draft)
            return made if is_module else getattr(made, draft.method)

        # Other ways to build the class must keep a chance.
        now = clock.now()
        share = 1.0 if self._configured is not None else _SHARE_OF_ONE
        least = max(_SECONDS_FOR_ONE, _BUILDS_FOR_ONE * self._seconds_to_build)
        deadline = min(self._deadline, now + max((self._deadline - now) * share, least))
        probe = Probe(module, signatures.called(module) if is_module else target, self._plan.context)
        failures = None if self._configured is not None else self._failures if is_module else set()
        came = [begun.furthest for begun in self._begun[-_CAME_FURTHEST:]] if is_module else []
        before = list(reversed([state for state in came if state is not None]))
        latest = self._deadline
        return InputSearch(
            probe, target, fresh, draft, deadline, latest=latest, failures=failures, before=before
        )

    def _with(self, state: State) -> Recipe:
        return replace(self._draft, construct=recipe.arranged(state, self._plan.in_order))


def _variations(start: State, plan: Plan) -> Iterator[State]:
    """Yield the start with other widths, other flags, other guesses."""
    widths = [name for name, spec in start.items() if names.is_width(name) and type(spec.get("value")) is int]
    for width in (16, 64, 48, 1, 3) if widths else ():
        yield {**start, **{name: specs.literal(width) for name in widths}}
    for parameter in plan.parameters:
        if isinstance(parameter.default, bool):
            yield {**start, parameter.name: specs.literal(not parameter.default)}
    for rank in range(1, 6):
        for parameter in plan.parameters:
            guesses = plan.guesses(parameter.name)
            if rank < len(guesses):
                yield without_absent({**start, parameter.name: guesses[rank]})
