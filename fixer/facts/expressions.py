"""What expressions evaluate to in a state, and what assignments make of it."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from fixer.facts.calls import Arguments, call
from fixer.facts.env import Env, Value
from fixer.facts.file import File, dotted
from fixer.facts.kinds import (
    ABSENT,
    NONE,
    PLAIN,
    UNKNOWN,
    Answer,
    ClassKind,
    FunctionKind,
    Kind,
    ModuleKind,
    ParameterKind,
    Plain,
    SequenceKind,
    Symbol,
    TensorKind,
    is_parameter,
    join,
    options,
    without,
    without_none,
)
from fixer.facts.layers import layer_slot
from fixer.facts.narrowing import narrowed
from fixer.facts.operators import arithmetic, element_of, item, with_element
from fixer.facts.torch_facts import REPARAMETRISED, WRAPPERS

if TYPE_CHECKING:
    from fixer.facts.project import Class, Project

_TENSOR_ATTRIBUTES = frozenset({"data", "T", "mT", "H", "mH", "grad", "real", "imag"})
_PLAIN_ATTRIBUTES = frozenset("shape dtype device ndim requires_grad is_cuda is_leaf layout".split())


class Expressions(ABC):
    """The part of a flow that evaluates expressions and remembers what each one was."""

    def __init__(self, project: Project, file: File, cls: Class | None, self_name: str | None) -> None:
        self.project = project
        self.file = file
        self.cls = cls
        self.self_name = self_name
        self._kinds: dict[ast.AST, Kind] = {}
        self._given: dict[ast.AST, bool] = {}
        self._replaced: dict[ast.AST, Kind] = {}
        self._latest: dict[ast.AST, Value] = {}

    @abstractmethod
    def inlined(self, name: str, arguments: Arguments, env: Env) -> Kind | None:
        """Run the method ``self.name`` for what it returns and assigns; None if it is not in the tree."""

    # What was found

    def kind(self, node: ast.AST) -> Kind:
        """The kind an expression had; Unknown where it was never reached."""
        return self._kinds.get(node, UNKNOWN)

    def replaced_by(self, node: ast.AST) -> Kind:
        """What the slot held that an attribute target, or a call of `setattr`, is about to overwrite."""
        return self._replaced.get(node, UNKNOWN)

    def depends_on_arguments(self, node: ast.AST) -> bool:
        """Whether an expression depends on the function's arguments (on the batch, in `forward`)."""
        return self._given.get(node, False)

    def _record(self, node: ast.AST, value: Value) -> Value:
        """Remember what an expression was; loops and branches visit some more than once."""
        known = self._kinds.get(node)
        self._kinds[node] = value.kind if known is None or known == value.kind else join((known, value.kind))
        self._given[node] = value.given or self._given.get(node, False)
        self._latest[node] = value
        return value

    def latest(self, node: ast.expr, env: Env) -> Value:
        """What an expression was when it was last visited; evaluating chains of calls anew takes for ever."""
        return self._latest[node] if node in self._latest else self.eval(node, env)

    # Expressions

    def eval(self, node: ast.AST, env: Env) -> Value:
        """What an expression evaluates to."""
        return self._record(node, self._eval(node, env))

    def _eval(self, node: ast.AST, env: Env) -> Value:
        match node:
            case ast.Constant(value=constant):
                return Value(NONE if constant is None else Plain(constant))
            case ast.Name(id=name):
                return env.values[name] if name in env.values else Value(self._global(name))
            case ast.Attribute():
                return self._read(node, env)
            case ast.Call():
                return call(self, node, env)
            case ast.BinOp():
                return self._sum(node, env)
            case ast.Compare(ops=operators):
                value = self._combined([node.left, *node.comparators], env)
                plain = any(isinstance(o, (ast.Is, ast.IsNot, ast.In, ast.NotIn)) for o in operators)
                return Value(PLAIN, value.given) if plain else value
            case ast.UnaryOp():
                return self._unary(node, env)
            case ast.BoolOp(values=values):
                found = [self.eval(value, env) for value in values]
                return Value(join(value.kind for value in found), any(value.given for value in found))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                given = self.eval(test, env).given
                found = [
                    self.eval(body, narrowed(self, test, env.copy(), True)),
                    self.eval(orelse, narrowed(self, test, env.copy(), False)),
                ]
                return Value(join(v.kind for v in found), given or any(v.given for v in found))
            case ast.NamedExpr(target=target, value=expression):
                named = self.eval(expression, env)
                env.assign(target.id, named)
                return named
            case ast.Subscript(value=base, slice=index):
                owner, position = self.eval(base, env), self.eval(index, env)
                return Value(item(owner.kind, position.kind), owner.given or position.given)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                found = [self.eval(element, env) for element in elements]
                starred = any(isinstance(element, ast.Starred) for element in elements)
                kind = SequenceKind(None) if starred else SequenceKind(tuple(value.kind for value in found))
                return Value(kind, any(value.given for value in found))
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                return self._comprehension(node, env)
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

    def _read(self, node: ast.Attribute, env: Env) -> Value:
        """An attribute; behind a read of one that may be absent, it is there."""
        path = dotted(node)
        if path and (root := path.split(".")[0]) not in env.values and root != self.self_name:
            symbol = self.project.resolve(self.file, path)
            if symbol is not None:
                return Value(self._definition(symbol))
        owner = self.eval(node.value, env)
        kind = self.attribute(path, owner, node.attr, env)
        known = path is not None and path in env.values
        given = env.values[path].given if path is not None and known else owner.given
        if ABSENT in options(kind):
            kind = without(kind, lambda option: option == ABSENT)
            kind = UNKNOWN if kind == ABSENT else kind
            if path is not None:
                env.values[path] = Value(kind, given)
        return Value(kind, given)

    def _unary(self, node: ast.UnaryOp, env: Env) -> Value:
        operand = self.eval(node.operand, env)
        if isinstance(node.op, ast.Not):
            return Value(PLAIN, operand.given)
        if isinstance(node.op, ast.UAdd):  # `+p` is `p` itself
            return operand
        number = operand.kind.value if isinstance(operand.kind, Plain) else None
        if isinstance(node.op, ast.USub) and isinstance(number, int):
            return Value(Plain(-number), operand.given)
        return Value(arithmetic([operand.kind]), operand.given)

    def _sum(self, node: ast.BinOp, env: Env) -> Value:
        """``a + b + ...``: generated code has hundreds of terms, more than calls may be nested."""
        chain = [node]
        while isinstance(chain[-1].left, ast.BinOp):
            chain.append(chain[-1].left)
        value = self.eval(chain[-1].left, env)
        for operator in reversed(chain):
            right = self.eval(operator.right, env)
            value = Value(arithmetic([value.kind, right.kind]), value.given or right.given)
            if operator is not node:
                self._record(operator, value)
        return value

    def _combined(self, parts: list[ast.expr], env: Env) -> Value:
        """The result of an operator."""
        values = [self.eval(part, env) for part in parts]
        return Value(arithmetic([value.kind for value in values]), any(value.given for value in values))

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, env: Env) -> Value:
        """A comprehension is a loop in a scope of its own."""
        inner, given = env.copy(), False
        for generator in node.generators:
            iterated = self.eval(generator.iter, inner)
            given |= iterated.given
            self.bind_element(generator.target, iterated, inner)
            for condition in generator.ifs:
                given |= self.eval(condition, inner).given
                inner = narrowed(self, condition, inner, True)
        element = self.eval(node.elt, inner)
        return Value(SequenceKind(None, element.kind), given or element.given)

    # Names

    def _global(self, name: str) -> Kind:
        """A name that the scope itself does not bind."""
        symbol = self.project.resolve(self.file, name)
        if symbol is not None:
            return self._definition(symbol)
        if name in self.file.module_names and name not in self.file.global_names:
            flow = self.project.flow(self.file, self.file.tree)
            if flow is not None and flow is not self:
                return flow.exit.values.get(name, Value()).kind
        return UNKNOWN

    def _definition(self, symbol: Symbol) -> Kind:
        """A class or function as a value."""
        if symbol.path is not None:
            file = self.project.file(symbol.path)
            if file is not None and symbol.name in file.functions:
                return FunctionKind(symbol)
        last = symbol.name.rpartition(".")[2]
        return ClassKind(symbol) if last[:1].isupper() or symbol.path is not None else FunctionKind(symbol)

    def symbol(self, node: ast.expr, env: Env) -> Symbol | None:
        """The definition that an expression names at this point."""
        return self.named(node, self.eval(node, env).kind, env)

    def named(self, node: ast.expr, kind: Kind, env: Env) -> Symbol | None:
        """The definition that an expression of a known kind names at this point."""
        if isinstance(kind, (ClassKind, FunctionKind)):
            return kind.symbol
        name = dotted(node)
        if name is None or name.split(".")[0] in env.values:
            return None
        return self.project.resolve(self.file, node)

    # Targets

    def bind(self, target: ast.expr, value: Value, env: Env) -> None:
        """Assign a value to a target."""
        match target:
            case ast.Starred(value=inner):
                self.bind(inner, Value(SequenceKind(None, UNKNOWN), value.given), env)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                items = value.kind.items if isinstance(value.kind, SequenceKind) else None
                element = value.kind.element if isinstance(value.kind, SequenceKind) else UNKNOWN
                starred = any(isinstance(part, ast.Starred) for part in parts)
                for position, part in enumerate(parts):
                    known = items[position] if items and not starred and position < len(items) else element
                    self.bind(part, Value(UNKNOWN if starred and items else known, value.given), env)
            case ast.Attribute(value=owner, attr=name):
                self.set_attribute(target, owner, name, value, env)
            case ast.Subscript(value=base):
                for child in (base, target.slice):
                    self.eval(child, env)
                self._set_item(base, value, env)
            case ast.Name(id=name):
                env.assign(name, value)

    def bind_element(self, target: ast.expr, iterated: Value, env: Env) -> None:
        """Bind a loop's target to an element of what is iterated."""
        is_tensor = all(isinstance(o, (TensorKind, ParameterKind)) for o in options(iterated.kind))
        self.bind(
            target, Value(TensorKind() if is_tensor else element_of(iterated.kind), iterated.given), env
        )

    def _set_item(self, base: ast.expr, value: Value, env: Env) -> None:
        """``items[i] = value``: each item may now be that value."""
        path = dotted(base)
        owner = self.kind(base)
        changed = with_element(owner, value.kind)
        if path is not None and changed != owner:
            env.values[path] = Value(changed, value.given)

    def set_attribute(self, node: ast.AST, base: ast.expr, name: str, value: Value, env: Env) -> None:
        """Assign an attribute of what `base` names; `node` is the target or the call of `setattr`."""
        owner = self.eval(base, env)
        path = f"{dotted(base)}.{name}" if dotted(base) else None
        held = self.attribute(path, owner, name, env)
        known = self._replaced.get(node)
        self._replaced[node] = held if known is None else join((known, held))
        if isinstance(node, ast.Attribute):
            self._record(node, Value(held))
        if path is None or name == "data":
            return  # `.data = t` leaves the same object with another storage
        in_module = all(isinstance(option, ModuleKind) for option in options(owner.kind))
        if in_module and is_parameter(held) is Answer.YES:
            legal = [
                o for o in options(value.kind) if o == NONE or isinstance(o, (ParameterKind, ModuleKind))
            ]
            if not legal:
                return  # raises TypeError, or (for an unknown value) can only be another Parameter
            value = Value(join(legal), value.given)
        env.assign(path, value)

    def tamper(self, path: str | None, env: Env) -> None:
        """Forget a path for good: its slot is no longer what the class says."""
        if path:
            env.gone |= {path}
            env.assign(path, Value())

    # Attributes

    def attribute(self, path: str | None, owner: Value, name: str, env: Env) -> Kind:
        """The kind of an attribute."""
        if path is not None:
            if path in env.gone:
                return UNKNOWN
            if path in env.values:
                return env.values[path].kind
        return join(self.slot(option, name) for option in options(without_none(owner.kind)))

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
        if owner.cls.name == REPARAMETRISED and owner.items:
            return TensorKind() if name == "weight" else self.slot(owner.items[0], name)
        cls = self.project.find_class(owner.cls)
        if cls is not None:
            return self.project.class_slots(cls).get(name, UNKNOWN)
        return layer_slot(owner, name)
