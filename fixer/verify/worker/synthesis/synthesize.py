"""Puts the steps together: build the module, find inputs, write the recipe down."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from . import (
    abstract,
    clock,
    harvest,
    names,
    owners,
    probing,
    recipe,
    repair_arguments,
    signatures,
    source,
    specs,
    user,
    weights,
)
from .arguments import Context, without_absent
from .case import Probe
from .input_search import InputSearch, Outcome
from .probing import Attempt, Failure, HarnessError, TooLargeError
from .recipe import Arguments, Recipe
from .repair_arguments import Plan
from .search import Search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .specs import Spec, State

_ATTEMPTS = 600
_PARAMETERS = 3_000_000
_PARAMETERS_IF_NEEDED = 200_000_000
_SHRINKING_ATTEMPTS = 8
_FOR_THE_END = 0.1
"""The part of the budget in which what has begun ends, and what was found is built and called."""
_BEFORE_OWNERS = 0.65
_SECONDS_BEFORE_OWNERS = 1.5
"""When to turn to larger models that hold the class; afterwards the search for itself goes on."""
_SECONDS_FOR_OWNER = 2.0
_SECONDS_FOR_ARGUMENT = 0.4
_SHARE_OF_ONE = 1 / 6
"""The part of the time left in which inputs are looked for before the class is built in another way."""
_SECONDS_FOR_ONE = 0.25
_BUILDS_FOR_ONE = 5
"""What takes long to build is worth some more calls before it is built in another way."""
_CAME_FURTHEST = 2
"""In how many modules built before what came furthest is worth trying again."""
_KEPT = 0.4
"""The part of all time that is kept for going on with the first ones."""


def synthesize(cls: type, hints: dict[str, Any], budget: float = 2.0) -> Recipe:
    """Find out how to build a module and call it, within `budget` seconds.

    Hints: `harness` (what the user configured), `source` (text of the class's module), `sources` (texts by
    path), `marked` (functions that are harnesses by their own word), `module_classes` (candidates for
    arguments that are modules), `mentioning` (a function that yields name and text of the files which call a
    name).
    Raises `HarnessError` with the last error in one sentence.
    """
    budget *= 1 - _FOR_THE_END
    deadline = clock.now() + budget
    harness = dict(hints.get("harness") or {})
    others = [other for other in hints.get("module_classes") or [] if other is not cls]
    context = Context(source.Sources(hints, cls), others)
    context.making = lambda other: _made(other, context, deadline)
    if callable(harness.get("factory")):
        return _with_factory(cls, harness, context, deadline)
    for marked in () if harness else hints.get("marked") or ():
        found = _marked(cls, marked, context, deadline)
        if found is not None:
            return found
    if harness:
        abstract.refuse_declared(cls, context.sources)
        return _ModuleSearch(cls, harness, context, deadline).run()
    first = min(budget * _BEFORE_OWNERS, _SECONDS_BEFORE_OWNERS)
    own = _ModuleSearch(cls, harness, context, deadline - budget + first)
    try:
        abstract.refuse_declared(cls, context.sources)
        return own.run()
    except abstract.AbstractError:
        found = _completed(cls, context, deadline, is_abstract=True)
        if found is None:
            raise
        return found
    except HarnessError:
        found = _taken_out(cls, context, deadline) or _completed(cls, context, deadline)
        return found or own.resume(deadline)


def _completed(cls: type, context: Context, deadline: float, is_abstract: bool = False) -> Recipe | None:
    """Use a subclass: it may define what the class itself lacks."""
    for below in owners.subclasses(cls, context):
        until = clock.now() + min((deadline - clock.now()) / 2, _SECONDS_FOR_OWNER)
        try:
            whole = _ModuleSearch(below, {}, context, until).run()
        except HarnessError:
            continue
        place = {**_place(whole, below, ""), "abstract": is_abstract}
        origin = f"its subclass {below.__qualname__}"
        return replace(whole, target=cls.__qualname__, construct=None, origin=origin, owner=place)
    return None


def _place(whole: Recipe, owner: type, path: str) -> dict[str, Any]:
    """Say where a module is taken out of; the path of the whole is empty."""
    return {
        "recipe": whole.to_json(),
        "module": owner.__module__,
        "name": owner.__qualname__,
        "path": path,
    }


def _made(cls: type, context: Context, deadline: float) -> Spec | None:
    """Describe an instance of a class that is wanted as an argument, None if none could be made."""
    until = clock.now() + min((deadline - clock.now()) / 4, _SECONDS_FOR_ARGUMENT)
    try:
        found = _ModuleSearch(cls, {}, context.deeper(), until).instance().construct
    except (HarnessError, TooLargeError):
        return None
    return None if found is None else specs.new(cls, found.kwargs, [spec for _, spec in found.args])


def _taken_out(cls: type, context: Context, deadline: float) -> Recipe | None:
    """Take an instance out of a larger model that can be built and called."""
    for owner in owners.candidates(cls, context):
        until = clock.now() + min((deadline - clock.now()) / 2, _SECONDS_FOR_OWNER)
        try:
            whole = _ModuleSearch(owner, {}, context, until).run()
        except HarnessError:
            continue
        found = _out_of(cls, owner, whole, context, deadline)
        if found is not None:
            return found
    return None


def _out_of(cls: type, owner: type, whole: Recipe, context: Context, deadline: float) -> Recipe | None:
    """Take an instance out of one model."""
    for seen in owners.seen_inside(cls, owner, whole, deadline):
        place = _place(whole, owner, seen.path)
        origin = f"a part of {owner.__qualname__}"
        draft = Recipe(cls.__qualname__, None, Arguments(), origin=origin, owner=place)
        found = _inputs_of_part(cls, draft, seen.inputs, context, deadline)
        if found is not None:
            return found
    return None


def _inputs_of_part(
    cls: type, draft: Recipe, known: State, context: Context, deadline: float
) -> Recipe | None:
    def fresh() -> Any:
        made = probing.attempt(lambda: recipe.build(cls, draft), deadline, "")
        if made.failure is not None:
            raise HarnessError(made.failure.summary)
        return made.value

    try:
        module = fresh()
        probe = Probe(module, signatures.called(module), context)
        return InputSearch(probe, module, fresh, draft, deadline, known).run({}).recipe
    except HarnessError:
        return None


def arguments_for(function: Callable[..., Any], hints: dict[str, Any], budget: float = 2.0) -> Recipe:
    """Find arguments with which a function or a bound method runs, within `budget` seconds.

    For a class that is no module: the recipe with which `build` makes an instance.
    """
    deadline = clock.now() + budget
    context = Context(source.Sources(hints, function), hints.get("module_classes"))
    if inspect.isclass(function):
        return _ModuleSearch(function, dict(hints.get("harness") or {}), context, deadline).instance()
    name = getattr(function, "__name__", type(function).__name__)
    draft = Recipe(getattr(function, "__qualname__", name), None, Arguments(), method=name)
    probe = Probe(getattr(function, "__self__", None), function, context)
    found = InputSearch(probe, function, lambda: function, draft, deadline).run(
        dict(hints.get("harness") or {})
    )
    return _settled(found, f"call {name}")


def _marked(cls: type, marked: Any, context: Context, deadline: float) -> Recipe | None:
    """What a marked function builds; None if it says nothing of the class and does not build it."""
    loaded = probing.attempt(marked.load, deadline, "")
    try:
        if loaded.failure is not None:
            raise HarnessError(
                f"the harness {marked.name} cannot be imported: {loaded.failure.summary}"
            ) from loaded.failure.error
        return _with_factory(cls, {"factory": recipe.unwrapped(loaded.value)}, context, deadline)
    except HarnessError:
        if marked.certain:
            raise
        return None


def _with_factory(cls: type, harness: dict[str, Any], context: Context, deadline: float) -> Recipe:
    """The user's factory returns the module, or a larger one that holds it, with or without inputs."""
    where = recipe.reference(harness["factory"])
    name = f"the harness {recipe.factory_name(where)} for {cls.__qualname__}"
    draft = Recipe(cls.__qualname__, None, Arguments(), origin="the user's harness", factory=where)
    made = probing.attempt(lambda: (recipe.build(cls, draft), recipe.make_inputs(draft, 0)), deadline, "")
    if made.failure is not None:
        raise HarnessError(f"{name} failed: {made.failure.summary}") from made.failure.error
    module, (args, kwargs) = made.value
    if not isinstance(module, nn.Module) or not any(isinstance(part, cls) for part in module.modules()):
        raise HarnessError(f"{name} returned {type(module).__name__}, which holds no {cls.__qualname__}")
    whole = draft if isinstance(module, cls) else replace(draft, target=type(module).__qualname__)
    if not (args or kwargs):
        probe = Probe(module, signatures.called(module), context)
        search = InputSearch(probe, module, lambda: recipe.build(cls, draft), whole, deadline)
        whole = _settled(search.run(harness), f"call what {name} returned")
    if whole.target == cls.__qualname__:
        return whole
    found = _out_of(cls, type(module), whole, context, deadline)
    if found is None:
        held = type(module).__qualname__
        raise HarnessError(f"{name} returned {held}, whose run does not call {cls.__qualname__}")
    return found


def _settled(found: Outcome, what: str) -> Recipe:
    settled = found.recipe or found.weaker
    if settled is None:
        reason = found.failure.summary if found.failure else "no time was left"
        cause = found.failure.error if found.failure else None
        raise HarnessError(f"could not {what}: {reason}") from cause
    return settled


class _ModuleSearch:
    """Builds one class in one way after the other until one can be called."""

    def __init__(self, cls: type, harness: dict[str, Any], context: Context, deadline: float) -> None:
        self._cls = cls
        self._harness = harness
        self._plan = Plan(cls, context)
        self._deadline = deadline
        self._kept = (deadline - clock.now()) * _KEPT
        self._limit = _PARAMETERS
        self._too_large: list[int] = []
        self._seconds_to_build = 0.0
        self._configured = user.configured_arguments(harness, self._plan.parameters)
        on_cpu = "cuda" in (context.sources.text_of(cls) or "")
        calls = getattr(cls, "forward", None) is nn.Module.forward and signatures.entry(cls) is not None
        self._draft = Recipe(
            cls.__qualname__, Arguments(), Arguments(), "__call__" if calls else "forward", on_cpu=on_cpu
        )
        self._search = self._new_search()
        self._begun: list[InputSearch] = []
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
        return _settled(Outcome(None, None, self._search.last), f"build {self._cls.__qualname__}")

    def _go_on(self) -> Recipe:
        """Look for other ways to build the class, then go on with the inputs for those that were found."""
        for state, module in self._search:
            self._begun.append(self._input_search(state, module))
            found = self._begun[-1].run(self._harness)
            if found.recipe is not None:
                return found.recipe
            best = self._best
            self._best = Outcome(None, best.weaker or found.weaker, best.failure or found.failure)
            if found.failure is not None:
                abstract.refuse_unfinished(self._cls, found.failure, self._plan.context.sources, module)
                if found.failure.is_hopeless:
                    break
                self._search.reject(state, found.failure)
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
            return _settled(self._best._replace(failure=last), f"build {self._cls.__qualname__}")
        return _settled(self._best, f"call {self._cls.__qualname__}")

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
        for harvested in harvest.constructions(self._cls, self._plan.parameters, self._plan.context.sources):
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
        abstract.refuse_unfinished(self._cls, found.failure, self._plan.context.sources)
        return found

    def _give_up_if_large(self, error: TooLargeError, state: State) -> None:
        """End the search among small models where no argument makes the model smaller."""
        has_sizes = next(repair_arguments.shrunk(state, self._plan), None) is not None
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

    def _input_search(self, state: State, module: Any) -> InputSearch:
        draft = self._with(state)

        def fresh() -> Any:
            with probing.seeded(0), weights.QuickValues():
                return recipe.build(self._cls, draft)

        # Other ways to build the class must keep a chance.
        now = clock.now()
        share = 1.0 if self._configured is not None else _SHARE_OF_ONE
        least = max(_SECONDS_FOR_ONE, _BUILDS_FOR_ONE * self._seconds_to_build)
        deadline = min(self._deadline, now + max((self._deadline - now) * share, least))
        probe = Probe(module, signatures.called(module), self._plan.context)
        failures = None if self._configured is not None else self._failures
        came = [begun.furthest for begun in self._begun[-_CAME_FURTHEST:]]
        before = list(reversed([state for state in came if state is not None]))
        latest = self._deadline
        return InputSearch(
            probe, module, fresh, draft, deadline, latest=latest, failures=failures, before=before
        )

    def _with(self, state: State) -> Recipe:
        return replace(self._draft, construct=recipe.arranged(state, self._plan.parameters))


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
