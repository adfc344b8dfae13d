"""What the attributes of an instance of a class of the tree hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fixer.facts.env import Env, Value
from fixer.facts.file import Function, decorator_name, dotted, self_name
from fixer.facts.flow import Flow
from fixer.facts.kinds import (
    ABSENT,
    NONE,
    UNKNOWN,
    Answer,
    BufferKind,
    Kind,
    ModuleKind,
    ParameterKind,
    Plain,
    Symbol,
    is_parameter,
    join,
    options,
    without,
)
from fixer.facts.layers import layer_slots
from fixer.facts.operators import ADDING_METHODS, REORDERING_METHODS, with_element
from fixer.facts.project import Class, Partial, Project, Slots
from fixer.facts.torch_facts import torch_facts


def compute_slots(project: Project, cls: Class) -> tuple[Slots, Partial]:
    """What an instance's attributes hold: after the constructors, joined with what other methods assign.

    Also what they held where the constructors called other methods.
    """
    inherited, before = project.inherited(cls)
    slots, partial = dict(inherited), dict(before)
    _construct(project, cls, cls, slots, partial)
    for ancestor in project.lineage(cls):
        for name, function in ancestor.methods.items():
            if name not in ("__init__", "__new__"):
                _join_writes(project, ancestor, function, slots)
    return slots, partial


def add_class_level(project: Project, cls: Class, slots: Slots) -> None:
    """Add properties, and class attributes that no constructor overrides."""
    for ancestor in reversed(project.lineage(cls)):
        slots.update(_class_level(project, ancestor, slots))


def compute_inherited(project: Project, cls: Class) -> tuple[Slots, Partial]:
    """What the constructors of the class's bases leave behind, and what they showed other methods."""
    slots, partial = _layer_slots(project, cls), Partial()
    for ancestor in reversed(project.lineage(cls)[1:]):
        _construct(project, cls, ancestor, slots, partial)
    return slots, partial


def _layer_slots(project: Project, cls: Class) -> Slots:
    """What the constructor of the torch layer leaves behind that a class derives from."""
    layer = _torch_layer(project, cls)
    if layer is None:
        return {}
    return layer_slots(ModuleKind(layer, _super_arguments(project, cls, layer), exact=True))


def _torch_layer(project: Project, cls: Class) -> Symbol | None:
    """The torch layer that a class derives from, if it does."""
    for ancestor in project.lineage(cls):
        for base in ancestor.bases:
            if base.name.startswith("torch.nn.") and base.name != "torch.nn.Module":
                return base
    return None


# Constructors


def _construct(project: Project, cls: Class, ancestor: Class, slots: Slots, partial: Partial) -> None:
    """Run the constructor that `ancestor` defines on an instance of `cls`; it goes on from `slots`."""
    function = ancestor.methods.get("__init__")
    own = self_name(function) if function is not None else None
    if function is None or own is None:
        return
    if _skips_base(function, ancestor):
        slots.update(dict.fromkeys(slots, UNKNOWN))
    flow = Flow(project, ancestor.file, cls, own)
    start = flow.start(function)
    for path in [path for path in start.values if "." in path]:
        del start.values[path]
    flow.constructs = project.has_known_bases(cls)
    start.values.update({f"{own}.{name}": Value(kind) for name, kind in slots.items()})
    flow.finish(function.body, start)
    slots.update(flow.slots(flow.exit))
    for called, states in flow.slots_at_calls.items():
        partial[called] = [*partial.get(called, ()), *states]


def _skips_base(function: Function, cls: Class) -> bool:
    """Whether a constructor does not certainly run its base's: it names none, or another class's."""
    for node in ast.walk(function):
        match node:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=[]), attr="__init__"):
                return False
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=[named, *_]), attr="__init__"):
                return (dotted(named) or "") not in (cls.node.name, "__class__")
            case ast.Attribute(value=ast.Name() | ast.Attribute() as named, attr="__init__"):
                return (dotted(named) or "") not in map(dotted, cls.node.bases)
    return True


def _super_arguments(project: Project, cls: Class, layer: Symbol) -> tuple[tuple[str, Kind], ...]:
    """The flags a constructor passes to the torch layer it derives from; unknown ones loosen every slot."""
    hidden = (("**", UNKNOWN),)
    function = cls.methods.get("__init__")
    facts = torch_facts().layers.get(layer.name.removeprefix("torch.nn."))
    if function is None or layer not in cls.bases:
        return hidden
    flow = Flow(project, cls.file, None, None)
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")):
                if any(isinstance(argument, ast.Starred) for argument in node.args):
                    return hidden
                if any(keyword.arg is None for keyword in node.keywords):
                    return hidden
                names = facts.arguments if facts else ()
                named = {name: flow.eval(a, Env()).kind for name, a in zip(names, node.args, strict=False)}
                named.update({k.arg: flow.eval(k.value, Env()).kind for k in node.keywords if k.arg})
                return tuple(sorted(named.items(), key=lambda pair: pair[0]))
    return hidden


# Other methods


def _join_writes(project: Project, cls: Class, function: Function, slots: Slots) -> None:
    """Take into account what a method other than the constructor does to attributes of `self`.

    A Parameter's slot accepts another Parameter or None; a tensor raises. So only None and `del` loosen it.
    """
    own = self_name(function)
    if own is None:
        return
    missing = ABSENT if project.has_known_bases(cls) else UNKNOWN
    for node in cls.file.within(function):
        if isinstance(node, ast.Call):
            _join_call(node, own, slots, missing)
        elif isinstance(node, ast.Delete):
            slots.update({name: UNKNOWN for target in node.targets if (name := _own(target, own))})
        else:
            for target, value in _written(node):
                name = _own(target, own)
                if name is not None:
                    slots[name] = _with_write(project, cls, slots.get(name, missing), target, value)
                elif isinstance(target, ast.Subscript) and (name := _own(target.value, own)) in slots:
                    slots[name] = with_element(slots[name], UNKNOWN)


def _written(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """The targets of an assignment, each with its value; None where it is unpacked from something."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, (ast.Tuple, ast.List)):
                    yield from ((part, None) for part in target.elts)
                else:
                    yield target, value
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.For(target=target) | ast.withitem(optional_vars=ast.expr() as target):
            yield target, None


def _with_write(project: Project, cls: Class, held: Kind, target: ast.expr, value: ast.expr | None) -> Kind:
    """What a slot may hold where a method also assigns `value` to it."""
    if isinstance(value, ast.Constant) and value.value is None:
        return join((held, NONE))
    present = without(held, lambda option: option == ABSENT)
    if is_parameter(present) is Answer.YES and (present == held or _reads(cls, target)):
        return held  # it raises for all but a Parameter, where there is one
    if value is None:
        return UNKNOWN
    before = Env({dotted(target) or "": Value(present)})  # `self.net = self.net.cuda()`
    return join((held, Flow(project, cls.file, None, None).eval(value, before).kind))


def _reads(cls: Class, target: ast.expr) -> bool:
    """Whether the statement that assigns an attribute reads it first, and so fails where it is absent."""
    statement = cls.file.statement(target)
    assert isinstance(statement, (ast.Assign, ast.AnnAssign))
    path = dotted(target)
    return statement.value is not None and any(dotted(node) == path for node in ast.walk(statement.value))


def _own(node: ast.expr, self_name: str) -> str | None:
    """``name`` of ``self.name``."""
    match node:
        case ast.Attribute(value=ast.Name(id=root), attr=name) if root == self_name:
            return name
    return None


def _join_call(node: ast.Call, own: str, slots: Slots, missing: Kind) -> None:
    """``self.register_buffer("x", t)``, ``self.layers.append(layer)``."""
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=root), attr=method), args=[ast.Constant(value=str(name)), *_]
        ) if root == own:
            held = slots.get(name, missing)
            if method == "register_buffer":
                slots[name] = join((held, BufferKind()))
            elif method == "register_parameter" and is_parameter(held) is not Answer.YES:
                slots[name] = join((held, ParameterKind(), NONE))
        case ast.Call(func=ast.Attribute(value=collection, attr=method)):
            name_of = _own(collection, own)
            if name_of in slots and method in ADDING_METHODS | REORDERING_METHODS:
                slots[name_of] = with_element(slots[name_of], UNKNOWN)


def _class_level(project: Project, cls: Class, slots: Slots) -> Slots:
    """What the body of a class binds."""
    found: Slots = {}
    for statement in cls.node.body:
        match statement:
            case ast.FunctionDef() if not {"property", "cached_property"}.isdisjoint(
                map(decorator_name, statement.decorator_list)
            ):
                flow = project.flow(cls.file, statement)
                found[statement.name] = flow.result if flow is not None else UNKNOWN
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                default = NONE if value is None else Plain(value)
                if name not in slots:
                    found[name] = default
                elif ABSENT in options(slots[name]):
                    found[name] = join([default, *(o for o in options(slots[name]) if o != ABSENT)])
    return found
