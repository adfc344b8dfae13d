"""Which statements of a module's forward pass project parameters, and may run somewhere else instead."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from fixer.facts.file import File, Function, blocks, dotted
from fixer.facts.flow import Flow
from fixer.facts.kinds import ModuleKind, is_tensor_like, options
from fixer.facts.project import Class, Project
from fixer.facts.tamper import EVERY, tampered
from fixer.facts.updates import (
    Context,
    Nature,
    Update,
    certain,
    projection_nature,
    reached_from_forward,
    stripped,
    turns_grad_off,
    update_of,
    written_attributes,
)

_PURE_BUILTINS = frozenset(
    "len float int bool str min max abs sum isinstance issubclass hasattr getattr enumerate zip list tuple "
    "range round sorted reversed type filter".split()
)
_RANDOM = frozenset(
    "normal bernoulli multinomial poisson uniform exponential random geometric cauchy".split()
)
_SELF_ITERATORS = frozenset(
    "modules named_modules children named_children parameters named_parameters buffers named_buffers".split()
)


@dataclass(frozen=True)
class Frame:
    """A guard on configuration, or a loop over parts of the module, that also holds other statements."""

    statement: ast.If | ast.For
    truth: bool = True
    """Which way the test of an `if` turned out."""

    @property
    def head(self) -> ast.expr:
        """The test, or what is iterated."""
        return self.statement.test if isinstance(self.statement, ast.If) else self.statement.iter


@dataclass(frozen=True)
class Unit:
    """A statement of a method that does nothing but project parameters, with what it needs around it."""

    statement: ast.stmt
    frames: tuple[Frame, ...]
    """What is around it and stays behind, outermost first."""


@dataclass(frozen=True)
class Projecting:
    """A method with the projections in it."""

    cls: Class
    function: Function
    units: tuple[Unit, ...]
    updates: tuple[tuple[Update, Nature], ...]
    """Every projection within the units, in order."""
    support: tuple[ast.Assign, ...]
    """Assignments of local names that the units read, in order."""
    after_use: bool
    """Whether a parameter was read in the method before it is projected."""
    obstacle: str | None
    """Why the units cannot be moved, if they cannot."""
    call: ast.Expr | None = None
    """The statement ``self.clip()`` that runs the method, where the method does nothing but project: then the
    call moves, and the method stays."""


def projecting_methods(project: Project, cls: Class) -> list[Projecting]:
    """The methods of a class itself that a forward pass reaches and that project parameters."""
    candidates = [
        function
        for function in cls.methods.values()
        if function.name not in ("__init__", "__new__", "__setattr__")
    ]
    analyses = []
    for function in candidates:
        if not _may_update(function):
            continue
        flow = project.flow(cls.file, function)
        if flow is not None:
            method = _Method(project, cls, function, flow)
            if method.natures:
                analyses.append(method)
    if not analyses:
        return []
    reached = _reached(project, cls)
    found = []
    for method in analyses:
        if method.function.name in reached:
            method.takes_constants = _takes_constants(project, cls, method.function, reached)
            projecting = method.projecting(reached[method.function.name])
            if projecting is not None:
                found.append(
                    projecting if projecting.function.name == "forward" else _called(project, projecting)
                )
    return found


def _takes_constants(
    project: Project, cls: Class, function: Function, reached: dict[str, list[Function]]
) -> bool:
    """Whether a helper is called in one place, with what depends on nothing but configuration."""
    calls = [
        (caller, node)
        for caller in cls.methods.values()
        for node in ast.walk(caller)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == function.name
    ]
    if len(calls) != 1:
        return False
    caller, call = calls[0]
    flow = project.flow(cls.file, caller)
    if flow is None or function.name == "forward":
        return False
    method = _Method(project, cls, caller, flow)
    method.state = method._state(reached[function.name])
    return method.passes_constants(call)


def _called(project: Project, helper: Projecting) -> Projecting:
    """A helper of `forward`: its call moves if it only projects, else its projections do."""
    cls, name = helper.cls, helper.function.name
    outside = [
        f"{file.path.name}:{node.lineno}"
        for file in project.mentioning(name.encode())
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Attribute) and node.attr == name and not _inside(file, node, cls)
    ]
    calls = [
        (function, node)
        for function in cls.methods.values()
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Load)
    ]
    whole = len(helper.units) + len(helper.support) == len(_without_docstring(helper.function.body))
    if whole and len(calls) == 1:
        function, node = calls[0]
        statement = cls.file.statement(node)
        flow = project.flow(cls.file, function)
        if flow is not None and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            caller = _Method(project, cls, function, flow)
            if statement.value.func is node and caller.passes_constants(statement.value):
                return caller.calling(statement, helper)
    if outside or len(calls) != 1 or whole:
        where = outside[0] if outside else f"{len(calls)} places in the class"
        return replace(helper, obstacle=helper.obstacle or f"`{name}` is used in {where}")
    return helper


def _inside(file: File, node: ast.AST, cls: Class) -> bool:
    return cls.node in file.ancestors(node)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    is_docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return body[1:] if is_docstring else body


def projection_statements(project: Project, cls: Class) -> set[ast.stmt]:
    """The statements of a class that project a parameter during a forward pass."""
    return {update.statement for method in projecting_methods(project, cls) for update, _ in method.updates}


def _may_update(function: Function) -> bool:
    """A cheap look: an assignment to an attribute or item, or a call of something that ends in ``_``."""
    for node in ast.walk(function):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.Call) and (dotted(node.func) or "_").endswith("_"):
            return True
    return False


def _reached(project: Project, cls: Class) -> dict[str, list[Function]]:
    """Each method that `forward` of the class or of a subclass reaches, with all that it reaches."""
    found: dict[str, list[Function]] = {}
    for current in [cls, *project.subclasses(cls)]:
        reached = reached_from_forward(project, current)
        functions = [method.function for method in reached.values()]
        for name, method in reached.items():
            if method.cls is cls:
                found.setdefault(name, []).extend(functions)
    return found


class _Method:
    """Analysis of one method."""

    def __init__(self, project: Project, cls: Class, function: Function, flow: Flow) -> None:
        self.project = project
        self.cls = cls
        self.file = cls.file
        self.function = function
        self.flow = flow
        self.self_name = flow.self_name
        self.natures: dict[ast.stmt, tuple[Update, Nature]] = {}
        for node in ast.walk(function):
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr)):
                update = update_of(node, self.context)
                nature = projection_nature(update, self.context) if update is not None else None
                if update is not None and nature is not None and self.file.function(node) is function:
                    self.natures[node] = (update, nature)
        self.state: set[str] = set()
        self.takes_constants = False
        """Whether the arguments are the same in each call of the module."""

    @cached_property
    def bound_once(self) -> dict[str, ast.Assign]:
        """Local names that one plain assignment binds, and nothing else."""
        counts: dict[str, int] = {}
        assigned: dict[str, ast.Assign] = {}
        for node in ast.walk(self.function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
                counts[node.id] = counts.get(node.id, 0) + 1
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                changes_tensor = is_tensor_like(self.flow.kind(node.target))  # in place: the name stays bound
                counts[node.target.id] = counts.get(node.target.id, 0) - changes_tensor
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                assigned[node.targets[0].id] = node
        return {name: node for name, node in assigned.items() if counts[name] == 1}

    @cached_property
    def context(self) -> Context:
        """What a projection's value may be seen through."""
        return Context(self.flow, {name: node.value for name, node in self.bound_once.items()})

    def projecting(self, functions: list[Function]) -> Projecting | None:
        """The method's projections, given all functions that run in the same forward pass."""
        self.state = self._state(functions)
        self.natures = {
            statement: (update, nature)
            for statement, (update, nature) in self.natures.items()
            if self._is_projection(update)
        }
        if not self.natures:
            return None
        units = tuple(self._units(self.function.body, ()))
        inside = {node for unit in units for node in ast.walk(unit.statement) if isinstance(node, ast.stmt)}
        left = [statement for statement in self.natures if statement not in inside]
        if any(not self._reportable(statement) for statement in left):
            return None
        updates = sorted(self.natures.values(), key=lambda pair: pair[0].statement.lineno)
        obstacle = self._obstacle(units, left)
        return Projecting(
            self.cls,
            self.function,
            units,
            tuple(updates),
            tuple(self._support(units)),
            self._after_use(self._first_projections(), units),
            obstacle,
        )

    def calling(self, call: ast.Expr, helper: Projecting) -> Projecting:
        """A helper's projections seen from the method that calls it."""
        frames = []
        obstacle = helper.obstacle
        child: ast.AST = call
        for ancestor in self._around(call):
            if isinstance(ancestor, ast.If) and self._independent(ancestor.test):
                frames.append(Frame(ancestor, child in ancestor.body))
            elif not (isinstance(ancestor, ast.With) and self._only_turns_grad_off(ancestor)):
                obstacle = obstacle or f"line {call.lineno} calls it under a condition or in a loop"
            child = ancestor
        unit = Unit(call, tuple(reversed(frames)))
        first = {(dotted(update.parameter) or ""): call.lineno for update, _ in helper.updates}
        obstacle = obstacle or self._obstacle((unit,), [])
        return replace(
            helper,
            units=(unit,),
            support=tuple(self._support((unit,))),
            after_use=helper.after_use or self._after_use(first, (unit,)),
            obstacle=obstacle,
            call=call,
        )

    def passes_constants(self, call: ast.Call) -> bool:
        """Whether no argument of a call depends on the batch, on state or on chance."""
        return all(map(self._independent, [*call.args, *(keyword.value for keyword in call.keywords)]))

    # What the values are made of

    def _state(self, functions: list[Function]) -> set[str]:
        """Attributes that the forward pass itself changes, its projections left out."""
        mine = {id(statement) for statement in self.natures}
        found: set[str] = set()
        for function in functions:
            for node in ast.walk(function):
                if isinstance(node, ast.stmt) and not list(blocks(node)) and id(node) not in mine:
                    if self._projects(function, node):
                        continue
                    found |= written_attributes([ast.copy_location(_wrapped(node), node)])
        return found

    def _projects(self, function: Function, statement: ast.stmt) -> bool:
        """Whether a statement of another method of the same pass is a projection itself."""
        if function is self.function or not isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr)):
            return False
        owner = next((c for c in self.project.lineage(self.cls) if function in c.methods.values()), None)
        flow = self.project.flow(owner.file, function) if owner is not None else None
        context = Context(flow, {}) if flow is not None else None
        update = update_of(statement, context) if context is not None else None
        return update is not None and context is not None and projection_nature(update, context) is not None

    def _is_projection(self, update: Update) -> bool:
        """Whether an update depends on nothing but the module's own parameters and configuration."""
        return (
            self._independent(update.statement)
            and not self._is_frozen(update.parameter)
            and not self._is_tampered(update.parameter)
            and not any(isinstance(a, (ast.Try, ast.While)) for a in self._around(update.statement))
        )

    def _around(self, node: ast.AST) -> Iterator[ast.AST]:
        for ancestor in self.file.ancestors(node):
            if ancestor is self.function:
                return
            yield ancestor

    def _independent(self, node: ast.AST) -> bool:
        """Whether nothing in a statement or expression depends on the batch, on state or on chance."""
        for part in ast.walk(node):
            if not self.takes_constants and self.flow.depends_on_arguments(part):
                return False
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                if part.value.id == self.self_name and part.attr in self.state:
                    return False
            elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                if not self._independent_name(part):
                    return False
            elif (isinstance(part, ast.Call) and not self._harmless(part)) or isinstance(
                part, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Lambda)
            ):
                return False
        return True

    def _independent_name(self, name: ast.Name) -> bool:
        assignment = self.bound_once.get(name.id)
        if assignment is None:
            return True  # an argument or what is computed from one was ruled out by the flow
        if name in ast.walk(assignment):
            return True
        return self._independent(assignment.value)

    def _harmless(self, call: ast.Call) -> bool:
        """Whether a call is a function of its arguments alone (in-place methods of parameters included)."""
        symbol = self.project.resolve(self.file, call.func)
        if symbol is not None:
            name = symbol.name
            if symbol.path is not None or not name.startswith(("torch.", "math.", "numpy.")):
                return False
            return not _is_random(name.rpartition(".")[2])
        if isinstance(call.func, ast.Name):
            return call.func.id in _PURE_BUILTINS
        if isinstance(call.func, ast.Attribute):
            owner = call.func.value
            if isinstance(owner, ast.Name) and owner.id == self.self_name:
                return call.func.attr in _SELF_ITERATORS
            if isinstance(owner, ast.Call) and dotted(owner.func) == "super":
                return False
            is_module = any(isinstance(option, ModuleKind) for option in options(self.flow.kind(owner)))
            if is_module:
                return call.func.attr in _SELF_ITERATORS
            return not _is_random(call.func.attr)
        return False

    def _is_tampered(self, parameter: ast.expr) -> bool:
        """Whether code of the class empties slots of this name in a way that the flow does not see."""
        if not certain(parameter, self.flow):
            return False
        names = {(dotted(parameter) or "").rpartition(".")[2], EVERY}
        lineage = self.project.lineage(self.cls)
        return any(names & tampered(ancestor.file, ancestor.node) for ancestor in lineage)

    def _is_frozen(self, parameter: ast.expr) -> bool:
        """Whether a parameter is made with ``requires_grad=False``: what no optimizer moves needs no hook."""
        path = dotted(parameter)
        if path is None or path.count(".") != 1:
            return False
        name = path.partition(".")[2]
        for ancestor in self.project.lineage(self.cls):
            for node in ast.walk(ancestor.node):
                if isinstance(node, ast.Assign):
                    for target in node.targets:
                        text = dotted(target) or ""
                        if text == path and _has_no_grad_keyword(node.value):
                            return True
                        if text == f"{path}.requires_grad" and _is_false(node.value):
                            return True
                elif isinstance(node, ast.Call):
                    call = dotted(node.func) or ""
                    if call == f"{path}.requires_grad_" and node.args and _is_false(node.args[0]):
                        return True
                    registers = call.endswith(".register_parameter") and len(node.args) > 1
                    named = (
                        registers and isinstance(node.args[0], ast.Constant) and node.args[0].value == name
                    )
                    if named and _has_no_grad_keyword(node.args[1]):
                        return True
        return False

    # What moves

    def _units(self, body: list[ast.stmt], frames: tuple[Frame, ...]) -> Iterator[Unit]:
        for statement in body:
            if self._movable(statement):
                yield Unit(statement, frames)
            elif isinstance(statement, (ast.With, ast.AsyncWith)):
                if all(
                    turns_grad_off(self.file, item.context_expr, self.project) for item in statement.items
                ):
                    yield from self._units(statement.body, frames)
            elif isinstance(statement, ast.If) and self._independent(statement.test):
                yield from self._units(statement.body, (*frames, Frame(statement)))
                yield from self._units(statement.orelse, (*frames, Frame(statement, truth=False)))
            elif isinstance(statement, ast.For) and self._is_plain_loop(statement):
                yield from self._units(statement.body, (*frames, Frame(statement)))

    def _only_turns_grad_off(self, statement: ast.With | ast.AsyncWith) -> bool:
        return all(turns_grad_off(self.file, item.context_expr, self.project) for item in statement.items)

    def _is_plain_loop(self, loop: ast.For) -> bool:
        """Whether a loop goes over parts of the module, all of them, each time."""
        leaves = any(isinstance(node, (ast.Break, ast.Continue, ast.Return)) for node in ast.walk(loop))
        return not loop.orelse and not leaves and self._independent(loop.iter) and not _trains(loop)

    def _movable(self, statement: ast.stmt) -> bool:
        """Whether a statement consists of projections (and what supports them) alone."""
        return self._only_projects(statement) and any(part in self.natures for part in ast.walk(statement))

    def _only_projects(self, statement: ast.stmt) -> bool:
        match statement:
            case ast.Assign() | ast.AugAssign() | ast.Expr() if statement in self.natures:
                return True
            case ast.With(body=body):
                return self._only_turns_grad_off(statement) and all(map(self._only_projects, body))
            case ast.If(test=test, body=body, orelse=orelse):
                return self._independent(test) and all(map(self._only_projects, [*body, *orelse]))
            case ast.For(target=target, iter=iterated, body=body, orelse=orelse):
                names = {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
                used_later = any(self._read_outside(name, statement) for name in names)
                return (
                    not orelse
                    and not used_later
                    and self._independent(iterated)
                    and all(map(self._only_projects, body))
                )
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                return (
                    name in self.bound_once
                    and self._independent(value)
                    and not self._read_outside(name, self._outermost(statement))
                )
            case ast.Pass() | ast.Continue():
                return True
        return False

    def _outermost(self, statement: ast.stmt) -> ast.stmt:
        """The statement of the function's own body that holds a statement."""
        outermost = statement
        for ancestor in self._around(statement):
            if isinstance(ancestor, ast.stmt):
                outermost = ancestor
        return outermost

    def _read_outside(self, name: str, statement: ast.stmt) -> bool:
        """Whether a name is read elsewhere in the function, other than in a loop of its own."""
        inside = set(ast.walk(statement))
        return any(
            isinstance(node, ast.Name)
            and node.id == name
            and isinstance(node.ctx, ast.Load)
            and node not in inside
            and not any(_loops_over(ancestor, name, node) for ancestor in self._around(node))
            for node in ast.walk(self.function)
        )

    def _support(self, units: Iterable[Unit]) -> Iterator[ast.Assign]:
        """Assignments outside the units that bind names which the units read, in order."""
        needed: set[str] = set()
        inside = [unit.statement for unit in units]
        waiting: list[ast.AST] = [*inside, *(frame.head for unit in units for frame in unit.frames)]
        held = {node for statement in inside for node in ast.walk(statement)}
        while waiting:
            for node in ast.walk(waiting.pop()):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in needed:
                    assignment = self.bound_once.get(node.id)
                    if assignment is not None and assignment not in held:
                        needed.add(node.id)
                        waiting.append(assignment.value)
        yield from sorted((self.bound_once[name] for name in needed), key=lambda node: node.lineno)

    def _reportable(self, statement: ast.stmt) -> bool:
        """Whether what is around a projection that cannot move depends on nothing but configuration."""
        for ancestor in self._around(statement):
            if isinstance(ancestor, ast.If) and not self._independent(ancestor.test):
                return False
            if isinstance(ancestor, (ast.For, ast.AsyncFor)) and (
                not self._independent(ancestor.iter) or _trains(ancestor)
            ):
                return False
        return True

    def _obstacle(self, units: tuple[Unit, ...], left: list[ast.stmt]) -> str | None:
        for update, _ in self.natures.values():
            behind = stripped(self.context.locals.get(dotted(update.parameter) or "", update.parameter))[0]
            if not certain(behind, self.flow):
                return f"`{ast.unparse(update.parameter)}` may be reparametrised, and then is no Parameter"
        if left:
            return f"line {left[0].lineno} also does other things in its loop or block"
        first = min(unit.statement.lineno for unit in units)
        for node in ast.walk(self.function):
            if (
                isinstance(node, ast.Return)
                and node.lineno < first
                and self.file.function(node) is self.function
            ):
                return f"`{self.function.name}` may return before it"
        for support in self._support(units):
            if self.file.parents[support] is not self.function or not self._independent(support.value):
                return f"it needs what line {support.lineno} computes"
        missing = self._missing(units)
        return f"it needs the local name `{min(missing)}`" if missing else None

    def _missing(self, units: tuple[Unit, ...]) -> set[str]:
        """Local names that the units read and that nothing which moves along binds."""
        moving: list[ast.AST] = [*(unit.statement for unit in units), *self._support(units)]
        for frame in (frame for unit in units for frame in unit.frames):
            moving += [
                frame.head,
                *([frame.statement.target] if isinstance(frame.statement, ast.For) else []),
            ]
        names = [node for part in moving for node in ast.walk(part) if isinstance(node, ast.Name)]
        read = {name.id for name in names if isinstance(name.ctx, ast.Load)}
        bound = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        everywhere = (node for node in ast.walk(self.function) if isinstance(node, ast.Name))
        local = {name.id for name in everywhere if isinstance(name.ctx, ast.Store)}
        return read & local - bound

    def _first_projections(self) -> dict[str, int]:
        """The line of the first projection of each parameter."""
        first: dict[str, int] = {}
        for update, _ in self.natures.values():
            path = self._resolved(update.parameter)
            first[path] = min(first.get(path, update.statement.lineno), update.statement.lineno)
        return first

    def _after_use(self, first: dict[str, int], units: tuple[Unit, ...]) -> bool:
        """Whether the method reads a parameter, or calls its module, before the line of its projection."""
        support = set(self._support(units))
        for node in ast.walk(self.function):
            if not isinstance(node, (ast.Attribute, ast.Name, ast.Call)):
                continue
            if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
                continue
            statement = self.file.statement(node)
            in_projection = statement in self.natures or _only_binds_alias(statement) or statement in support
            if in_projection or self._is_iteration(node):
                continue
            for path, line in first.items():
                if node.lineno < line and self._reads(node, path):
                    return True
        return False

    def _is_iteration(self, node: ast.AST) -> bool:
        """Whether a node belongs to the head of a loop over parameters or modules that projects."""
        return any(isinstance(a, ast.stmt) and self._movable(a) for a in [*self._around(node)])

    def _resolved(self, parameter: ast.expr) -> str:
        name = dotted(parameter) or ""
        root, _, rest = name.partition(".")
        if root in self.bound_once:
            bound = dotted(self.bound_once[root].value) or ""
            bound = bound.removesuffix(".data")
            return f"{bound}.{rest}" if rest else bound
        return name

    def _reads(self, node: ast.AST, path: str) -> bool:
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called is None:
                owner = node.func.value if isinstance(node.func, ast.Attribute) else None
                return isinstance(owner, ast.Call) and dotted(owner.func) == "super"
            if (
                path.split(".")[0] != self.self_name
            ):  # the parameter of a loop's module: any submodule may hold it
                return called.startswith(f"{self.self_name}.") and called.count(".") == 1
            return called != path and path.startswith(called + ".") and called != self.self_name
        name = dotted(node)
        if name is None:
            return False
        if isinstance(node, ast.Name) and node.id in self.bound_once:
            return self._resolved(node) == path
        return name == path


def _is_random(name: str) -> bool:
    return name.rstrip("_") in _RANDOM or name.startswith(("rand", "dropout", "alpha_dropout", "feature_"))


def _trains(loop: ast.AST) -> bool:
    """Whether a loop is a training loop of its own: it calls `backward`, `step` or `autograd.grad`."""
    called = [dotted(node.func) or "" for node in ast.walk(loop) if isinstance(node, ast.Call)]
    attributes = [node.attr for node in ast.walk(loop) if isinstance(node, ast.Attribute)]
    return (
        "backward" in attributes
        or "step" in attributes
        or any(name.endswith("autograd.grad") for name in called)
    )


def _wrapped(statement: ast.stmt) -> ast.FunctionDef:
    """A function that holds one statement, for `written_attributes`."""
    empty = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.FunctionDef(name="_", args=empty, body=[statement], decorator_list=[])


def _loops_over(loop: ast.AST, name: str, read: ast.AST) -> bool:
    """Whether a read of a name stands where a loop has bound it."""
    if isinstance(loop, (ast.For, ast.AsyncFor)):
        reached = any(read in ast.walk(part) for part in loop.body)
        targets = [loop.target] if reached else []
    elif isinstance(loop, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        targets = [generator.target for generator in loop.generators]
    else:
        targets = []
    return any(
        isinstance(node, ast.Name) and node.id == name for target in targets for node in ast.walk(target)
    )


def _only_binds_alias(statement: ast.stmt) -> bool:
    """``w = self.weight``: giving a parameter a local name reads nothing of it."""
    return isinstance(statement, ast.Assign) and dotted(statement.value) is not None


def _has_no_grad_keyword(node: ast.expr) -> bool:
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    return any(
        keyword.arg == "requires_grad" and _is_false(keyword.value)
        for call in calls
        for keyword in call.keywords
    ) or any(
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "requires_grad_"
        and bool(call.args)
        and _is_false(call.args[0])
        for call in calls
    )


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
