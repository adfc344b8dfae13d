"""Where optimizers are built and stepped, over which models, and whether those hold a given class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from fixer.facts.file import File, Function, dotted, walk_function
from fixer.facts.flow import Flow
from fixer.facts.kinds import (
    ANY_MODULE,
    UNKNOWN,
    Answer,
    Kind,
    ModuleKind,
    OneOf,
    OptimizerKind,
    SequenceKind,
    Symbol,
    is_parameter,
    join,
    options,
)
from fixer.facts.project import Class, Project

Scope = ast.Module | Function
_PARAMETER_METHODS = ("parameters", "named_parameters")
_DEPTH = 3


@dataclass(frozen=True)
class Model:
    """Something whose parameters an optimizer takes."""

    node: ast.expr
    """The expression: ``model``, ``self.net``."""
    kind: Kind
    attribute: str | None = None
    """Set where only this parameter of it is taken: ``Adam([gate.width])``."""
    owners: tuple[tuple[ast.expr, Kind, str], ...] = ()
    """What it is a part of, nearest first, and the path from there: ``net``, its kind, ``features``."""

    @classmethod
    def of(cls, node: ast.expr, flow: Flow, attribute: str | None = None) -> Model:
        """The model that an expression of a flow stands for."""
        owners: list[tuple[ast.expr, Kind, str]] = []
        part, path = node, ""
        while isinstance(part, ast.Attribute):
            path = f"{part.attr}.{path}".rstrip(".")
            part = part.value
            owners.append((part, flow.kind(part), path))
        return cls(node, flow.kind(node), attribute, tuple(owners))


@dataclass(frozen=True)
class Construction:
    """A call that builds an optimizer."""

    file: File
    scope: Scope
    call: ast.Call
    statement: ast.stmt
    target: str | None
    """What it is bound to: ``optimizer``, ``self.opt``; None where it is used in place."""
    models: tuple[Model, ...]
    certain: bool
    """Whether the class is certainly a `torch.optim.Optimizer`."""


@dataclass(frozen=True)
class Step:
    """A call ``optimizer.step()`` (or ``scaler.step(optimizer)``) that is a statement of its own."""

    file: File
    scope: Scope
    statement: ast.Expr
    optimizer: str
    models: tuple[Model, ...]
    """Modules in the same scope."""


def constructions(project: Project) -> list[Construction]:
    """Every construction of an optimizer in the tree, in file order."""
    found: list[Construction] = []
    for file in project.mentioning(b"optim"):
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Call):
                built = _construction(project, file, node)
                if built is not None:
                    found.append(built)
    return sorted(found, key=lambda built: (built.file.path, built.call.lineno, built.call.col_offset))


def _construction(project: Project, file: File, call: ast.Call) -> Construction | None:
    taken = _taken_argument(call)
    if taken is None:
        return None
    scope: Scope = file.function(call) or file.tree
    symbol = project.resolve(file, call.func)
    certain = symbol is not None and (
        is_optimizer(project, symbol) or _builds_from_parameters(project, file, scope, call, taken)
    )
    statement = file.statement(call)
    target = _target(statement, call)
    if not certain:
        known_other = symbol is not None and (symbol.path is not None or symbol.name.startswith("torch."))
        if known_other or target is None or not _is_stepped(file, target):
            return None
    flow = flow_with_callers(project, file, scope)
    models = tuple(_models(flow, scope, taken))
    return Construction(file, scope, call, statement, target, models, certain)


def _builds_from_parameters(
    project: Project, file: File, scope: Scope, call: ast.Call, taken: ast.expr
) -> bool:
    """Whether a function of the tree is called with ``m.parameters()`` and returns an optimizer."""
    gives = any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _PARAMETER_METHODS
        for node in ast.walk(taken)
    )
    flow = project.flow(file, scope) if gives else None
    return flow is not None and isinstance(flow.kind(call), OptimizerKind)


def is_optimizer(project: Project, symbol: Symbol) -> bool:
    """Whether a symbol certainly names a subclass of `torch.optim.Optimizer`."""
    if symbol.path is not None:
        cls = project.find_class(symbol)
        return cls is not None and any(
            is_optimizer(project, base)
            for ancestor in project.lineage(cls)
            for base in ancestor.bases
            if not base.path
        )
    head, _, name = symbol.name.rpartition(".")
    return head == "torch.optim" and name[:1].isupper()


def _taken_argument(call: ast.Call) -> ast.expr | None:
    if call.args and not isinstance(call.args[0], ast.Starred):
        return call.args[0]
    return next((keyword.value for keyword in call.keywords if keyword.arg == "params"), None)


def _target(statement: ast.stmt, call: ast.Call) -> str | None:
    """What a statement binds the call's result to."""
    if isinstance(statement, ast.AnnAssign) and statement.value is call:
        return dotted(statement.target)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    if call in _results(statement.value):
        return dotted(target)
    if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
        for part, value in zip(target.elts, statement.value.elts, strict=False):
            if value is call:
                return dotted(part)
    return None


def _results(node: ast.expr) -> list[ast.expr]:
    """The expressions whose value another one may take: both branches of a conditional one."""
    if isinstance(node, ast.IfExp):
        return [*_results(node.body), *_results(node.orelse)]
    return [node]


def _is_stepped(file: File, target: str) -> bool:
    """Whether something of that name is used as an optimizer is: `step` and `zero_grad` are called on it."""
    called = {
        node.func.attr
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and dotted(node.func.value) == target
    }
    return {"step", "zero_grad"} <= called


def _models(flow: Flow, scope: Scope, taken: ast.expr) -> Iterator[Model]:
    """What the first argument of an optimizer takes parameters from."""
    seen: set[str] = set()
    waiting: list[ast.expr] = [taken]
    names: set[str] = set()
    while waiting:
        expression = waiting.pop()
        for node in ast.walk(expression):
            found: Model | None = None
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _PARAMETER_METHODS
            ):
                found = Model.of(node.func.value, flow)
            elif isinstance(node, ast.Attribute) and is_parameter(flow.kind(node)) is Answer.YES:
                found = Model.of(node.value, flow, node.attr)
            elif isinstance(node, ast.Call):
                for argument in node.args:  # Adam(groups_of(model))
                    name = dotted(argument)
                    if name and name not in seen and _is_module(flow.kind(argument)):
                        seen.add(name)
                        yield Model.of(argument, flow)
            elif isinstance(node, ast.Name) and node.id not in names and not _is_module(flow.kind(node)):
                names.add(node.id)
                waiting += _bound_to(scope, node.id)
            if found is not None:
                text = f"{ast.unparse(found.node)}.{found.attribute}"
                if text not in seen:
                    seen.add(text)
                    yield found


def _is_module(kind: Kind) -> bool:
    return any(isinstance(option, ModuleKind) for option in options(kind))


def _bound_to(scope: Scope, name: str) -> Iterator[ast.expr]:
    """Expressions that make up a local list of parameters: what it is assigned, and what is added to it."""
    loops: list[ast.For] = []
    for node in walk_function(scope):
        if (
            isinstance(node, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        ) or (
            isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name
        ):
            yield node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if (
                isinstance(owner, ast.Name)
                and owner.id == name
                and node.func.attr in ("append", "extend", "add")
            ):
                yield from node.args
        elif isinstance(node, ast.For):
            loops.append(node)
    for loop in loops:
        grows = any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("append", "extend", "add")
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == name
            for node in ast.walk(loop)
        )
        if grows:
            yield loop.iter


def steps(project: Project) -> list[Step]:
    """Every optimizer step that is a statement of its own, in file order."""
    found: list[Step] = []
    for file in project.mentioning(b".step("):
        for node in ast.walk(file.tree):
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
                continue
            call = node.value
            if not (isinstance(call.func, ast.Attribute) and call.func.attr == "step"):
                continue
            scope: Scope = file.function(node) or file.tree
            flow = flow_with_callers(project, file, scope)
            candidates = [call.func.value, *call.args[:1]]  # scaler.step(optimizer)
            for candidate in candidates:
                name = dotted(candidate)
                if name is None:
                    continue
                kind = flow.kind(candidate)
                if isinstance(kind, OptimizerKind) or (kind == UNKNOWN and _is_stepped_in(scope, name)):
                    models = tuple(_modules_in(flow, scope))
                    found.append(Step(file, scope, node, name, models))
                    break
    return sorted(found, key=lambda step: (step.file.path, step.statement.lineno))


def has_unknown_origin(project: Project, step: Step, built: list[Construction]) -> bool:
    """Whether a stepped optimizer comes out of a call other than those that are known to build one.

    One that the scope gets from elsewhere, or that wraps another, is a known one.
    """
    owner = step.file.class_of(step.scope) if isinstance(step.scope, Function) else None
    where = owner if owner is not None and "." in step.optimizer else step.scope
    known = {construction.call for construction in built}
    calls = [
        node.value
        for node in ast.walk(where)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and any(dotted(target) == step.optimizer for target in node.targets)
    ]
    return any(call not in known and not _gives_optimizer(project, step.file, call, built) for call in calls)


def _gives_optimizer(project: Project, file: File, call: ast.Call, built: list[Construction]) -> bool:
    """Whether a call certainly returns an optimizer that the tree builds, or one that it is given."""
    flow = flow_with_callers(project, file, file.function(call) or file.tree)
    if isinstance(flow.kind(call), OptimizerKind):
        return True
    if any(isinstance(flow.kind(argument), OptimizerKind) for argument in call.args):
        return True
    symbol = project.resolve(file, call.func)
    return symbol is not None and any(
        construction.file.symbol(construction.scope) == symbol
        for construction in built
        if not isinstance(construction.scope, ast.Module)
    )


def _is_stepped_in(scope: Scope, name: str) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "zero_grad"
        and dotted(node.func.value) == name
        for node in ast.walk(scope)
    )


def _modules_in(flow: Flow, scope: Scope) -> Iterator[Model]:
    """The modules that a scope calls, and the arguments of which nothing is known that it calls."""
    seen: set[str] = set()
    arguments = set() if isinstance(scope, ast.Module) else _argument_names(scope)
    for node in walk_function(scope):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name is None or name in seen:
                continue
            kind = flow.kind(node.func)
            if _is_module(kind) or (name in arguments and kind == UNKNOWN):
                seen.add(name)
                yield Model.of(node.func, flow)


def _argument_names(function: Function) -> set[str]:
    arguments = function.args
    return {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


# What callers pass


def flow_with_callers(project: Project, file: File, scope: Scope, depth: int = 0) -> Flow:
    """The flow of a scope in which unannotated arguments are what the tree's callers pass."""
    key = (scope, "callers")
    if key not in project.caller_flows:
        project.caller_flows[key] = Flow.of(project, file, scope)  # what a recursive question gets
        if not isinstance(scope, ast.Module):
            arguments = dict(_passed(project, file, scope, depth))
            attributes = dict(_attributes_passed(project, file, scope, depth))
            if arguments or attributes:
                project.caller_flows[key] = Flow.of(project, file, scope, {**arguments, **attributes})
    return project.caller_flows[key]


def _passed(project: Project, file: File, function: Function, depth: int) -> Iterator[tuple[str, Kind]]:
    """For each argument: the join of what every call in the tree passes, where all are known."""
    is_method = file.class_of(function) is not None
    if is_method and function.name != "__init__" and depth > 0:
        return
    arguments = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    names = arguments[1:] if is_method else arguments
    names += [argument.arg for argument in function.args.kwonlyargs]
    calls = list(_calls_of(project, file, function, depth))
    for position, name in enumerate(names):
        kinds = []
        for flow, call in calls:
            kinds.append(_argument(flow, call, position, name))
        known = [kind for kind in kinds if kind is not None]
        if known and join(known) != UNKNOWN:
            yield name, join(known)


def _argument(flow: Flow, call: ast.Call, position: int, name: str) -> Kind | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return flow.kind(keyword.value)
    if position < len(call.args) and not any(isinstance(argument, ast.Starred) for argument in call.args):
        return flow.kind(call.args[position])
    return None


def _calls_of(
    project: Project, file: File, function: Function, depth: int
) -> Iterator[tuple[Flow, ast.Call]]:
    """The calls in the tree that certainly run a function, with the flows they stand in."""
    if depth >= _DEPTH:
        return
    owner = file.class_of(function)
    wanted = file.symbol(owner) if owner is not None else file.symbol(function)
    is_constructor = owner is not None and function.name == "__init__"
    name = wanted.name.rpartition(".")[2] if owner is None or is_constructor else function.name
    for other in project.mentioning(name.encode()):
        for node in ast.walk(other.tree):
            if not isinstance(node, ast.Call):
                continue
            last = (dotted(node.func) or "").rpartition(".")[2]
            if owner is not None and not is_constructor:
                if not (isinstance(node.func, ast.Attribute) and last == name):
                    continue
            elif project.resolve(other, node.func) != wanted:
                continue
            scope: Scope = other.function(node) or other.tree
            if scope is function:
                continue
            yield flow_with_callers(project, other, scope, depth + 1), node


def _attributes_passed(
    project: Project, file: File, function: Function, depth: int
) -> Iterator[tuple[str, Kind]]:
    """For a method of a plain class: ``self.model`` as the constructor's callers passed it."""
    owner = file.class_of(function)
    cls = project.class_at(file, owner) if owner is not None else None
    if cls is None or function.name == "__init__" or depth >= _DEPTH:
        return
    constructor = project.method(cls, "__init__")
    arguments = [*function.args.posonlyargs, *function.args.args]
    if constructor is None or not arguments:
        return
    self_name = arguments[0].arg
    flow = flow_with_callers(project, constructor[0].file, constructor[1], depth + 1)
    for path, value in flow.exit.values.items():
        if path.startswith(f"{self_name}.") and path.count(".") == 1 and _is_module(value.kind):
            yield path, value.kind


# Ownership


def owning(project: Project, model: Model, cls: Class, paths: set[str]) -> Model:
    """The instance of `cls` that a model is a part of, where the part may hold a constrained parameter.

    ``Adam(net.features.parameters())`` takes parameters of ``net`` itself. `paths` are those of the
    constrained parameters below an instance (``lin.weight``); an empty one stands for any parameter.
    """
    for node, kind, path in model.owners:
        taken = f"{path}.{model.attribute}" if model.attribute else path
        if is_instance(project, kind, cls) and any(
            not p or p == taken or p.startswith(taken + ".") for p in paths
        ):
            return Model(node, kind)
    return model


def holds(project: Project, model: Model, cls: Class, paths: set[str], file: File) -> Answer:
    """Whether a model's parameters include those of an instance of `cls`.

    `paths` are the constrained parameters' (see `owning`), for optimizers that take single ones; `file` is
    where the question is asked, since what cannot reach the class's module holds no instance of it.
    """
    if model.attribute is not None and not any(p in ("", model.attribute) for p in paths):
        return Answer.NO
    answer = _holds(project, model.kind, cls, frozenset())  # Yes if in one branch at least
    if answer is not Answer.UNKNOWN:
        return answer
    if not _is_given(model, file) and not project.reaches(file, cls.file.path):
        return Answer.NO
    return Answer.UNKNOWN


def is_instance(project: Project, kind: Kind, cls: Class) -> bool:
    """Whether a kind is certainly an instance of a class itself (not of a module that contains one)."""
    return isinstance(kind, ModuleKind) and project.derives(kind.cls, cls.symbol)


def _holds(project: Project, kind: Kind, cls: Class, seen: frozenset[Symbol]) -> Answer:
    if isinstance(kind, OneOf):
        return _any(_holds(project, option, cls, seen) for option in kind.options)
    if isinstance(kind, SequenceKind):
        return _any(_holds(project, item, cls, seen) for item in (*(kind.items or ()), kind.element))
    if not isinstance(kind, ModuleKind):
        return Answer.UNKNOWN if kind == UNKNOWN else Answer.NO
    if project.derives(kind.cls, cls.symbol):
        return Answer.YES
    parts = [*(kind.items or ()), *([kind.element] if kind.element is not None else [])]
    within = _any(_holds(project, part, cls, seen) for part in parts)
    if kind == ANY_MODULE:
        return Answer.UNKNOWN
    owner = project.find_class(kind.cls)
    if owner is None or kind.cls in seen:
        return within
    for slot in project.class_slots(owner).values():
        modules = [o for o in options(slot) if isinstance(o, (ModuleKind, SequenceKind))]
        if any(_holds(project, part, cls, seen | {kind.cls}) is Answer.YES for part in modules):
            return Answer.YES
    if within is Answer.YES:
        return within
    return Answer.UNKNOWN if _mentions(project, owner, cls) or _takes_modules(owner) else within


def _any(answers: Iterator[Answer]) -> Answer:
    found = set(answers)
    if Answer.YES in found:
        return Answer.YES
    return Answer.UNKNOWN if Answer.UNKNOWN in found else Answer.NO


def _mentions(project: Project, owner: Class, cls: Class) -> bool:
    """Whether the code of a class, or of classes it names, ever names `cls`."""
    seen: set[Symbol] = set()
    waiting = [owner]
    while waiting:
        current = waiting.pop()
        if current.symbol in seen:
            continue
        seen.add(current.symbol)
        for node in ast.walk(current.node):
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                symbol = project.resolve(current.file, node)
                if symbol == cls.symbol:
                    return True
                named = project.find_class(symbol)
                if named is not None:
                    waiting.append(named)
    return False


def _takes_modules(owner: Class) -> bool:
    """Whether a constructor stores an argument that other methods call: a module passed in."""
    constructor = owner.methods.get("__init__")
    if constructor is None:
        return False
    arguments = {argument.arg for argument in (*constructor.args.args, *constructor.args.kwonlyargs)}
    stored = {
        target.attr
        for node in ast.walk(constructor)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in arguments
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }
    called = {
        node.func.attr
        for node in ast.walk(owner.node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    return bool(stored & called)


def _is_given(model: Model, file: File) -> bool:
    """Whether a model comes from outside its scope: an argument, or an attribute of an argument."""
    name = dotted(model.node)
    function = file.function(model.node)
    if name is None or function is None:
        return False
    return name.split(".")[0] in _argument_names(function)
