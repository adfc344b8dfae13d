"""A small abstract interpretation of one function (or of a module's top level).

`Flow.of` runs the statements once in order, joins branches, runs loop bodies twice, and remembers for every
expression what kind it had and whether it depended on the function's arguments. Attribute paths such as
``self.layer.weight`` are tracked like names. What is not understood is Unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fixer.facts.file import File, Function, dotted
from fixer.facts.kinds import (
    MAYBE_PARAMETER,
    NONE,
    PLAIN,
    UNKNOWN,
    Answer,
    BufferKind,
    ClassKind,
    FunctionKind,
    Kind,
    ModuleKind,
    OneOf,
    OptimizerKind,
    ParameterKind,
    Plain,
    SequenceKind,
    Shape,
    Symbol,
    TensorKind,
    is_parameter,
    is_tensor_like,
    join,
    options,
    shape_of,
    without_none,
)
from fixer.facts.tamper import SLOT_CHANGERS
from fixer.facts.torch_facts import (
    MODULE_RETURNING_METHODS,
    SAME_OBJECT_METHODS,
    WRAPPERS,
    Layer,
    canonical,
    torch_facts,
)

if TYPE_CHECKING:
    from fixer.facts.project import Class, Project

_DEPTH = 6
"""How many calls deep `self.build()` in a constructor and callers of a function are followed."""

_SIZED = {"zeros", "ones", "rand", "randn", "empty", "full"}
_TENSOR_ATTRIBUTES = {"data", "T", "mT", "H", "mH", "grad", "real", "imag"}
_PLAIN_METHODS = {"item", "tolist", "size", "dim", "numel", "numpy", "stride", "data_ptr", "element_size"}
_PLAIN_ATTRIBUTES = {"shape", "dtype", "device", "ndim", "requires_grad", "is_cuda", "is_leaf", "layout"}
_PARAMETER_ITERATORS = {"parameters": False, "named_parameters": True}
_MODULE_ITERATORS = {"modules": False, "named_modules": True, "children": False, "named_children": True}
_PASS_THROUGH = {"list", "tuple", "iter", "reversed", "sorted", "set"}


class Value(NamedTuple):
    """What an expression evaluates to."""

    kind: Kind = UNKNOWN
    given: bool = False
    """Whether it depends on an argument of the function (other than `self`)."""


@dataclass
class Env:
    """Names and attribute paths at one point of a function."""

    values: dict[str, Value] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    """Paths whose slot was tampered with (`del`, `_parameters`, parametrize): nothing is known of them."""
    dead: bool = False
    """Whether this point cannot be reached."""

    def copy(self) -> Env:
        """An independent copy."""
        return Env(dict(self.values), self.gone, self.dead)

    def joined(self, other: Env) -> Env:
        """What holds whichever way this point was reached."""
        if self.dead:
            return other.copy()
        if other.dead:
            return self.copy()
        values = {}
        for path in self.values.keys() | other.values.keys():
            mine, theirs = self.values.get(path), other.values.get(path)
            if mine is None or theirs is None:
                known = mine or theirs
                assert known is not None
                # What one branch did not bind was looked up by `Flow.merge` where anything is known of it.
                values[path] = Value(UNKNOWN, known.given)
            else:
                values[path] = Value(join((mine.kind, theirs.kind)), mine.given or theirs.given)
        return Env(values, self.gone | other.gone)

    def assign(self, path: str, value: Value) -> None:
        """Bind a path; what was known of paths below it is forgotten."""
        below = path + "."
        for known in [known for known in self.values if known.startswith(below)]:
            del self.values[known]
        self.values[path] = value


class Flow:
    """The kinds inside one scope."""

    def __init__(
        self, project: Project, file: File, cls: Class | None, self_name: str | None, depth: int
    ) -> None:
        self.project = project
        self.file = file
        self.cls = cls
        self.self_name = self_name
        self.depth = depth
        self.kinds: dict[ast.AST, Kind] = {}
        self.given: dict[ast.AST, bool] = {}
        self._replaced: dict[ast.AST, Kind] = {}
        self.returned: list[Value] = []
        self.exit = Env()

    # Entry points

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
        return _run(project, file, scope, given or {}, depth=0)

    def kind(self, node: ast.AST) -> Kind:
        """The kind an expression had; Unknown where it was never reached."""
        return self.kinds.get(node, UNKNOWN)

    def replaced_by(self, node: ast.AST) -> Kind:
        """What the slot held that an attribute target, or a call of `setattr`, is about to overwrite."""
        return self._replaced.get(node, UNKNOWN)

    def depends_on_arguments(self, node: ast.AST) -> bool:
        """Whether an expression depends on the function's arguments (on the batch, in `forward`)."""
        return self.given.get(node, False)

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
            case ast.AnnAssign(target=target, value=expression, annotation=annotation):
                value = self.eval(expression, env) if expression else Value(self.annotated(annotation))
                if expression is not None or isinstance(target, ast.Name):
                    self.bind(target, value, env)
            case ast.AugAssign(target=target, value=expression):
                old, other = self.eval(target, env), self.eval(expression, env)
                if isinstance(target, ast.Name) and not is_tensor_like(old.kind):
                    env.assign(
                        target.id, Value(_arithmetic([old.kind, other.kind]), old.given or other.given)
                    )
                elif (path := dotted(target)) and other.given and path in env.values:
                    env.values[path] = Value(env.values[path].kind, True)
            case ast.Expr(value=expression):
                self.eval(expression, env)
            case ast.Return(value=expression):
                self.returned.append(self.eval(expression, env) if expression else Value(NONE))
                env.dead = True
            case ast.Raise():
                for child in ast.iter_child_nodes(node):
                    self.eval(child, env)
                env.dead = True
            case ast.Break() | ast.Continue():
                env.dead = True  # what a loop's early exit knows is joined at the loop's end anyway
            case ast.If(test=test, body=body, orelse=orelse):
                self.eval(test, env)
                taken = self.block(body, self.narrowed(test, env.copy(), True))
                skipped = self.block(orelse, self.narrowed(test, env.copy(), False))
                env = self.merge(env, taken, skipped)
            case ast.For() | ast.AsyncFor():
                iterated = self.eval(node.iter, env)
                env = self.loop(node.body, env, (node.target, iterated))
                env = self.block(node.orelse, env)
            case ast.While(test=test, body=body, orelse=orelse):
                self.eval(test, env)
                env = self.block(orelse, self.loop(body, env, None))
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    value = self.eval(item.context_expr, env)
                    if item.optional_vars is not None:
                        self.bind(item.optional_vars, Value(UNKNOWN, value.given), env)
                env = self.block(node.body, env)
            case ast.Try():
                env = self.attempt(node, env)
            case ast.Delete(targets=targets):
                for target in targets:
                    self.tamper(dotted(target), env)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                env.assign(node.name, Value(FunctionKind(Symbol(self.file.qualname(node), self.file.path))))
            case ast.ClassDef():
                known = self.file.classes.get(self.file.qualname(node)) is node
                env.assign(node.name, Value(ClassKind(self.file.symbol(node)) if known else UNKNOWN))
            case ast.Match(subject=subject, cases=cases):
                self.eval(subject, env)
                before = env
                for case in cases:
                    start = before.copy()
                    for name in ast.walk(case.pattern):
                        if isinstance(name, (ast.MatchAs, ast.MatchStar)) and name.name:
                            start.assign(name.name, Value())
                    env = env.joined(self.block(case.body, start))
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.eval(child, env)
                    elif isinstance(child, ast.stmt):
                        env = self.run(child, env)
        return env

    def merge(self, before: Env, taken: Env, skipped: Env) -> Env:
        """Join two branches; paths that only one of them assigned are looked up in the state before first."""
        for one, other in ((taken, skipped), (skipped, taken)):
            if not other.dead:
                for path in one.values.keys() - other.values.keys():
                    self.recall(path, before, other)
        return taken.joined(skipped)

    def recall(self, path: str, before: Env, branch: Env) -> None:
        """Write what is known of an attribute path without its branch's assignment into that branch."""
        base, _, attribute = path.rpartition(".")
        if base and path not in branch.gone:
            owner = branch.values.get(base) or before.values.get(base)
            if owner is not None:
                kind = self.slot(owner.kind, attribute)
                if kind != UNKNOWN:
                    branch.values[path] = Value(kind)

    def loop(self, body: list[ast.stmt], env: Env, target: tuple[ast.expr, Value] | None) -> Env:
        """Run a loop's body twice: the second time with what the first may have left behind."""
        for _ in range(2):
            start = env.copy()
            if target is not None:
                self.bind_element(target[0], target[1], start)
            env = self.merge(env, env.copy(), self.block(body, start))
        return env

    def attempt(self, node: ast.Try, env: Env) -> Env:
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
            result = self.merge(env, result, end)
        return self.block(node.finalbody, result) if not result.dead else result

    def bind(self, target: ast.expr, value: Value, env: Env) -> None:
        """Assign a value to a target."""
        if isinstance(target, ast.Starred):
            target = target.value
            value = Value(SequenceKind(None, UNKNOWN), value.given)
        if isinstance(target, (ast.Tuple, ast.List)):
            items = value.kind.items if isinstance(value.kind, SequenceKind) else None
            element = value.kind.element if isinstance(value.kind, SequenceKind) else UNKNOWN
            for position, part in enumerate(target.elts):
                known = items[position] if items is not None and position < len(items) else element
                self.bind(part, Value(known, value.given), env)
            return
        self.kinds.setdefault(target, UNKNOWN)
        path = dotted(target)
        if path is None:
            for child in ast.iter_child_nodes(target):
                if isinstance(child, ast.expr):
                    self.eval(child, env)
            return
        if isinstance(target, ast.Attribute):
            self.set_attribute(target, target.value, target.attr, value, env)
        else:
            env.assign(path, value)

    def set_attribute(self, node: ast.AST, base: ast.expr, name: str, value: Value, env: Env) -> None:
        """Assign an attribute of what `base` names; `node` is the target or the call of `setattr`."""
        path = f"{dotted(base)}.{name}"
        owner = self.eval(base, env)
        held = self.attribute(path, owner, name, env)
        self._replaced[node] = join((held, self._replaced[node])) if node in self._replaced else held
        if isinstance(node, ast.Attribute):
            self.record(node, Value(held))
        if name == "data":
            return  # the same object with another storage
        in_module = all(isinstance(option, ModuleKind) for option in options(owner.kind))
        if in_module and is_parameter(held) is Answer.YES:
            legal = [
                o for o in options(value.kind) if o == NONE or isinstance(o, (ParameterKind, ModuleKind))
            ]
            if not legal:
                return  # raises TypeError, or (for an unknown value) can only be another Parameter
            value = Value(join(legal), value.given)
        env.assign(path, value)

    def bind_element(self, target: ast.expr, iterated: Value, env: Env) -> None:
        """Bind a loop's target to an element of what is iterated."""
        kind = iterated.kind
        if isinstance(kind, SequenceKind):
            element = join(kind.items) if kind.items else kind.element
        elif isinstance(kind, ModuleKind) and (kind.items or kind.element):
            element = join(kind.items) if kind.items else kind.element or UNKNOWN
        elif is_tensor_like(kind) and kind != UNKNOWN:
            element = TensorKind()
        else:
            element = UNKNOWN
        self.bind(target, Value(element, iterated.given), env)

    def tamper(self, path: str | None, env: Env) -> None:
        """Forget a path for good: its slot is no longer what the class says."""
        if path:
            env.gone |= {path}
            env.assign(path, Value())

    def narrowed(self, test: ast.expr, env: Env, truth: bool) -> Env:
        """The state in a branch where `test` turned out as `truth`."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.narrowed(operand, env, not truth)
            case ast.BoolOp(op=op, values=values) if isinstance(op, ast.And) is truth:
                for value in values:
                    env = self.narrowed(value, env, truth)
            case ast.Call(func=ast.Name(id="isinstance"), args=[subject, classes]) if truth:
                path = dotted(subject)
                kind = self.instance_of(classes, env)
                if path and kind != UNKNOWN:
                    old = env.values.get(path, Value())
                    if not (isinstance(old.kind, ModuleKind) and old.kind.exact):
                        env.assign(path, Value(kind, old.given))
            case ast.Compare(
                left=ast.Call(func=ast.Name(id="type"), args=[subject]),
                ops=[ast.Is() | ast.Eq()],
                comparators=[classes],
            ) if truth:
                path = dotted(subject)
                if path:
                    env.assign(
                        path, Value(self.instance_of(classes, env), env.values.get(path, Value()).given)
                    )
            case ast.Compare(
                left=subject, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(value=None)]
            ):
                path = dotted(subject)
                if path:
                    present = isinstance(op, ast.IsNot) is truth
                    old = self.eval(subject, env)
                    kind = without_none(old.kind) if present else NONE
                    if kind != old.kind and (present or NONE in options(old.kind)):
                        env.values[path] = Value(kind, old.given)
            case ast.Name() | ast.Attribute() if truth:
                path = dotted(test)
                old = self.eval(test, env)
                if path and isinstance(old.kind, OneOf):
                    env.values[path] = Value(without_none(old.kind), old.given)
        return env

    def instance_of(self, classes: ast.expr, env: Env) -> Kind:
        """The kind of an instance of a class or of one of a tuple of classes."""
        nodes = classes.elts if isinstance(classes, ast.Tuple) else [classes]
        kinds: list[Kind] = []
        for node in nodes:
            symbol = self.symbol(node, env)
            if symbol is not None and symbol.name == "torch.nn.Parameter":
                kinds.append(ParameterKind())
            elif symbol is not None and self.project.is_module(symbol) is Answer.YES:
                kinds.append(ModuleKind(symbol))
            else:
                return UNKNOWN
        return join(kinds)

    # Expressions

    def record(self, node: ast.AST, value: Value) -> Value:
        """Remember what an expression was; loops and branches visit some twice."""
        if node in self.kinds and self.kinds[node] not in (UNKNOWN, value.kind):
            value = Value(join((self.kinds[node], value.kind)), value.given)
        self.kinds[node] = value.kind
        self.given[node] = value.given or self.given.get(node, False)
        return value

    def eval(self, node: ast.AST, env: Env) -> Value:
        """What an expression evaluates to."""
        return self.record(node, self._eval(node, env))

    def _eval(self, node: ast.AST, env: Env) -> Value:
        match node:
            case ast.Constant(value=constant):
                return Value(NONE if constant is None else Plain(constant))
            case ast.Name(id=name):
                return env.values[name] if name in env.values else Value(self.global_name(name))
            case ast.Attribute(value=base, attr=attribute):
                path = dotted(node)
                if path and (root := path.split(".")[0]) not in env.values and root != self.self_name:
                    symbol = self.project.resolve(self.file, path)
                    if symbol is not None:
                        return Value(self.symbol_kind(symbol))
                owner = self.eval(base, env)
                return Value(
                    self.attribute(path, owner, attribute, env), self.attribute_given(path, owner, env)
                )
            case ast.Call():
                return self.call(node, env)
            case ast.BinOp(left=left, right=right):
                return self.combined([left, right], env)
            case ast.Compare():
                return self.combined([node.left, *node.comparators], env)
            case ast.UnaryOp(op=operator, operand=operand):
                operated = self.eval(operand, env)
                number = operated.kind.value if isinstance(operated.kind, Plain) else None
                if (
                    isinstance(node, ast.UnaryOp)
                    and isinstance(operator, ast.USub)
                    and isinstance(number, int)
                ):
                    return Value(Plain(-number), operated.given)
                return Value(_arithmetic([operated.kind]), operated.given)
            case ast.BoolOp(values=values):
                found = [self.eval(value, env) for value in values]
                return Value(join(value.kind for value in found), any(value.given for value in found))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                given = self.eval(test, env).given
                found = [
                    self.eval(body, self.narrowed(test, env.copy(), True)),
                    self.eval(orelse, self.narrowed(test, env.copy(), False)),
                ]
                return Value(join(v.kind for v in found), given or any(v.given for v in found))
            case ast.NamedExpr(target=target, value=expression):
                named = self.eval(expression, env)
                env.assign(target.id, named)
                return named
            case ast.Subscript(value=base, slice=index):
                owner, position = self.eval(base, env), self.eval(index, env)
                return Value(_item(owner.kind, position.kind), owner.given or position.given)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                found = [self.eval(element, env) for element in elements]
                starred = any(isinstance(element, ast.Starred) for element in elements)
                kind = SequenceKind(None) if starred else SequenceKind(tuple(value.kind for value in found))
                return Value(kind, any(value.given for value in found))
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                return self.comprehension(node, env)
            case ast.Lambda():
                return Value(UNKNOWN)
            case ast.Starred(value=inner):
                return Value(UNKNOWN, self.eval(inner, env).given)
            case _:
                given = False
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, (ast.expr, ast.keyword, ast.comprehension)):
                        given |= self.eval(child, env).given
                return Value(PLAIN if isinstance(node, (ast.JoinedStr, ast.Dict)) else UNKNOWN, given)

    def combined(self, parts: list[ast.expr], env: Env) -> Value:
        """The result of an operator."""
        values = [self.eval(part, env) for part in parts]
        return Value(_arithmetic([value.kind for value in values]), any(value.given for value in values))

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, env: Env) -> Value:
        """A comprehension is a loop in a scope of its own."""
        inner, given = env.copy(), False
        for generator in node.generators:
            iterated = self.eval(generator.iter, inner)
            given |= iterated.given
            self.bind_element(generator.target, iterated, inner)
            for condition in generator.ifs:
                given |= self.eval(condition, inner).given
                inner = self.narrowed(condition, inner, True)
        element = self.eval(node.elt, inner)
        return Value(SequenceKind(None, element.kind), given or element.given)

    def global_name(self, name: str) -> Kind:
        """A name that the scope itself does not bind."""
        symbol = self.project.resolve(self.file, name)
        if symbol is not None:
            return self.symbol_kind(symbol)
        if name in self.file.module_names and self.depth < _DEPTH:
            flow = self.project.flow(self.file, self.file.tree)
            if flow is not None and flow is not self:
                return flow.exit.values.get(name, Value()).kind
        return UNKNOWN

    def symbol_kind(self, symbol: Symbol) -> Kind:
        """A definition as a value."""
        if symbol.path is not None:
            file = self.project.file(symbol.path)
            if file is not None and symbol.name in file.functions:
                return FunctionKind(symbol)
        last = symbol.name.rpartition(".")[2]
        return ClassKind(symbol) if last[:1].isupper() or symbol.path is not None else FunctionKind(symbol)

    def symbol(self, node: ast.expr, env: Env) -> Symbol | None:
        """The definition that an expression names at this point."""
        kind = self.eval(node, env).kind
        if isinstance(kind, (ClassKind, FunctionKind)):
            return kind.symbol
        name = dotted(node)
        if name is None or name.split(".")[0] in env.values:
            return None
        return self.project.resolve(self.file, node)

    # Attributes and slots

    def attribute(self, path: str | None, owner: Value, name: str, env: Env) -> Kind:
        """The kind of an attribute."""
        if path is not None:
            if path in env.gone:
                return UNKNOWN
            if path in env.values:
                return env.values[path].kind
        return join(self.slot(option, name) for option in options(owner.kind))

    def attribute_given(self, path: str | None, owner: Value, env: Env) -> bool:
        """Whether an attribute depends on the arguments; a shape does as much as its tensor."""
        if path is not None and path in env.values:
            return env.values[path].given
        return owner.given

    def slot(self, owner: Kind, name: str) -> Kind:
        """What attribute `name` of an object of kind `owner` holds."""
        if isinstance(owner, (ParameterKind, TensorKind)):
            if name in _PLAIN_ATTRIBUTES:
                return PLAIN
            if name in _TENSOR_ATTRIBUTES:
                return TensorKind(owner.shape if name in ("data", "grad") else None)
            return UNKNOWN
        if not isinstance(owner, ModuleKind):
            return UNKNOWN
        if owner.cls.name in WRAPPERS and owner.items:
            return owner.items[0] if name in ("module", "_orig_mod") else self.slot(owner.items[0], name)
        cls = self.project.find_class(owner.cls)
        if cls is not None:
            return self.project_slot(cls, name)
        return layer_slot(owner, name)

    def project_slot(self, cls: Class, name: str) -> Kind:
        """What ``self.name`` of an instance of a class of the tree holds once it is constructed."""
        return class_slots(self.project, cls).get(name, UNKNOWN)

    # Calls

    def call(self, node: ast.Call, env: Env) -> Value:
        """The result of a call."""
        arguments = [self.eval(argument, env) for argument in node.args]
        keywords = {keyword.arg: self.eval(keyword.value, env) for keyword in node.keywords}
        given = any(v.given for v in arguments) or any(v.given for v in keywords.values())
        self.eval(node.func, env)
        self.watch(node, env)
        if isinstance(node.func, ast.Attribute) and self.symbol(node.func, env) is None:
            owner = self.eval(node.func.value, env)
            kind = self.method_call(node, node.func, owner, env)
            return Value(kind, given or owner.given)
        symbol = self.symbol(node.func, env)
        if symbol is None:
            if isinstance(node.func, ast.Name) and node.func.id not in env.values:
                return Value(_builtin(node.func.id, [v.kind for v in arguments]), given)
            called = self.eval(node.func, env)
            return Value(_called_module(called.kind), given or called.given)
        return Value(self.symbol_call(symbol, node, arguments, keywords), given)

    def watch(self, node: ast.Call, env: Env) -> None:
        """Note calls that change what a slot is: parametrize, prune, `delattr`, `_parameters.pop`."""
        name = dotted(node.func) or ""
        last = name.rpartition(".")[2]
        if name == "setattr" and len(node.args) == 3 and dotted(node.args[0]):
            attribute = node.args[1]
            if isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
                self.set_attribute(node, node.args[0], attribute.value, self.eval(node.args[2], env), env)
        elif last in SLOT_CHANGERS and node.args:
            base = dotted(node.args[0])
            if base:
                literal = [
                    a.value for a in node.args[1:] if isinstance(a, ast.Constant) and isinstance(a.value, str)
                ]
                for attribute in literal or ("weight",):
                    self.tamper(f"{base}.{attribute}", env)
        elif last in ("register_buffer", "register_parameter", "add_module", "register_module") and node.args:
            base = dotted(node.func.value) if isinstance(node.func, ast.Attribute) else None
            first = node.args[0]
            if base and isinstance(first, ast.Constant) and isinstance(first.value, str):
                second = node.args[1] if len(node.args) > 1 else None
                for keyword in node.keywords:
                    if keyword.arg in ("tensor", "param", "module"):
                        second = keyword.value
                value = self.eval(second, env) if second is not None else Value()
                kind = value.kind
                if last == "register_buffer" and kind != NONE:
                    kind = BufferKind(shape_of(kind))
                env.assign(f"{base}.{first.value}", Value(kind, value.given))

    def method_call(self, node: ast.Call, function: ast.Attribute, owner: Value, env: Env) -> Kind:
        """The result of calling a method of a value."""
        name = function.attr
        if isinstance(function.value, ast.Attribute) and function.value.attr == "_parameters":
            self.tamper_parameters(node, function, env)
            return UNKNOWN
        path = dotted(function.value)
        if self.self_name and path == self.self_name and self.cls is not None:
            found = self.inlined(name, env)
            if found is not None:
                return found
        return join(self._method_result(option, name) for option in options(owner.kind))

    def tamper_parameters(self, node: ast.Call, function: ast.Attribute, env: Env) -> None:
        """``m._parameters.pop("weight")``: forget that slot."""
        assert isinstance(function.value, ast.Attribute)
        base = dotted(function.value.value)
        if base and node.args and isinstance(node.args[0], ast.Constant):
            self.tamper(f"{base}.{node.args[0].value!s}", env)

    def _method_result(self, owner: Kind, name: str) -> Kind:
        if isinstance(owner, ParameterKind):
            if name in SAME_OBJECT_METHODS:
                return MAYBE_PARAMETER if name != "requires_grad_" else owner
            if name.endswith("_") and not name.endswith("__"):
                return owner
        if isinstance(owner, (ParameterKind, TensorKind)):
            if name in _PLAIN_METHODS:
                return PLAIN
            if name in torch_facts().methods:
                return TensorKind(_method_shape(owner.shape, name))
            return UNKNOWN
        if isinstance(owner, ModuleKind):
            if name in _PARAMETER_ITERATORS:
                return _iterator(ParameterKind(), named=_PARAMETER_ITERATORS[name])
            if name in _MODULE_ITERATORS:
                return _iterator(ModuleKind(Symbol("torch.nn.Module")), named=_MODULE_ITERATORS[name])
            if name in MODULE_RETURNING_METHODS:
                return owner
            return self.returned_by(owner.cls, name)
        if isinstance(owner, SequenceKind) and name == "copy":
            return owner
        return UNKNOWN

    def returned_by(self, cls: Symbol, method: str) -> Kind:
        """What a method of a class of the tree returns."""
        known = self.project.find_class(cls)
        found = self.project.method(known, method) if known else None
        if found is None or self.depth >= _DEPTH:
            return UNKNOWN
        flow = self.project.flow(found[0].file, found[1])
        return join(value.kind for value in flow.returned) if flow and flow.returned else UNKNOWN

    def inlined(self, name: str, env: Env) -> Kind | None:
        """``self.build()``: run the method for what it assigns to `self`; None if it is not in the tree."""
        assert self.cls is not None
        found = self.project.method(self.cls, name)
        if found is None or self.depth >= _DEPTH:
            return None
        cls, function = found
        if any(
            _decorator_name(d) in ("staticmethod", "classmethod", "property") for d in function.decorator_list
        ):
            return UNKNOWN
        inner = Flow(self.project, cls.file, self.cls, _self_name(function), self.depth + 1)
        start = _arguments(inner, function)
        renamed = {path: value for path, value in env.values.items() if path.split(".")[0] == self.self_name}
        if self.self_name != inner.self_name:
            return UNKNOWN
        start.values.update(renamed)
        start.gone = env.gone
        end = inner.block(function.body, start)
        for path, value in inner.exit_values(end).items():
            env.values[path] = value
        env.gone |= end.gone
        return join(value.kind for value in inner.returned) if inner.returned else NONE

    def exit_values(self, end: Env) -> dict[str, Value]:
        """The attributes of `self` behind the scope."""
        prefix = f"{self.self_name}."
        return {path: value for path, value in end.values.items() if path.startswith(prefix)}

    def symbol_call(
        self, symbol: Symbol, node: ast.Call, arguments: list[Value], keywords: dict[str | None, Value]
    ) -> Kind:
        """The result of calling a known class or function."""
        name = canonical(symbol.name) if symbol.path is None else symbol.name
        kinds = [value.kind for value in arguments]
        if symbol.path is not None:
            if self.project.is_module(symbol) is Answer.YES:
                return ModuleKind(symbol, exact=True)
            if self.project.derives(symbol, Symbol("torch.optim.Optimizer")):
                return OptimizerKind(symbol)
            return self.returned_by_function(symbol)
        facts = torch_facts()
        if name == "torch.nn.Parameter":
            return ParameterKind(shape_of(kinds[0]) if kinds else None)
        if name in WRAPPERS:
            return ModuleKind(Symbol(name), items=(kinds[0],) if kinds else None, exact=True)
        if name.startswith("torch.nn.init."):
            return kinds[0] if kinds else UNKNOWN
        if name.startswith("torch.nn.functional."):
            return TensorKind() if name.rpartition(".")[2] in facts.functional else UNKNOWN
        if name.startswith("torch.nn."):
            return self.layer(name, node, arguments, keywords)
        if name.startswith("torch.optim.") and name.rpartition(".")[2] in facts.optimizers:
            return OptimizerKind(Symbol(name))
        if name in ("copy.deepcopy", "copy.copy"):
            return kinds[0] if kinds else UNKNOWN
        if name == "torch.as_tensor":
            return join([*kinds[:1], TensorKind()]) if kinds and kinds[0] != UNKNOWN else MAYBE_PARAMETER
        if name == "torch.autograd.Variable":
            return TensorKind()
        head, _, function = name.rpartition(".")
        if head in ("torch", "torch.linalg", "torch.special", "torch.fft") and (
            function in facts.functions or head != "torch"
        ):
            if function.endswith("_") and kinds:  # torch.relu_(p) returns its argument
                return kinds[0]
            return TensorKind(_literal_shape(function, arguments))
        if name == "itertools.chain":
            return SequenceKind(None, join(_element(kind) for kind in kinds)) if kinds else UNKNOWN
        return UNKNOWN

    def returned_by_function(self, symbol: Symbol) -> Kind:
        """What a function of the tree returns, whatever it is given."""
        file = self.project.file(symbol.path) if symbol.path else None
        function = file.functions.get(symbol.name) if file else None
        if file is None or function is None or self.depth >= _DEPTH:
            return UNKNOWN
        if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(function)):
            return UNKNOWN
        flow = self.project.flow(file, function)
        return join(value.kind for value in flow.returned) if flow and flow.returned else UNKNOWN

    def layer(
        self, name: str, node: ast.Call, arguments: list[Value], keywords: dict[str | None, Value]
    ) -> Kind:
        """An instance of a layer of torch, with its constructor's arguments."""
        short = name.removeprefix("torch.nn.")
        if "." in short or not short[:1].isupper():
            return UNKNOWN
        if None in keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            if short in ("Sequential", "ModuleList"):
                return ModuleKind(Symbol(name), exact=True, element=UNKNOWN)
            return ModuleKind(Symbol(name), (("**", UNKNOWN),), exact=True)
        kinds = [value.kind for value in arguments]
        if short == "Sequential":
            return ModuleKind(Symbol(name), items=tuple(kinds), exact=True)
        if short == "ModuleList":
            held = kinds[0] if kinds else SequenceKind(())
            if isinstance(held, SequenceKind):
                return ModuleKind(Symbol(name), items=held.items, element=held.element, exact=True)
            return ModuleKind(Symbol(name), element=UNKNOWN, exact=True)
        layer = torch_facts().layers.get(short)
        names = layer.arguments if layer else ()
        named = dict(zip(names, kinds, strict=False))
        named.update({key: value.kind for key, value in keywords.items() if key is not None})
        return ModuleKind(Symbol(name), tuple(sorted(named.items(), key=lambda item: item[0])), exact=True)

    def annotated(self, annotation: ast.expr | None) -> Kind:
        """The kind that an annotation promises."""
        if annotation is None:
            return UNKNOWN
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return UNKNOWN
        if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
            return join((self.annotated(annotation.left), self.annotated(annotation.right)))
        if isinstance(annotation, ast.Constant) and annotation.value is None:
            return NONE
        if isinstance(annotation, ast.Subscript):
            outer = (dotted(annotation.value) or "").rpartition(".")[2]
            if outer == "Optional":
                return join((self.annotated(annotation.slice), NONE))
            return UNKNOWN
        symbol = self.project.resolve(self.file, annotation)
        if symbol is None:
            return PLAIN if dotted(annotation) in ("int", "float", "str", "bool") else UNKNOWN
        if symbol.name == "torch.nn.Parameter":
            return ParameterKind()
        if symbol.name in ("torch.Tensor", "torch.FloatTensor", "torch.LongTensor"):
            return MAYBE_PARAMETER
        if (
            symbol.name.startswith("torch.optim.")
            and symbol.name.rpartition(".")[2] in torch_facts().optimizers
        ):
            return OptimizerKind(symbol)
        if self.project.is_module(symbol) is Answer.YES:
            return ModuleKind(symbol)
        return UNKNOWN


def _run(
    project: Project, file: File, scope: ast.Module | Function, given: Mapping[str, Kind], depth: int
) -> Flow:
    if isinstance(scope, ast.Module):
        flow = Flow(project, file, None, None, depth)
        flow.exit = flow.block(scope.body, Env())
        return flow
    node = file.class_of(scope)
    cls = project.class_at(file, node) if node is not None else None
    flow = Flow(project, file, cls, _self_name(scope) if cls else None, depth)
    env = _arguments(flow, scope)
    outer = file.function(scope)
    if outer is not None:  # a closure sees the names of the function around it, as they are at its end
        around = project.flow(file, outer)
        if around is not None:
            env.values = {**around.exit.values, **env.values}
    for path, kind in given.items():
        if env.values.get(path, Value()).kind == UNKNOWN:
            env.values[path] = Value(kind, given=path in env.values)
    flow.exit = flow.block(scope.body, env)
    return flow


def _self_name(function: Function) -> str | None:
    if any(_decorator_name(decorator) == "staticmethod" for decorator in function.decorator_list):
        return None
    arguments = [*function.args.posonlyargs, *function.args.args]
    return arguments[0].arg if arguments else None


def _decorator_name(node: ast.expr) -> str:
    return (dotted(node.func if isinstance(node, ast.Call) else node) or "").rpartition(".")[2]


def _arguments(flow: Flow, function: Function) -> Env:
    """The state at a function's start."""
    env = Env()
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for argument in named:
        env.values[argument.arg] = Value(flow.annotated(argument.annotation), given=True)
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            env.values[rest.arg] = Value(UNKNOWN, given=True)
    if flow.self_name and flow.cls is not None and named:
        is_module = flow.project.is_module(flow.cls.symbol) is Answer.YES
        env.values[flow.self_name] = Value(ModuleKind(flow.cls.symbol) if is_module else UNKNOWN)
        if function.name == "__init__":
            _hide_slots(flow, env)
        elif not is_module:
            for name, kind in class_slots(flow.project, flow.cls).items():
                env.values[f"{flow.self_name}.{name}"] = Value(kind)
    return env


def _hide_slots(flow: Flow, env: Env) -> None:
    """Inside a constructor a slot exists once it is assigned; what bases make exists after `super()`."""
    assert flow.cls is not None
    for name in class_slots(flow.project, flow.cls):
        if not _inherited(flow.project, flow.cls, name):
            env.values[f"{flow.self_name}.{name}"] = Value()


def _inherited(project: Project, cls: Class, name: str) -> bool:
    if layer_slot(ModuleKind(_outside_layer(project, cls) or Symbol("?")), name) != UNKNOWN:
        return True
    return any(name in class_slots(project, parent) for parent in project.lineage(cls)[1:])


def _outside_layer(project: Project, cls: Class) -> Symbol | None:
    """The torch layer that a class derives from, if it does."""
    for ancestor in project.lineage(cls):
        for base in ancestor.bases:
            if base.name.startswith("torch.nn.") and base.name != "torch.nn.Module":
                return base
    return None


def class_slots(project: Project, cls: Class) -> dict[str, Kind]:
    """What the attributes of an instance of a class hold once it is constructed.

    That is the state at the end of its constructor, of its bases' where it calls them, joined with what other
    methods assign. Cached per class; empty while it is being computed.
    """
    cache = project.slots
    if cls.symbol in cache:
        return cache[cls.symbol]
    cache[cls.symbol] = {}
    slots: dict[str, Kind] = {}
    lineage = project.lineage(cls)
    layer = _outside_layer(project, cls)
    if layer is not None:
        slots.update(_layer_slots(ModuleKind(layer, _super_arguments(project, cls))))
    for ancestor in reversed(lineage):
        slots.update(_constructed(project, ancestor))
    for ancestor in lineage:
        for name, function in ancestor.methods.items():
            if name not in ("__init__", "__new__"):
                _join_writes(project, ancestor, function, slots)
        slots.update(_class_level(project, ancestor, slots))
    cache[cls.symbol] = slots
    return slots


def _constructed(project: Project, cls: Class) -> dict[str, Kind]:
    """The attributes at the end of the class's own constructor."""
    function = cls.methods.get("__init__")
    if function is None:
        return {}
    flow = Flow(project, cls.file, cls, _self_name(function), 1)
    start = _arguments(flow, function)
    for path in [path for path in start.values if "." in path]:
        del start.values[path]
    end = flow.block(function.body, start)
    prefix = f"{flow.self_name}."
    return {
        path[len(prefix) :]: (UNKNOWN if path in end.gone else value.kind)
        for path, value in flow.exit_values(end).items()
        if path.count(".") == 1
    }


def _join_writes(project: Project, cls: Class, function: Function, slots: dict[str, Kind]) -> None:
    """Take into account what a method other than the constructor assigns to `self`.

    A Parameter's slot accepts another Parameter or None; a tensor raises. So only None and `del` loosen it.
    """
    self_name = _self_name(function)
    if self_name is None:
        return
    for node in ast.walk(function):
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        elif isinstance(node, ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            _join_registration(node, self_name, slots)
            continue
        else:
            continue
        for target in targets:
            for part in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                path = dotted(part)
                if path is None or not path.startswith(f"{self_name}.") or path.count(".") != 1:
                    continue
                name = path.partition(".")[2]
                if isinstance(node, ast.Delete) or (isinstance(value, ast.Constant) and value.value is None):
                    slots[name] = (
                        UNKNOWN if isinstance(node, ast.Delete) else join((slots.get(name, UNKNOWN), NONE))
                    )
                elif is_parameter(slots.get(name, UNKNOWN)) is not Answer.YES:
                    quick = Flow(project, cls.file, None, None, _DEPTH)
                    kind = quick.eval(value, Env()).kind if value is not None and part is target else UNKNOWN
                    slots[name] = join((slots[name], kind)) if name in slots else kind


def _join_registration(node: ast.Call, self_name: str, slots: dict[str, Kind]) -> None:
    assert isinstance(node.func, ast.Attribute)
    if dotted(node.func.value) != self_name or not node.args:
        return
    first = node.args[0]
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return
    if node.func.attr == "register_buffer":
        slots[first.value] = (
            BufferKind() if first.value not in slots else join((slots[first.value], BufferKind()))
        )
    elif node.func.attr == "register_parameter" and first.value not in slots:
        slots[first.value] = UNKNOWN


def _class_level(project: Project, cls: Class, slots: dict[str, Kind]) -> dict[str, Kind]:
    """Properties and class attributes that no constructor overrides."""
    found: dict[str, Kind] = {}
    for statement in cls.node.body:
        if isinstance(statement, Function) and any(
            _decorator_name(decorator) in ("property", "cached_property")
            for decorator in statement.decorator_list
        ):
            flow = project.flow(cls.file, statement)
            found[statement.name] = join(v.kind for v in flow.returned) if flow and flow.returned else UNKNOWN
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if (
                isinstance(target, ast.Name)
                and target.id not in slots
                and isinstance(statement.value, ast.Constant)
            ):
                value = statement.value.value
                found[target.id] = NONE if value is None else Plain(value)
    return found


def _super_arguments(project: Project, cls: Class) -> tuple[tuple[str, Kind], ...]:
    """The flags a constructor passes to the torch layer it derives from; unknown ones loosen every slot."""
    function = cls.methods.get("__init__")
    if function is None:
        return (("**", UNKNOWN),)
    flow = Flow(project, cls.file, None, None, _DEPTH)
    layer = _outside_layer(project, cls)
    facts = torch_facts().layers.get(layer.name.removeprefix("torch.nn.")) if layer else None
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "__init__"
            and isinstance(node.func.value, ast.Call)
            and dotted(node.func.value.func) == "super"
        ):
            if any(isinstance(a, ast.Starred) for a in node.args) or any(
                k.arg is None for k in node.keywords
            ):
                return (("**", UNKNOWN),)
            names = facts.arguments if facts else ()
            named = {name: flow.eval(a, Env()).kind for name, a in zip(names, node.args, strict=False)}
            named.update({k.arg: flow.eval(k.value, Env()).kind for k in node.keywords if k.arg})
            return tuple(sorted(named.items(), key=lambda item: item[0]))
    return (("**", UNKNOWN),)


def layer_slot(owner: ModuleKind, name: str) -> Kind:
    """What a slot of a torch layer holds, given what is known of its constructor's arguments."""
    return _layer_slots(owner).get(name, UNKNOWN)


def _layer_slots(owner: ModuleKind) -> dict[str, Kind]:
    short = owner.cls.name.removeprefix("torch.nn.")
    layer = torch_facts().layers.get(short)
    if layer is None or not owner.cls.name.startswith("torch.nn."):
        return {}
    arguments = dict(owner.arguments)
    uncertain = not owner.exact or "**" in arguments
    found: dict[str, Kind] = {}
    for slot, held in layer.slots.items():
        kinds = {_slot_kind(held, _known_shape(short, slot, arguments))}
        for flag, values in layer.flags.items():
            given = arguments.get(flag)
            if given is None and not uncertain:
                continue
            literal = given.value if isinstance(given, Plain) else None
            changes = (
                values if not isinstance(literal, bool) else {str(literal): values.get(str(literal), {})}
            )
            for changed in changes.values():
                if slot in changed:
                    other = _slot_kind(changed[slot], None)
                    kinds = {other} if isinstance(literal, bool) else kinds | {other}
        found[slot] = join(kinds)
    return found


def _slot_kind(held: str, shape: Shape) -> Kind:
    return {"parameter": ParameterKind(shape), "buffer": BufferKind(), "none": NONE}.get(held, UNKNOWN)


def _known_shape(layer: str, slot: str, arguments: dict[str, Kind]) -> Shape:
    def sizes(*names: str) -> Shape:
        values = [arguments.get(name) for name in names]
        found = [kind.value for kind in values if isinstance(kind, Plain) and isinstance(kind.value, int)]
        return tuple(found) if len(found) == len(names) else None

    if layer == "Linear":
        return sizes("out_features", "in_features") if slot == "weight" else sizes("out_features")
    if layer == "Embedding" and slot == "weight":
        return sizes("num_embeddings", "embedding_dim")
    if layer.startswith("BatchNorm"):
        return sizes("num_features")
    if layer == "LayerNorm":
        return sizes("normalized_shape")
    return None


def _literal_shape(function: str, arguments: list[Value]) -> Shape:
    if function == "eye" and len(arguments) == 1:
        size = arguments[0].kind
        return (size.value, size.value) if isinstance(size, Plain) and isinstance(size.value, int) else None
    if function not in _SIZED or not arguments:
        return None
    kinds = [value.kind for value in arguments]
    if isinstance(kinds[0], SequenceKind) and kinds[0].items is not None:
        kinds = list(kinds[0].items)
    elif function == "full":
        return None
    sizes = [kind.value for kind in kinds if isinstance(kind, Plain) and isinstance(kind.value, int)]
    return tuple(sizes) if len(sizes) == len(kinds) else None


def _method_shape(shape: Shape, name: str) -> Shape:
    if shape is None:
        return None
    if name in ("t", "T") and len(shape) == 2:
        return shape[::-1]
    same = name.endswith("_") or name in (
        "clone",
        "detach",
        "clamp",
        "abs",
        "relu",
        "sign",
        "exp",
        "log",
        "neg",
    )
    return shape if same else None


def _arithmetic(kinds: list[Kind]) -> Kind:
    if any(is_tensor_like(kind) and kind != UNKNOWN for kind in kinds):
        return TensorKind()
    return PLAIN if all(isinstance(kind, Plain) for kind in kinds) else UNKNOWN


def _iterator(element: Kind, *, named: bool) -> Kind:
    return SequenceKind(None, SequenceKind((PLAIN, element)) if named else element)


def _element(kind: Kind) -> Kind:
    if isinstance(kind, SequenceKind):
        return join(kind.items) if kind.items else kind.element
    return UNKNOWN


def _item(owner: Kind, index: Kind) -> Kind:
    position = index.value if isinstance(index, Plain) else None
    items = owner.items if isinstance(owner, (SequenceKind, ModuleKind)) else None
    if isinstance(owner, (SequenceKind, ModuleKind)):
        if items is not None and isinstance(position, int) and -len(items) <= position < len(items):
            return items[position]
        if items:
            return join(items) if not isinstance(position, str) else UNKNOWN
        return owner.element or UNKNOWN
    if is_tensor_like(owner) and owner != UNKNOWN:
        return TensorKind()
    return UNKNOWN


def _builtin(name: str, arguments: list[Kind]) -> Kind:
    if name in _PASS_THROUGH and arguments:
        first = arguments[0]
        if isinstance(first, SequenceKind):
            return first if name != "set" else SequenceKind(None, _element(first))
        if isinstance(first, ModuleKind) and (first.items or first.element):
            return SequenceKind(first.items, first.element or UNKNOWN)
        return UNKNOWN
    if name == "enumerate" and arguments:
        return SequenceKind(None, SequenceKind((PLAIN, _element_or_item(arguments[0]))))
    if name == "zip":
        return SequenceKind(None, SequenceKind(tuple(_element_or_item(kind) for kind in arguments)))
    if name == "filter" and len(arguments) == 2:
        return SequenceKind(None, _element(arguments[1]))
    if name in (
        "len",
        "int",
        "float",
        "str",
        "bool",
        "range",
        "isinstance",
        "hasattr",
        "round",
        "repr",
        "type",
    ):
        return SequenceKind(None, PLAIN) if name == "range" else PLAIN
    return UNKNOWN


def _element_or_item(kind: Kind) -> Kind:
    if isinstance(kind, ModuleKind):
        return join(kind.items) if kind.items else kind.element or UNKNOWN
    return _element(kind)


_TENSOR_LAYERS_EXCEPT = frozenset(
    "RNN LSTM GRU RNNBase MultiheadAttention AdaptiveLogSoftmaxWithLoss Module Sequential ModuleList".split()
)


def _called_module(kind: Kind) -> Kind:
    """The result of calling an instance of a torch layer: a tensor, but for recurrent ones and the like."""
    if isinstance(kind, ModuleKind) and kind.cls.path is None and kind.cls.name.startswith("torch.nn."):
        short = kind.cls.name.removeprefix("torch.nn.")
        if (
            kind.exact
            and short in torch_facts().layers
            and short not in _TENSOR_LAYERS_EXCEPT
            and short != "DataParallel"
        ):
            return TensorKind()
    return UNKNOWN


__all__ = ["Env", "Flow", "Layer", "Value", "class_slots", "layer_slot"]
