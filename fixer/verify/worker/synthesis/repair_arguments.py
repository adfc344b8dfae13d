"""Turns the failure of a constructor into arguments worth trying next.

Every step has the same shape: it takes the failure, the arguments and the `Plan`, and yields other arguments.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import arguments, mismatch, names, source, specs

if TYPE_CHECKING:
    import inspect

    from .arguments import Context
    from .probing import Failure, Frame
    from .specs import Path, Spec, State

_SHRINK_BELOW = 16


class Plan:
    """What is being built: the parameters of the constructor and the guesses for them."""

    def __init__(self, cls: type, context: Context) -> None:
        self.cls = cls
        self.context = context
        self.function: Callable[..., Any] = next(
            (vars(owner)["__init__"] for owner in cls.__mro__ if "__init__" in vars(owner)), cls.__init__
        )
        self.parameters = [
            item
            for item in arguments.constructor_parameters(cls)
            if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
        ]
        self._guesses: dict[str, list[Spec]] = {}

    def guesses(self, name: str) -> list[Spec]:
        """Return what an argument may be, best guess first."""
        if name not in self._guesses:
            parameter: inspect.Parameter | None = next(
                (item for item in self.parameters if item.name == name), None
            )
            self._guesses[name] = (
                arguments.candidates(parameter, self.function, self.context)
                if parameter
                else [specs.literal(names.integer(name))]
            )
        return self._guesses[name]

    def start(self) -> State:
        """Return the best guess for everything that must be given."""
        guesses = {parameter.name: self.guesses(parameter.name)[0] for parameter in self.parameters}
        return {name: spec for name, spec in guesses.items() if spec != arguments.ABSENT}


def repairs(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Yield arguments to try after a failure, likeliest first."""
    for step in _STEPS:
        for changed in step(failure, state, plan):
            yield {name: spec for name, spec in changed.items() if spec != arguments.ABSENT}


def _suspects(failure: Failure, state: State, plan: Plan) -> list[str]:
    """Return the parameters: those that the failing lines name first."""
    known = [parameter.name for parameter in plan.parameters]
    found: dict[str, None] = {}
    for frame in reversed(failure.own_frames):
        statement = plan.context.sources.statement(frame.filename, frame.line)
        if statement is None:
            continue
        reached = {path for node in ast.walk(_head(statement)) for path in [source.dotted(node)] if path}
        for name in known:
            if frame.function == "__init__" and frame is not failure.own_frames[0]:
                continue
            node = plan.context.sources.function(plan.function)
            held = source.aliases(node, name) if node is not None else {name}
            if held & reached:
                found.setdefault(name)
    given = [name for name in known if name in state]
    return list(dict.fromkeys([*found, *given, *known]))


def _head(statement: ast.stmt) -> ast.AST:
    """Return the part of a statement that belongs to its first line: a test or an iterable, not the body."""
    for field in ("test", "iter"):
        part = getattr(statement, field, None)
        if isinstance(part, ast.expr) and not isinstance(statement, ast.Assert):
            return part
    return statement


def _missing_argument(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    match = re.search(r"__init__\(\) missing \d+ required .*?arguments?: (.*)", failure.message)
    for name in re.findall(r"'(\w+)'", match[1]) if match else ():
        if name not in state and name in [parameter.name for parameter in plan.parameters]:
            yield from ({**state, name: spec} for spec in plan.guesses(name)[:4])


def _missing_entry(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A configuration lacks an attribute or an item: add it, of the kind that its use asks for."""
    error = failure.error
    match = re.search(r"'Namespace' object has no attribute '(\w+)'", failure.message)
    key: Any = match[1] if match else error.args[0] if isinstance(error, KeyError) and error.args else None
    if not isinstance(key, str):
        return
    guesses = _entry_guesses(key, failure, plan)
    spaces = [(path, spec) for name in state for path, spec in _namespaces(state[name], (name,))]
    for guess in guesses[:4]:
        for path, spec in spaces:
            if key not in spec["items"]:
                yield specs.replaced(state, (*path, key), guess)


def _namespaces(spec: Spec, path: Path) -> Iterator[tuple[Path, Spec]]:
    if spec["kind"] in ("namespace", "helper"):
        yield path, spec
    items = spec.get("items")
    for key, item in items.items() if isinstance(items, dict) else ():
        yield from _namespaces(item, (*path, key))


def _entry_guesses(key: str, failure: Failure, plan: Plan) -> list[Spec]:
    """Return guesses for an entry from how the failing function uses it, then from its name."""
    found: list[Spec] = []
    for frame in reversed(failure.own_frames):
        statement = plan.context.sources.statement(frame.filename, frame.line)
        for node in ast.walk(statement) if statement else ():
            path = source.dotted(node)
            if path and path.endswith("." + key):
                definition = _enclosing(frame, plan)
                if definition is not None:
                    function = _Scope(frame.outer)
                    found.extend(arguments.used_in(definition, path, function, plan.context))
    return arguments.unique(
        [
            *found,
            *arguments.of_kind(names.kind_of(key), key, plan.context),
            *arguments.of_kind("int", key, plan.context),
        ]
    )


class _Scope:
    """Gives the globals of a frame the place where a function has them."""

    def __init__(self, outer: dict[str, Any]) -> None:
        self.__globals__ = outer

    def __call__(self) -> None:
        """Never called: guessing only reads the globals."""


def _enclosing(frame: Frame, plan: Plan) -> ast.AST | None:
    tree = plan.context.sources.tree(frame.filename)
    around = [
        node
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and node.lineno <= frame.line <= (getattr(node, "end_lineno", None) or 0)
    ]
    return max(
        (node for node in around if isinstance(node, ast.FunctionDef)),
        key=lambda node: node.lineno,
        default=None,
    )


def _too_large(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Shrink everything by the same factor, so that ratios and divisibility stay."""
    if (
        type(failure.error).__name__ not in ("TooLarge", "MemoryError", "_OutOfTime")
        and "allocate" not in failure.message
    ):
        return
    for factor in (8, 4, 16, 32, 2):
        yield {
            **{name: _shrunk(spec, factor) for name, spec in state.items()},
            **{
                parameter.name: _shrunk(described, factor)
                for parameter in plan.parameters
                if parameter.name not in state
                for described in [specs.spec_of(parameter.default)]
                if described is not None and described != _shrunk(described, factor)
            },
        }


def _shrunk(spec: Spec, factor: int) -> Spec:
    value = spec.get("value")
    if spec["kind"] == "literal" and type(value) is int and value >= _SHRINK_BELOW:
        return specs.literal(max(value // factor, 4))
    items = spec.get("items")
    if isinstance(items, dict):
        return {**spec, "items": {key: _shrunk(item, factor) for key, item in items.items()}}
    if isinstance(items, list):
        return {**spec, "items": [_shrunk(item, factor) for item in items]}
    if spec["kind"] == "new":
        return {**spec, "kwargs": {key: _shrunk(item, factor) for key, item in spec["kwargs"].items()}}
    return spec


def _wrong_kind(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """An argument of the wrong kind: the message says what was asked of it."""
    wanted = next((kinds for pattern, kinds in _KINDS if re.search(pattern, failure.message)), ())
    for name in _suspects(failure, state, plan)[:4]:
        for kind in wanted:
            for spec in arguments.of_kind(kind, name, plan.context)[:4]:
                yield {**state, name: spec}


_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"is not (iterable|subscriptable)|has no len|not a sequence|must be (a )?(list|tuple|sequence|iterable)|cannot unpack|argument after \*", ("list", "namespace")),
    (r"is not callable", ("class", "module", "callable")),
    (r"'(int|float|str|NoneType|bool)' object has no attribute '(parameters|modules|eval|train|state_dict|forward|weight)'", ("module",)),
    (r"is not a Module subclass|not a Module|must be .*Module", ("module",)),
    (r"'(int|float|str|NoneType|bool|list)' object has no attribute '(shape|size|dim|clone|detach)'|must be (a )?Tensor|argument .* must be Tensor", ("tensor",)),
    (r"'(int|float|NoneType|bool|str)' object has no attribute '(lower|split|startswith|upper)'", ("str",)),
    (r"'(int|float|NoneType|bool|str)' object has no attribute", ("namespace", "module", "list")),
    (r"object cannot be interpreted as an integer|must be int|invalid combination of arguments|unsupported operand|not supported between|must be real number|"
     r"can't multiply sequence|int\(\) argument|must be tuple of ints", ("int", "float", "list")),
    (r"argument after \*\* must be a mapping", ("namespace",)),
)  # fmt: skip


def _legal_string(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Legal values that the message, or the table a lookup failed in, names."""
    rejected = [
        name
        for name in _suspects(failure, state, plan)
        if _is_string(state.get(name)) or _default_is_string(name, plan)
    ]
    legal = re.findall(r"['\"]([\w\-.]+)['\"]", failure.message)
    if isinstance(failure.error, KeyError):
        legal = [key for frame in reversed(failure.own_frames) for key in _tables(frame, plan)]
    for name in rejected[:3]:
        for value in legal[:12]:
            yield {**state, name: specs.literal(value)}


def _is_string(spec: Spec | None) -> bool:
    return spec is not None and spec["kind"] == "literal" and isinstance(spec["value"], str)


def _default_is_string(name: str, plan: Plan) -> bool:
    return any(item.name == name and isinstance(item.default, str) for item in plan.parameters)


def _tables(frame: Frame, plan: Plan) -> list[str]:
    statement = plan.context.sources.statement(frame.filename, frame.line)
    found: list[str] = []
    for node in ast.walk(statement) if statement else ():
        if isinstance(node, ast.Subscript):
            try:
                table = source.evaluate(node.value, {**frame.outer, **frame.scope})
                found.extend(key for key in table if isinstance(key, str))
            except Exception:  # not a table that is at hand
                continue
    return found


def _legal_number(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Divisibility and equality that an assert or a raise spelled out."""
    numbers = [name for name in _suspects(failure, state, plan) if _number(name, state, plan) is not None]
    if re.search(r"divisible|multiple|divid", failure.message) or _has_modulo(failure, plan):
        for value in (32, 48, 96, 64, 1, 2, 4, 8, 16, 3):
            yield from ({**state, name: specs.literal(value)} for name in numbers[:3])
    for seen, wanted in mismatch.sizes(failure, plan.context.sources):
        yield from (
            {**state, name: specs.literal(wanted)} for name in numbers if _number(name, state, plan) == seen
        )
    for left, right, node in mismatch.compared(failure, plan.context.sources):
        for other in right if isinstance(right, (list, tuple, set)) else [right]:
            if isinstance(other, (int, float, str)) and type(other) is not bool:
                bigger = (
                    other + 1
                    if isinstance(other, (int, float)) and isinstance(node.ops[0], (ast.Gt, ast.LtE))
                    else other
                )
                for name in _suspects(failure, state, plan)[:3]:
                    yield {**state, name: specs.literal(bigger)}
                    yield {**state, name: specs.literal(other)}
        if isinstance(left, (list, tuple)) or isinstance(right, (list, tuple)):
            yield from _equal_lengths(state)
    if isinstance(failure.error, (ZeroDivisionError, RuntimeError, ValueError)):
        for value in (64, 128, 1, 2):
            yield from ({**state, name: specs.literal(value)} for name in numbers[:3])


def _equal_lengths(state: State) -> Iterator[State]:
    """Make all lists as long as one of them."""
    lists = {
        name: spec for name, spec in state.items() if spec["kind"] in ("list", "tuple") and spec["items"]
    }
    for length in dict.fromkeys(len(spec["items"]) for spec in lists.values()):
        yield {
            **state,
            **{name: {**spec, "items": [spec["items"][0]] * length} for name, spec in lists.items()},
        }


def _has_modulo(failure: Failure, plan: Plan) -> bool:
    frame = next(iter(reversed(failure.own_frames)), None)
    guard = plan.context.sources.guard(frame.filename, frame.line) if frame else None
    return any(isinstance(node, ast.Mod) for node in (ast.walk(guard) if guard else ()))


def _number(name: str, state: State, plan: Plan) -> float | None:
    spec = state.get(name)
    if spec is None:
        default = next((item.default for item in plan.parameters if item.name == name), None)
        return default if type(default) in (int, float) else None
    return spec["value"] if spec["kind"] == "literal" and type(spec["value"]) in (int, float) else None


def _none_given(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Something was None: give the arguments that were left out, one by one."""
    if "None" not in failure.message:
        return
    defaults = {parameter.name: parameter.default for parameter in plan.parameters}
    for name in _suspects(failure, state, plan):
        if name not in state and defaults.get(name) is None:
            for spec in [spec for spec in plan.guesses(name) if spec != arguments.ABSENT][:3]:
                yield {**state, name: spec}


def _other_lengths(_failure: Failure, state: State, _plan: Plan) -> Iterator[State]:
    lists = {
        name: spec for name, spec in state.items() if spec["kind"] in ("list", "tuple") and spec["items"]
    }
    for length in (2, 3, 4, 1, 5) if lists else ():
        yield {
            **state,
            **{name: {**spec, "items": [spec["items"][0]] * length} for name, spec in lists.items()},
        }


def _other_guess(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    suspects = _suspects(failure, state, plan)
    for rank in range(1, 8):
        for name in suspects:
            guesses = plan.guesses(name)
            if rank < len(guesses):
                yield {**state, name: guesses[rank]}


_STEPS: tuple[Callable[[Failure, State, Plan], Iterator[State]], ...] = (
    _missing_argument,
    _missing_entry,
    _too_large,
    _wrong_kind,
    _legal_string,
    _legal_number,
    _none_given,
    _other_lengths,
    _other_guess,
)
