"""Repairs of records that become the ``**arguments`` of a class, and of fields that a library checks."""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import signatures, source, specs
from .annotations import annotation_of
from .kinds import of_kind

if TYPE_CHECKING:
    from .probing import Failure, Frame
    from .repair_arguments import Plan
    from .specs import Spec, State

_CLASSES = 4
_ROUNDS = 4


def handed_on(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A record that was guessed is handed on: ``Model(**options)``. It holds what builds that class."""
    records = {name for name, spec in state.items() if spec["kind"] == "namespace"}
    for frame in failure.own_frames if records else ():
        statement = plan.context.sources.statement(frame.filename, frame.line)
        for call, name in _receiving(statement, records, plan):
            cls = _called(call, frame)
            made = plan.context.made(cls) if inspect.isclass(cls) and cls is not plan.cls else None
            if made is not None:
                names = [item.name for item in signatures.constructor_parameters(cls)]
                given = {keyword.arg for keyword in call.keywords} | set(names[: len(call.args)])
                held = {**dict(zip(names, made["args"])), **made["kwargs"]}
                items = {key: spec for key, spec in held.items() if key not in given}
                yield {**state, name: specs.namespace({**state[name]["items"], **items})}


def _receiving(statement: ast.stmt | None, records: set[str], plan: Plan) -> Iterator[tuple[ast.Call, str]]:
    """Yield the calls of a statement that get one of some arguments as ``**name``, with the argument."""
    nodes = ast.walk(statement) if statement is not None else ()
    for call in (node for node in nodes if isinstance(node, ast.Call)):
        for keyword in call.keywords:
            path = source.dotted(keyword.value) if keyword.arg is None else None
            for name in sorted(records) if path is not None else ():
                if path in plan.aliases(name):
                    yield call, name


def _called(call: ast.Call, frame: Frame) -> Any:
    try:
        return source.evaluate(call.func, {**vars(builtins), **frame.outer, **frame.scope})
    except Exception:  # more than a chain of names, or one that is not there
        return None


_ENTRY = re.compile(r"^([A-Za-z_]\w*)\n[ \t]+(\S.*?)(?: [(\[]type=.*)?$", re.MULTILINE)
_KINDS = (
    ("namespace", r"valid (dict|mapping)|valid dictionary"),
    ("list", r"valid (list|sequence|iterable)"),
    ("tuple", r"valid tuple"),
    ("int", r"valid integer"),
    ("float", r"valid (number|float|decimal)"),
    ("str", r"valid string|str type expected"),
    ("bool", r"valid boolean|boolean"),
    ("callable", r"callable"),
)


def checked_fields(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A library that checks arguments by their annotations says of each what it should be."""
    if type(failure.error).__name__ != "ValidationError":
        return
    told = {match[1]: match[2] for match in _ENTRY.finditer(failure.message) if match[1] in plan.defaults}
    found = {name: list(itertools.islice(_fitting(name, text, plan), _ROUNDS)) for name, text in told.items()}
    for place in range(_ROUNDS if any(found.values()) else 0):
        yield {**state, **{name: items[min(place, len(items) - 1)] for name, items in found.items() if items}}


def _fitting(name: str, text: str, plan: Plan) -> Iterator[Spec]:
    """Yield what would do for a field, by what was said of it."""
    if " instance of " in f" {text}":
        yield from _instances(name, plan)
    for kind, pattern in _KINDS:
        if re.search(pattern, text):
            yield from of_kind(kind, name, plan.context)
            return
    bound = re.search(r"(greater|less) than (or equal to )?(-?\d+)", text)
    if bound:
        yield specs.literal(int(bound[3]) + (1 if bound[1] == "greater" else -1))
    yield from map(specs.literal, re.findall(r"'([^']+)'", text))
    yield from plan.guesses(name)


def _instances(name: str, plan: Plan) -> Iterator[Spec]:
    """Yield instances of the class that a field is annotated with, or of those below it."""
    parameter = next(item for item in plan.parameters if item.name == name)
    cls = annotation_of(parameter, signatures.home(plan.cls, name))
    own = [cls] if inspect.isclass(cls) and not inspect.isabstract(cls) else []
    for below in [*own, *signatures.subclasses(cls)][:_CLASSES] if inspect.isclass(cls) else ():
        made = plan.context.made(below)
        if made is not None:
            yield made
