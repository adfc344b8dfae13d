"""Repairs of what the lists among a constructor's arguments hold: objects that have what is read off each."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from . import mismatch, names, signatures, source, specs
from .kinds import defines, of_kind
from .repair_values import in_failing_lines

if TYPE_CHECKING:
    from .probing import Failure, Frame
    from .repair_arguments import Plan
    from .specs import Path, Spec, State

_CLASSES = 4
_ADDED = re.compile(
    r"can only concatenate (list|tuple|str) \(not|operand type\(s\) for \+=?: '\w+' and '\w+'"
)
_EMPTY = re.compile(
    "empty|greater than zero|at least (one|two|1|2)|is null|no elements|of 0 elements|no tensor"
)
_STRING = re.compile(r"(should|must) be (a )?str(ing)?\b|expected str\b|expected a string")
_CALLED = re.compile(r"'(int|float|str)' object is not callable")
_LACKING = re.compile(r"'(\w+)' object has no attribute '(\w+)'")


def added(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """What the failing line adds to a list has to be a list, too; what it adds to a string, a string."""
    match = _ADDED.search(failure.message)
    kind = match and next(iter(re.findall("list|tuple|str", match[0])), None)
    for name in in_failing_lines(failure, plan) if kind else ():
        spec = state.get(name)
        if kind == "str":
            words = [specs.literal("name"), specs.literal("name_1")]
            if spec is not None and spec["kind"] in ("list", "tuple"):
                yield {**state, name: {**spec, "items": words[: max(len(spec["items"]), 1)]}}
        elif spec is not None and spec["kind"] == "literal":
            alike = [item for item in state.values() if item["kind"] in ("list", "tuple")]
            others = of_kind(str(kind), name, plan.context)
            yield from ({**state, name: other} for other in (*alike[:1], *others[:2]))


def lacking(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """An item of a list lacks what is read off it: all that are like it become objects that have it."""
    match = _LACKING.search(failure.message)
    frame = next(iter(reversed(failure.own_frames)), None)
    if match is None or frame is None or match[1] not in ("int", "float", "str"):
        return
    value = _holder(match[2], frame, plan)
    alike = [path for path in _inside(state) if type(value) is _type_at(state, path, value)]
    near = set(in_failing_lines(failure, plan))
    places = [path for path in alike if path[0] in near] or alike
    classes = list(itertools.islice(_classes(match[2], frame, plan), _CLASSES)) if places else []
    for cls in classes:
        yield _with_objects(state, places, [cls], plan)
    if len(classes) > 1:
        yield _with_objects(state, places, classes, plan)


def other_objects(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """Nothing was left of some objects: other classes that share a field with theirs, then some of each."""
    if not _EMPTY.search(failure.message):
        return
    found = list(_objects(state))
    for name in dict.fromkeys(spec["class"]["value"] for _, spec in found):
        places = [path for path, spec in found if spec["class"]["value"] == name]
        cls = _class_of(next(spec for _, spec in found if spec["class"]["value"] == name))
        others = list(itertools.islice(_sharing(cls), _CLASSES))
        yield from (_with_objects(state, places, [other], plan) for other in others)
        yield from (_with_objects(state, places, [other, cls], plan) for other in others)


def filled(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """There was nothing to work on: lists and records of parts, of which the defaults hold none."""
    for name, default in plan.defaults.items() if _EMPTY.search(failure.message) else ():
        is_left_out = default is None or (isinstance(default, (list, tuple, dict)) and not default)
        if not state[name].get("items", True) if name in state else is_left_out:
            found = (spec for spec in plan.guesses(name) if isinstance(spec.get("items"), (list, dict)))
            full = (spec for spec in found if spec["items"] and spec["kind"] != "helper")
            yield from ({**state, name: spec} for spec in itertools.islice(full, 1))


_MEMBER = re.compile(r"^(?:'([^']+)'|(-?\d+(?:\.\d+)?)) is not in (?:list|tuple)")


def members(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A name or a number was looked for in a list that the failing lines name: it becomes one of the list."""
    match = _MEMBER.search(failure.message)
    asked: list[Any] = [match[1] or ast.literal_eval(match[2])] if match else []
    for left, right, node in mismatch.compared(failure, plan.context.sources):
        if isinstance(node.ops[0], ast.In) and type(left) is str and isinstance(right, (list, tuple)):
            asked.append(left)
    for member in asked[:1]:
        for name in in_failing_lines(failure, plan):
            spec = state.get(name) or specs.spec_of(plan.defaults[name]) or specs.literal(None)
            if specs.is_none(spec) or spec["kind"] in ("list", "tuple"):
                alike = [item for item in spec.get("items", ()) if type(item.get("value")) is type(member)]
                if specs.literal(member) not in alike:
                    yield {**state, name: specs.sequence("list", [*alike, specs.literal(member)])}


def concrete(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """A method of an object among the arguments is for subclasses to write: an object of one that does."""
    frame = next(iter(reversed(failure.own_frames)), None)
    if frame is None or not isinstance(failure.error, NotImplementedError):
        return
    owner = type(frame.scope.get("self"))
    held = [item for name, spec in state.items() for item in specs.holders(spec, (name,))]
    places = [path for path, spec in held if spec["kind"] == "new" and _class_of(spec) is owner]
    others = signatures.subclasses(owner) if places else []
    root = plan.cls.__module__.split(".")[0]
    fitting = [item for item in others if frame.function in vars(item) and specs.is_importable(item)]
    for other in sorted(fitting, key=lambda item: item.__module__.split(".")[0] != root)[:_CLASSES]:
        yield _with_objects(state, places, [other], plan)


def _class_of(spec: Spec) -> type:
    found: type = specs.find_named(spec["class"]["module"], spec["class"]["value"], {})
    return found


def _sharing(cls: type) -> Iterator[type]:
    """Yield the other classes of the same file that have a field in common with a class that is no module."""
    fields = {item.name for item in signatures.constructor_parameters(cls)}
    for other in list(vars(sys.modules.get(cls.__module__, ast)).values()):
        is_other = inspect.isclass(other) and other.__module__ == cls.__module__ and other is not cls
        is_usable = is_other and not issubclass(cls, nn.Module) and not inspect.isabstract(other)
        if is_usable and fields & {item.name for item in signatures.constructor_parameters(other)}:
            yield other


def words(failure: Failure, state: State, _plan: Plan) -> Iterator[State]:
    """A field of objects has to be a string: one whose name said nothing of what it is."""
    found = list(_objects(state)) if _STRING.search(failure.message) else []
    unknown = specs.literal(names.UNKNOWN)
    for field in dict.fromkeys(key for _, spec in found for key in spec["kwargs"]):
        changed = state
        for path, spec in found:
            if spec["kwargs"].get(field) == unknown:
                word = {**spec, "kwargs": {**spec["kwargs"], field: specs.literal("name")}}
                changed = specs.replaced(changed, path, _called(word, _place(path)))
        if changed is not state:
            yield changed


def called(failure: Failure, state: State, plan: Plan) -> Iterator[State]:
    """What a list holds is called: the lists that the failing lines name become lists of functions.

    Those whose pairs were taken apart before, as that of ``for attend, feed in layers``, are named no more.
    """
    if not _CALLED.search(failure.message):
        return
    for name in in_failing_lines(failure, plan) or [name for name in state if _is_nested(state[name])]:
        spec = state.get(name)
        is_list = spec is not None and spec["kind"] in ("list", "tuple") and spec["items"]
        places = list(specs.leaves(spec, (name,))) if spec is not None and is_list else []
        if places and all(leaf["kind"] == "literal" for _, leaf in places):
            found = of_kind("callable", name, plan.context)[:2]
            for item in reversed(found) if spec is not None and _is_nested(spec) else found:
                changed = state
                for path, _ in places:
                    changed = specs.replaced(changed, path, item)
                yield changed


def _is_nested(spec: Spec) -> bool:
    return spec["kind"] == "list" and any(item["kind"] in ("list", "tuple") for item in spec["items"])


def _objects(state: State) -> Iterator[tuple[Path, Spec]]:
    """Yield the objects inside of lists and of other objects, with their paths."""
    for name, held in state.items():
        for path, spec in specs.holders(held, (name,)):
            if spec["kind"] == "new" and len(path) > 1:
                yield path, spec


def _place(path: Path) -> int:
    return int(path[-1]) if path[-1].isdigit() else 0


def _holder(attribute: str, frame: Frame, plan: Plan) -> Any:
    """Return what the failing line read an attribute off, None if it is not at hand."""
    statement = plan.context.sources.statement(frame.filename, frame.line)
    for node in ast.walk(statement) if statement is not None else ():
        if isinstance(node, ast.Attribute) and node.attr == attribute:
            try:
                return mismatch.value_in(node.value, frame)
            except Exception:  # the variable of a comprehension, or a call
                continue
    return None


def _inside(state: State) -> Iterator[Path]:
    """Yield the paths of the plain values inside of lists and objects."""
    for name, spec in state.items():
        for path, leaf in specs.leaves(spec, (name,)):
            if leaf["kind"] == "literal" and len(path) > 1:
                yield path


def _type_at(state: State, path: Path, value: Any) -> type | None:
    """Return the type of a plain value, None if it is another one."""
    found = specs.at(state, path)["value"]
    return type(found) if found == value else None


def _classes(attribute: str, frame: Frame, plan: Plan) -> Iterator[type]:
    """Yield the classes that have an attribute: those that the failing function tests for first."""
    definition = plan.context.sources.enclosing(frame.filename, frame.line)
    found = dict.fromkeys([*_tested(definition, frame), *_of_package(plan, frame)])
    yield from (cls for cls in found if not inspect.isabstract(cls) and defines(cls, attribute))


def _tested(definition: ast.AST | None, frame: Frame) -> Iterator[type]:
    """Yield the classes that a function tests something for."""
    for node in ast.walk(definition) if definition is not None else ():
        if isinstance(node, ast.Call) and source.dotted(node.func) == "isinstance" and len(node.args) == 2:
            for item in ast.walk(node.args[1]):
                path = source.dotted(item)
                found = frame.outer.get(path or "")
                if inspect.isclass(found) and specs.is_importable(found):
                    yield found


def _of_package(plan: Plan, frame: Frame) -> list[type]:
    """Return the classes of the package that are no modules, those that the failing file knows first."""
    root = plan.cls.__module__.split(".")[0]
    near = {id(value) for value in frame.outer.values()}
    found = [
        cls
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == root
        for cls in list(getattr(module, "__dict__", {}).values())
        if inspect.isclass(cls) and cls.__module__ == name and not issubclass(cls, (nn.Module, BaseException))
    ]
    return sorted(found, key=lambda cls: id(cls) not in near)


def _with_objects(state: State, places: list[Path], classes: list[type], plan: Plan) -> State:
    """Put objects in some places; those in one list have different names."""
    for index, path in enumerate(places):
        made = plan.context.instance(classes[index % len(classes)])
        state = specs.replaced(state, path, _called(made, _place(path)))
    return state


def _called(spec: Spec, place: int) -> Spec:
    """Return an object with a name of its own."""
    own = {
        key: specs.literal(f"{item['value']}_{place}") if item == specs.literal("name") and place else item
        for key, item in spec["kwargs"].items()
    }
    return {**spec, "kwargs": own}
