"""Repairs of plain values: legal strings, numbers and lengths that a message, a guard or a table names."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import mismatch, names, source, specs

if TYPE_CHECKING:
    from .probing import Failure, Frame
    from .repair_arguments import Plan
    from .specs import Spec, State

_LEGAL = 4
_LONGEST = 32
_MOST_COMPARED = 30


def suspected(failure: Failure, state: State, plan: Plan) -> list[str]:
    """Return the parameters: those that the failing lines name first, then those that were given."""
    known = [parameter.name for parameter in plan.parameters]
    return list(
        dict.fromkeys([*in_failing_lines(failure, plan), *(name for name in known if name in state), *known])
    )


def in_failing_lines(failure: Failure, plan: Plan) -> list[str]:
    """Return the parameters that the failing lines name, or what was computed from them; innermost first.

    Last come those that are read off something that keeps them: ``self.settings.depth``.
    """
    known = [parameter.name for parameter in plan.parameters]
    found: dict[str, None] = {}
    kept: dict[str, None] = {}
    for frame in reversed(failure.own_frames):
        statement = plan.context.sources.statement(frame.filename, frame.line)
        if statement is None:
            continue
        reached = {path for node in ast.walk(_head(statement)) for path in [source.dotted(node)] if path}
        own = isinstance(frame.scope.get("self"), plan.cls)
        found.update((name, None) for name in known if name in reached)
        found.update((name, None) for name in known if own and plan.aliases(name) & reached)
        fields = {path.rpartition(".")[2] for path in reached if own and path.count(".") > 1}
        kept.update((name, None) for name in known if name in fields)
    return list({**found, **kept})


def _head(statement: ast.stmt) -> ast.AST:
    """Return the part of a statement that belongs to its first line: a test or an iterable, not the body."""
    for field in ("test", "iter"):
        part = getattr(statement, field, None)
        if isinstance(part, ast.expr) and not isinstance(statement, ast.Assert):
            return part
    return statement


def legal_string(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Legal values that the message, or the table a lookup failed in, names."""
    suspects = suspected(failure, state, plan)
    rejected = [
        name for name in suspects if _is_string(name, state, plan) or _is_shown(name, failure, state, plan)
    ]
    legal = re.findall(r"['\"]([\w\-.]+)['\"]", failure.message)
    if isinstance(failure.error, KeyError):
        looked_up = failure.error.args[:1]
        found = [name for name in suspects if name in state and (state[name].get("value"),) == looked_up]
        rejected = list(dict.fromkeys([*found, *rejected]))
        legal = [key for frame in reversed(failure.own_frames) for key in _tables(frame, plan)]
        yield from _looked_up_inside(looked_up, legal, state)
    for name, values in _compared(failure, state, plan):
        yield from ({**state, name: specs.literal(value)} for value in values[:12])
    for name in rejected[:3]:
        yield from ({**state, name: specs.literal(value)} for value in legal[:12])


def _looked_up_inside(looked_up: tuple[Any, ...], legal: list[str], state: State) -> Iterator[State]:
    """A setting in a record was looked up in a table that does not have it: those that the table has."""
    for name in state:
        for path, leaf in specs.leaves(state[name], (name,)):
            if len(path) > 1 and leaf["kind"] == "literal" and (leaf["value"],) == looked_up:
                yield from (specs.replaced(state, path, specs.literal(word)) for word in legal[:_LEGAL])


_LISTED = re.compile(
    r"(one of|choose|support|availab|valid|expected|known|must be|should be|allowed|not in)", re.IGNORECASE
)


def listed_string(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A message that has a word that was given, and those that may be given in its place."""
    if not _LISTED.search(failure.message):
        return
    words = re.findall(r"[\w][\w\-.+/]*", failure.message)
    for name in suspected(failure, state, plan):
        given = state[name].get("value") if name in state else plan.defaults[name]
        if isinstance(given, str) and given in words:
            quoted = re.findall(r"['\"]([\w\-.]+)['\"]", failure.message)
            listed = quoted if len(set(quoted) - {given}) else _enumerated(failure.message)
            others = [word for word in dict.fromkeys(listed) if word not in (given, name)]
            yield from ({**state, name: specs.literal(word)} for word in others[:_LEGAL])


def _enumerated(message: str) -> list[str]:
    """The words of the last list that a message spells out: ``must be one of mean, sum, none``."""
    *_, last = re.split(r"\b(?:one of|are|is|be|from|in|:)\s", message)
    return re.findall(r"[\w][\w\-.]*", last)


def _compared(failure: Failure, state: State, plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """Yield arguments whose value the failing function compares with strings, with those strings."""
    for frame in reversed(failure.own_frames[-2:]):
        definition = plan.context.sources.enclosing(frame.filename, frame.line)
        strings: dict[str, list[str]] = {}
        for node in ast.walk(definition) if definition is not None else ():
            path = source.dotted(node.left) if isinstance(node, ast.Compare) else None
            if isinstance(node, ast.Compare) and path is not None:
                found = [text for item in node.comparators for text in source.strings_in(item)]
                strings.setdefault(path, []).extend(found)
        for path, legal in strings.items():
            try:
                value = source.evaluate(ast.parse(path, mode="eval").body, {**frame.outer, **frame.scope})
            except Exception:  # it is not there yet
                continue
            for name in suspected(failure, state, plan)[:_MOST_COMPARED] if legal else ():
                given = state[name].get("value") if name in state else plan.defaults[name]
                if isinstance(given, (str, int)) and type(given) is type(value) and given == value:
                    yield name, list(dict.fromkeys(legal))


def _is_string(name: str, state: State, plan: Plan) -> bool:
    value = state[name].get("value") if name in state else plan.defaults[name]
    return isinstance(value, str)


def _is_shown(name: str, failure: Failure, state: State, plan: Plan) -> bool:
    """Whether a message speaks of a number that was given, by the argument's name, where it lists strings."""
    return _number(name, state, plan) is not None and is_named(name, failure)


def is_named(name: str, failure: Failure) -> bool:
    """Whether a message names an argument, as it is written or in words."""
    words = re.escape(name).replace("_", "[_ ]")
    return re.search(rf"\b{words}\b", failure.message) is not None


def _tables(frame: Frame, plan: Plan) -> list[str]:
    """Return the keys of the tables that the failing line looks something up in."""
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


_USUAL = ("relu", "adam", "batchnorm1d", "mseloss", "linear")


def legal_attribute(failure: Failure, state: State, _plan: Plan) -> Iterator[State]:
    """A word that a module of that name was looked up by: ``getattr(nn, "relu")`` wants ``ReLU``."""
    match = re.search(r"module '([\w.]+)' has no attribute '(\w+)'", failure.message)
    known = dir(sys.modules[match[1]]) if match and match[1] in sys.modules else []
    if match is None or not known:
        return
    for word in dict.fromkeys((match[2].lower().replace("_", ""), *_USUAL)):
        for name in known:
            if name.lower().replace("_", "") == word and name != match[2]:
                for path, spec in (leaf for key in state for leaf in specs.leaves(state[key], (key,))):
                    if spec == specs.literal(match[2]):
                        yield specs.replaced(state, path, specs.literal(name))


_INTEGERS = re.compile(
    r"of floating point|scalar type Float|not implemented for '(Long|Int)'|type (Long|long int)\b|found Long"
)


def as_fractions(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A tensor was made of integers where it has to be trained: the same numbers, as fractions."""
    for name in suspected(failure, state, plan) if _INTEGERS.search(failure.message) else ():
        spec = state.get(name) or specs.spec_of(plan.defaults[name])
        changed = None if spec is None else _as_fractions(spec)
        if spec is not None and changed is not None and specs.text_of(changed) != specs.text_of(spec):
            yield {**state, name: changed}


def _as_fractions(spec: Spec) -> Spec:
    if spec["kind"] == "literal" and type(spec["value"]) is int:
        return specs.literal(float(spec["value"]))
    if spec["kind"] in ("list", "tuple"):
        return {**spec, "items": [_as_fractions(item) for item in spec["items"]]}
    return spec


def legal_number(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Divisibility, equality and bounds that an assert or a raise spelled out."""
    suspects = suspected(failure, state, plan)
    numbers = [name for name in suspects if _number(name, state, plan) is not None]
    if re.search(r"div\w+ble|multiple|divid", failure.message) or _has_modulo(failure, plan):
        for value in (32, 48, 96, 64, 1, 2, 4, 8, 16, 3):
            yield from ({**state, name: specs.literal(value)} for name in numbers[:3])
    between = re.search(r"between (-?\d+(?:\.\d+)?) and (-?\d+(?:\.\d+)?)", failure.message)
    if between:
        middle = (float(between[1]) + float(between[2])) / 2
        yield from ({**state, name: specs.literal(middle)} for name in numbers[:3])
    for seen, wanted in mismatch.sizes(failure, plan.context.sources):
        yield from (
            {**state, name: specs.literal(wanted)} for name in numbers if _number(name, state, plan) == seen
        )
        yield from _in_ratio(seen, wanted, numbers, state, plan)
    for left, right, node in mismatch.compared(failure, plan.context.sources):
        for other in right if isinstance(right, (list, tuple, set)) else [right]:
            if type(other) in (int, float, str):
                step = 1 if type(other) is int and isinstance(node.ops[0], (ast.Gt, ast.LtE)) else 0
                for value in (other + step, other) if step else (other,):
                    fitting = (name for name in suspects[:3] if _is_alike(value, _number(name, state, plan)))
                    yield from ({**state, name: specs.literal(value)} for name in fitting)
        if isinstance(left, (list, tuple)) or isinstance(right, (list, tuple)):
            yield from _equal_lengths(state)
    if isinstance(failure.error, (ZeroDivisionError, RuntimeError, ValueError)):
        for value in (64, 128, 1, 2):
            yield from ({**state, name: specs.literal(value)} for name in numbers[:3])


_BEYOND = re.compile(
    r"[Dd]imension out of range.*\[-?\d+, (-?\d+)\], but got (-?\d+)|repeated dim|duplicate dim"
)


def legal_dimension(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A number that was given is a dimension, and there are not so many: lists of them are orders."""
    match = _BEYOND.search(failure.message)
    read = _attributes_read(failure, plan) if match else set()
    likely = sorted(suspected(failure, state, plan), key=lambda name: name not in read) if match else []
    for name in likely:
        spec = state.get(name) or specs.spec_of(plan.defaults[name])
        if spec is None or match is None:
            continue
        if spec["kind"] in ("list", "tuple") and spec["items"]:
            order = [specs.literal(place) for place in range(len(spec["items"]))]
            yield {**state, name: {**spec, "items": order}}
        elif match[2] is not None and _is_near(spec, int(match[2])):
            yield from ({**state, name: specs.literal(place)} for place in (1, 0))


def _attributes_read(failure: Failure, plan: Plan) -> set[str]:
    """Return the attributes that the failing lines read, whoever's they are."""
    lines = (plan.context.sources.statement(frame.filename, frame.line) for frame in failure.own_frames)
    nodes = (node for line in lines if line is not None for node in ast.walk(_head(line)))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)}


_BATCH_AND_CHANNELS = 2


def _is_near(spec: Spec, dimension: int) -> bool:
    """Whether a number is a dimension, or one after that of the batch and that of the channels."""
    value = spec.get("value")
    return type(value) is int and 0 <= dimension - value <= _BATCH_AND_CHANNELS


def _is_alike(value: Any, given: Any) -> bool:
    """Whether a value may stand for a number: what was counted is not cut into pieces."""
    return not (isinstance(given, int) and isinstance(value, float) and value != int(value))


_SIZES_AT_ODDS = re.compile(
    r"must match (the size|except)|shapes cannot be multiplied|to have \d+ channels|broadcast"
    r"|normalized_shape="
)
_WIDTHS = 3
_LARGEST = 1 << 20


def widths_at_odds(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Two widths that have to go together, as where a block adds its input to four times as many channels."""
    if not _SIZES_AT_ODDS.search(failure.message):
        return
    given = [name for name in suspected(failure, state, plan) if name in state and names.is_width(name)]
    for seen, wanted in list(mismatch.sizes(failure, plan.context.sources))[:2]:
        yield from _in_ratio(seen, wanted, given[:_WIDTHS], state, plan)
        yield from _in_ratio(wanted, seen, given[:_WIDTHS], state, plan)


def _in_ratio(seen: int, wanted: int, numbers: list[str], state: State, plan: Plan) -> Iterator[State]:
    """What was seen may be a multiple of an argument: make it the wanted size."""
    for name in numbers[:3] if seen > 0 and wanted > 0 else ():
        value = _number(name, state, plan)
        if not isinstance(value, int) or value <= 0 or value * wanted % seen or wanted == seen:
            continue
        if value * wanted // seen <= _LARGEST:  # repairs of repairs have no end
            yield {**state, name: specs.literal(value * wanted // seen)}


def _has_modulo(failure: Failure, plan: Plan) -> bool:
    frame = next(iter(reversed(failure.own_frames)), None)
    guard = plan.context.sources.guard(frame.filename, frame.line) if frame else None
    return any(isinstance(node, ast.Mod) for node in (ast.walk(guard) if guard else ()))


def _number(name: str, state: State, plan: Plan) -> int | float | None:
    value = state[name].get("value") if name in state else plan.defaults[name]
    return value if type(value) in (int, float) else None


def legal_length(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A message says how long a list has to be."""
    wanted = re.findall(r"(?:length|len|elements|entries|items|values)\D{0,12}(\d+)", failure.message)
    wanted += re.findall(r"(\d+)[- ](?:elements|entries|items|values|tuple)", failure.message)
    for name in suspected(failure, state, plan) if wanted else ():
        spec = state.get(name) or specs.spec_of(plan.defaults[name])
        if spec is None or spec["kind"] not in ("list", "tuple") or not spec["items"]:
            continue
        for length in dict.fromkeys(map(int, wanted)):
            items = (spec["items"] * length)[:length]
            if 0 < length <= _LONGEST and items != spec["items"]:
                yield {**state, name: {**spec, "items": items}}


def _equal_lengths(state: State) -> Iterator[State]:
    """Make all lists as long as each other: as one of them is, then of other lengths."""
    lists = {
        name: spec for name, spec in state.items() if spec["kind"] in ("list", "tuple") and spec["items"]
    }
    lengths = [len(spec["items"]) for spec in lists.values()]
    for length in dict.fromkeys([*lengths, 2, 3, 4, 1, 5]) if lists else ():
        yield {
            **state,
            **{name: {**spec, "items": [spec["items"][0]] * length} for name, spec in lists.items()},
        }


def any_lengths(_failure: Failure, state: State, _plan: Plan) -> Iterator[State]:
    """Lists that have to go together."""
    yield from _equal_lengths(state)
