"""A small abstract interpretation of one function (or of a module's top level).

`Flow.of` runs the statements once in order, joins branches, runs loop bodies twice, and remembers for every
expression what kind it had and whether it depended on the function's arguments. Attribute paths such as
``self.layer.weight`` are tracked like names. What is not understood is Unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fixer.facts.calls import Arguments, is_overridden
from fixer.facts.env import Env, Value
from fixer.facts.expressions import Expressions
from fixer.facts.file import File, Function, decorator_name, dotted, self_name
from fixer.facts.kinds import (
    ABSENT,
    ANY_MODULE,
    NONE,
    UNKNOWN,
    Answer,
    ClassKind,
    FunctionKind,
    Kind,
    ModuleKind,
    Symbol,
    is_tensor_like,
    join,
)
from fixer.facts.narrowing import annotated, narrowed
from fixer.facts.operators import arithmetic

if TYPE_CHECKING:
    from fixer.facts.project import Class, Project

_DEPTH = 6
"""How many calls deep `self.build()` in a constructor is followed."""
_CALLS = 200
"""How many such calls are followed in all."""


@dataclass
class Inlined:
    """The calls of own methods that one flow has followed."""

    count: int = 0
    states: dict[Function, list[dict[str, Value]]] = field(default_factory=dict)
    """What was known of the object's attributes where each method was called."""


class Flow(Expressions):
    """The kinds inside one scope."""

    def __init__(self, project: Project, file: File, cls: Class | None, self_name: str | None) -> None:
        super().__init__(project, file, cls, self_name)
        self.constructs = False
        """Whether this is a constructor, in which an attribute is absent until it is assigned."""
        self._callers: tuple[Function, ...] = ()
        self._calls = Inlined()
        self.returned: list[Value] = []
        self._returning: list[Env] = []
        self.exit = Env()

    @classmethod
    def of(
        cls,
        project: Project,
        file: File,
        scope: ast.Module | Function,
        given: Mapping[str, Kind] | None = None,
    ) -> Flow:
        """Run a scope with what is known of its arguments.

        `given` adds kinds of arguments that no annotation tells, and of attributes (``self.model``).
        """
        if isinstance(scope, ast.Module):
            flow = cls(project, file, None, None)
            flow.finish(scope.body, Env())
            return flow
        node = file.class_of(scope)
        owner = project.class_at(file, node) if node is not None else None
        flow = cls(project, file, owner, self_name(scope) if owner else None)
        env = flow.start(scope)
        if owner is not None and flow.self_name:
            for name, kind in project.slots_during(owner, scope).items():
                env.values[f"{flow.self_name}.{name}"] = Value(kind)
        outer = file.function(scope)
        if outer is not None:  # a closure sees the names of the function around it, as they are at its end
            around = project.flow(file, outer)
            if around is not None:
                env.values = {**around.exit.values, **env.values}
        for path, kind in (given or {}).items():
            if env.values.get(path, Value()).kind in (UNKNOWN, ANY_MODULE):
                env.values[path] = Value(kind, given=path in env.values)
        flow.finish(scope.body, env)
        return flow

    def finish(self, body: list[ast.stmt], env: Env) -> None:
        """Run a whole body; `exit` joins its end with every `return`."""
        end = self.block(body, env)
        if not end.dead:
            self.returned.append(Value(NONE))
        for state in self._returning:
            end = self._merge(env, end, state)
        self.exit = end

    @property
    def result(self) -> Kind:
        """What a call of the function gives."""
        return join(value.kind for value in self.returned)

    # The start of a function

    def start(self, function: Function) -> Env:
        """The state at a function's start."""
        env = Env()
        arguments = function.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            env.values[argument.arg] = Value(annotated(self, argument.annotation), given=True)
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                env.values[rest.arg] = Value(UNKNOWN, given=True)
        if self.self_name and self.cls is not None:
            is_module = self.project.is_module(self.cls.symbol) is Answer.YES
            env.values[self.self_name] = Value(ModuleKind(self.cls.symbol) if is_module else UNKNOWN)
            if function.name == "__init__":
                self._hide_slots(env)
            elif not is_module:
                for name, kind in self.project.class_slots(self.cls).items():
                    env.values[f"{self.self_name}.{name}"] = Value(kind)
        return env

    def _hide_slots(self, env: Env) -> None:
        """Inside a constructor a slot exists once it is assigned; what bases make exists after `super()`."""
        assert self.cls is not None
        self.constructs = self.project.has_known_bases(self.cls)
        missing = Value(ABSENT if self.constructs else UNKNOWN)
        inherited = self.project.inherited_slots(self.cls)
        for name in self.project.class_slots(self.cls).keys() - inherited.keys():
            env.values[f"{self.self_name}.{name}"] = missing

    # Statements

    def block(self, body: list[ast.stmt], env: Env) -> Env:
        """Run statements in order."""
        for statement in body:
            if env.dead:
                break
            env = self.run(statement, env)
        return env

    def run(self, node: ast.stmt, env: Env) -> Env:
        """Run one statement; returns the state behind it."""
        match node:
            case ast.Assign(targets=targets, value=expression):
                value = self.eval(expression, env)
                for target in targets:
                    self.bind(target, value, env)
            case ast.AnnAssign(target=target, value=None, annotation=annotation):
                if isinstance(target, ast.Name):
                    self.bind(target, Value(annotated(self, annotation)), env)
            case ast.AnnAssign(target=target, value=ast.expr() as expression):
                self.bind(target, self.eval(expression, env), env)
            case ast.AugAssign(target=target, value=expression):
                self._augmented(target, expression, env)
            case ast.Expr(value=expression):
                self.eval(expression, env)
            case ast.Return(value=expression):
                self.returned.append(self.eval(expression, env) if expression else Value(NONE))
                self._returning.append(env.copy())
                env.dead = True
            case ast.Raise():
                for child in ast.iter_child_nodes(node):
                    self.eval(child, env)
                env.dead = True
            case ast.Break() | ast.Continue():
                env.dead = True  # what a loop's early exit knows is joined at the loop's end anyway
            case ast.Assert(test=test):
                self.eval(test, env)
                env = narrowed(self, test, env, True)
            case ast.If(test=test, body=body, orelse=orelse):
                self.eval(test, env)
                taken = self.block(body, narrowed(self, test, env.copy(), True))
                skipped = self.block(orelse, narrowed(self, test, env.copy(), False))
                env = self._merge(env, taken, skipped)
            case ast.For() | ast.AsyncFor():
                iterated = self.eval(node.iter, env)
                env = self._loop(node.body, env, (node.target, iterated))
                env = self.block(node.orelse, env)
            case ast.While(test=test, body=body, orelse=orelse):
                self.eval(test, env)
                env = self.block(orelse, self._loop(body, env, None))
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    value = self.eval(item.context_expr, env)
                    if item.optional_vars is not None:
                        self.bind(item.optional_vars, Value(UNKNOWN, value.given), env)
                env = self.block(node.body, env)
            case ast.Try():
                env = self._attempt(node, env)
            case ast.Delete(targets=targets):
                for target in targets:
                    self.tamper(dotted(target), env)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                env.assign(node.name, Value(FunctionKind(Symbol(self.file.qualname(node), self.file.path))))
            case ast.ClassDef():
                known = self.file.classes.get(self.file.qualname(node)) is node
                env.assign(node.name, Value(ClassKind(self.file.symbol(node)) if known else UNKNOWN))
            case ast.Match():
                env = self._match(node, env)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.eval(child, env)
                    elif isinstance(child, ast.stmt):
                        env = self.run(child, env)
        return env

    def _augmented(self, target: ast.expr, expression: ast.expr, env: Env) -> None:
        old, other = self.eval(target, env), self.eval(expression, env)
        path = dotted(target)
        if isinstance(target, ast.Name) and not is_tensor_like(old.kind):
            env.assign(target.id, Value(arithmetic([old.kind, other.kind]), old.given or other.given))
        elif path and other.given and path in env.values:
            env.values[path] = Value(env.values[path].kind, True)

    # Branches and loops

    def _merge(self, before: Env, taken: Env, skipped: Env) -> Env:
        """Join two branches; paths that only one of them assigned are looked up in the state before first."""
        for one, other in ((taken, skipped), (skipped, taken)):
            if not other.dead:
                for path in one.values.keys() - other.values.keys():
                    self._recall(path, before, other)
        return taken.joined(skipped)

    def _recall(self, path: str, before: Env, branch: Env) -> None:
        """Write what is known of an attribute path without its branch's assignment into that branch."""
        base, _, attribute = path.rpartition(".")
        if not base or path in branch.gone:
            return
        owner = branch.values.get(base) or before.values.get(base)
        if owner is None:
            return
        kind = self.slot(owner.kind, attribute)
        if kind == UNKNOWN and self.constructs and base == self.self_name:
            kind = ABSENT
        if kind != UNKNOWN:
            branch.values[path] = Value(kind)

    def _loop(self, body: list[ast.stmt], env: Env, target: tuple[ast.expr, Value] | None) -> Env:
        """Run a loop's body twice: the second time with what the first may have left behind."""
        for _ in range(2):
            start = env.copy()
            if target is not None:
                self.bind_element(target[0], target[1], start)
            env = self._merge(env, env.copy(), self.block(body, start))
        return env

    def _attempt(self, node: ast.Try, env: Env) -> Env:
        """A try statement: a handler may start anywhere within the body."""
        tried = self.block(node.body, env.copy())
        start = env.joined(tried) if not tried.dead else env.copy()
        ends = [self.block(node.orelse, tried)]
        for handler in node.handlers:
            state = start.copy()
            if handler.name:
                state.assign(handler.name, Value())
            ends.append(self.block(handler.body, state))
        result = ends[0]
        for end in ends[1:]:
            result = self._merge(env, result, end)
        return self.block(node.finalbody, result) if not result.dead else result

    def _match(self, node: ast.Match, env: Env) -> Env:
        self.eval(node.subject, env)
        before = env
        for case in node.cases:
            start = before.copy()
            for name in ast.walk(case.pattern):
                if isinstance(name, (ast.MatchAs, ast.MatchStar)) and name.name:
                    start.assign(name.name, Value())
            env = env.joined(self.block(case.body, start))
        return env

    # Calls of the object's own methods

    def inlined(self, name: str, arguments: Arguments, env: Env) -> Kind | None:
        """Run the method ``self.name`` for what it returns and assigns; None if it is not in the tree."""
        assert self.cls is not None
        found = self.project.method(self.cls, name)
        if found is None or self_name(found[1]) is None:
            return None
        cls, function = found
        if self_name(function) != self.self_name or "property" in map(
            decorator_name, function.decorator_list
        ):
            return UNKNOWN
        if function in self._callers or len(self._callers) == _DEPTH or self._calls.count == _CALLS:
            return UNKNOWN
        inner = Flow(self.project, cls.file, self.cls, self.self_name)
        inner.constructs = self.constructs
        inner._callers, inner._calls = (*self._callers, function), self._calls
        self._calls.count += 1
        start = inner.start(function)
        attributes = self._own_attributes(env)
        self._calls.states.setdefault(function, []).append(attributes)
        start.values.update(attributes)
        start.values.update(_passed(function, arguments))
        start.gone = env.gone
        inner.finish(function.body, start)
        env.values.update(inner._own_attributes(inner.exit))
        env.gone |= inner.exit.gone
        certain = self.project.keeps_result(function) and not is_overridden(self, self.cls, name)
        return inner.result if certain else UNKNOWN

    def _own_attributes(self, env: Env) -> dict[str, Value]:
        prefix = f"{self.self_name}."
        return {path: value for path, value in env.values.items() if path.startswith(prefix)}

    def slots(self, env: Env) -> dict[str, Kind]:
        """What a state says of the attributes of `self`."""
        prefix = f"{self.self_name}."
        return {
            path.removeprefix(prefix): UNKNOWN if path in env.gone else value.kind
            for path, value in self._own_attributes(env).items()
            if path.count(".") == 1
        }

    @property
    def slots_at_calls(self) -> dict[Function, list[dict[str, Kind]]]:
        """What the attributes of `self` held where each of its methods was called."""
        return {
            function: [self.slots(Env(state)) for state in states]
            for function, states in self._calls.states.items()
        }


def _passed(function: Function, arguments: Arguments) -> dict[str, Value]:
    """What a method's arguments are bound to by a call, as far as it is known."""
    if not arguments.complete:
        return {}
    positional = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args][1:]]
    named = {*positional, *(argument.arg for argument in function.args.kwonlyargs)}
    passed = dict(zip(positional, arguments.positional, strict=False))
    passed.update({name: value for name, value in arguments.named.items() if name in named and name})
    return {name: value for name, value in passed.items() if value.kind != UNKNOWN}


__all__ = ["Flow"]
