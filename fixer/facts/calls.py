"""What calls give, and what they do to what is known."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fixer.facts.env import Env, Value
from fixer.facts.file import File, Function, dotted
from fixer.facts.kinds import (
    MAYBE_PARAMETER,
    NONE,
    PLAIN,
    UNKNOWN,
    Answer,
    BufferKind,
    Kind,
    ModuleKind,
    OneOf,
    OptimizerKind,
    ParameterKind,
    Plain,
    SequenceKind,
    Symbol,
    TensorKind,
    join,
    options,
    shape_of,
    without_none,
)
from fixer.facts.layers import called_layer, layer_call, same_or_new
from fixer.facts.operators import (
    ADDING_METHODS,
    REORDERING_METHODS,
    builtin,
    element_of,
    iterator,
    literal_shape,
    method_shape,
    parameter_of,
    with_element,
)
from fixer.facts.tamper import SLOT_CHANGERS
from fixer.facts.torch_facts import (
    MODULE_RETURNING_METHODS,
    REPARAMETRISATION_REMOVERS,
    REPARAMETRISED,
    REPARAMETRISERS,
    SAME_OBJECT_METHODS,
    WRAPPERS,
    canonical,
    torch_facts,
)

if TYPE_CHECKING:
    from fixer.facts.expressions import Expressions
    from fixer.facts.project import Class

_PLAIN_METHODS = frozenset("item tolist size dim numel numpy stride data_ptr element_size".split())
_PARAMETER_ITERATORS = {"parameters": False, "named_parameters": True}
_MODULE_ITERATORS = {"modules": False, "named_modules": True, "children": False, "named_children": True}
_REGISTERING = frozenset("register_buffer register_parameter add_module register_module".split())


@dataclass(frozen=True)
class Arguments:
    """What a call is given."""

    positional: tuple[Value, ...]
    named: Mapping[str | None, Value]
    starred: bool

    @property
    def given(self) -> bool:
        """Whether any of it depends on the arguments of the function that the call is in."""
        return any(value.given for value in (*self.positional, *self.named.values()))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of the positional arguments."""
        return tuple(value.kind for value in self.positional)

    @property
    def complete(self) -> bool:
        """Whether no argument hides behind a star."""
        return not self.starred and None not in self.named


def call(flow: Expressions, node: ast.Call, env: Env) -> Value:
    """The result of a call."""
    arguments = Arguments(
        tuple(flow.eval(argument, env) for argument in node.args),
        {keyword.arg: flow.eval(keyword.value, env) for keyword in node.keywords},
        any(isinstance(argument, ast.Starred) for argument in node.args),
    )
    called = flow.eval(node.func, env)
    symbol = flow.named(node.func, called.kind, env)
    _watch(flow, node, env)
    if symbol is not None:
        return Value(_symbol_call(flow, symbol, arguments), arguments.given)
    if any(isinstance(option, ModuleKind) for option in options(called.kind)):
        kind = join(_called_module(flow, option, arguments) for option in options(called.kind))
        return Value(kind, arguments.given or called.given)
    if isinstance(node.func, ast.Attribute):
        owner = flow.latest(node.func.value, env)
        kind = _method_call(flow, node.func, owner, arguments, env)
        return Value(kind, arguments.given or owner.given)
    if isinstance(node.func, ast.Name) and node.func.id not in env.values:
        return Value(builtin(node.func.id, arguments.kinds), arguments.given)
    return Value(UNKNOWN, arguments.given or called.given)


# What calls change


def _watch(flow: Expressions, node: ast.Call, env: Env) -> None:
    """Note calls that assign or change slots: `setattr`, `register_buffer`, parametrize, `delattr`."""
    last = (dotted(node.func) or "").rpartition(".")[2]
    match node:
        case ast.Call(func=ast.Name(id="setattr"), args=[owner, ast.Constant(value=str(name)), value]):
            if dotted(owner):
                flow.set_attribute(node, owner, name, flow.eval(value, env), env)
        case ast.Call(args=[owner, *rest]) if last in SLOT_CHANGERS:
            base = dotted(owner)
            names = [a.value for a in rest if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            for name in names or ("weight",):
                flow.tamper(f"{base}.{name}" if base else None, env)
        case ast.Call(func=ast.Attribute(value=owner), args=[ast.Constant(value=str(name)), *rest]):
            if last in _REGISTERING and dotted(owner):
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                held = rest[0] if rest else named.get("tensor") or named.get("param") or named.get("module")
                _register(flow, f"{dotted(owner)}.{name}", last, held, env)


def _register(flow: Expressions, path: str, method: str, held: ast.expr | None, env: Env) -> None:
    value = flow.eval(held, env) if held is not None else Value()
    if method == "register_buffer" and value.kind != NONE:
        value = Value(BufferKind(shape_of(value.kind)), value.given)
    env.assign(path, value)


def _change_collection(path: str, owner: Kind, name: str, arguments: Arguments, env: Env) -> None:
    """``layers.append(x)``: what is known of a collection's items changes."""
    if not isinstance(owner, (SequenceKind, ModuleKind)):
        return
    added: Kind | None = None
    if name in ("append", "add"):
        added = join(arguments.kinds)
    elif name in ADDING_METHODS:
        added = join([element_of(kind) if name != "insert" else kind for kind in arguments.kinds[-1:]])
    elif name in REORDERING_METHODS:
        added = UNKNOWN
    if added is not None:
        env.values[path] = Value(with_element(owner, added), arguments.given)


# Methods


def _method_call(
    flow: Expressions, function: ast.Attribute, owner: Value, arguments: Arguments, env: Env
) -> Kind:
    """The result of calling a method of a value."""
    name = function.attr
    path = dotted(function.value)
    if path is not None:
        _change_collection(path, owner.kind, name, arguments, env)
    if flow.self_name and path == flow.self_name and flow.cls is not None:
        found = flow.inlined(name, arguments, env)
        if found is not None:
            return found
    return join(_method_result(flow, option, name, arguments) for option in options(without_none(owner.kind)))


def _method_result(flow: Expressions, owner: Kind, name: str, arguments: Arguments) -> Kind:
    if isinstance(owner, (ParameterKind, TensorKind)):
        return _tensor_method(owner, name)
    if isinstance(owner, ModuleKind):
        if name in _PARAMETER_ITERATORS:
            return iterator(ParameterKind(), named=_PARAMETER_ITERATORS[name])
        if name in _MODULE_ITERATORS:
            return iterator(ModuleKind(Symbol("torch.nn.Module")), named=_MODULE_ITERATORS[name])
        if name in MODULE_RETURNING_METHODS:
            return owner
        return (
            _called_module(flow, owner, arguments) if name == "forward" else _returned_by(flow, owner, name)
        )
    if isinstance(owner, SequenceKind) and name == "copy":
        return owner
    return UNKNOWN


def _tensor_method(owner: ParameterKind | TensorKind, name: str) -> Kind:
    if isinstance(owner, ParameterKind):
        if name == "requires_grad_" or (name.endswith("_") and not name.endswith("__")):
            return owner
        if name in SAME_OBJECT_METHODS or name in torch_facts().may_return_argument:
            return MAYBE_PARAMETER
    elif name in SAME_OBJECT_METHODS:
        return owner
    if name in _PLAIN_METHODS:
        return PLAIN
    return TensorKind(method_shape(owner.shape, name)) if name in torch_facts().methods else UNKNOWN


def _called_module(flow: Expressions, kind: Kind, arguments: Arguments) -> Kind:
    """The result of calling an instance of a module."""
    if isinstance(kind, ModuleKind) and kind.cls.path is not None:
        return _returned_by(flow, kind, "forward")
    return called_layer(kind, arguments.kinds)


def _returned_by(flow: Expressions, owner: ModuleKind, method: str) -> Kind:
    """What a method of a class of the tree returns."""
    cls = flow.project.find_class(owner.cls)
    found = flow.project.method(cls, method) if cls else None
    if cls is None or found is None or (not owner.exact and is_overridden(flow, cls, method)):
        return UNKNOWN
    return _result(flow, found[0].file, found[1])


def is_overridden(flow: Expressions, cls: Class, method: str) -> bool:
    """Whether a class derived from `cls` defines a method again."""
    return any(method in heir.methods for heir in flow.project.subclasses(cls))


def _result(flow: Expressions, file: File, function: Function) -> Kind:
    found = flow.project.flow(file, function) if flow.project.keeps_result(function) else None
    return found.result if found is not None else UNKNOWN


# Classes and functions


def _symbol_call(flow: Expressions, symbol: Symbol, arguments: Arguments) -> Kind:
    """The result of calling a known class or function."""
    if symbol.path is None:
        return _outside_call(canonical(symbol.name), arguments)
    project = flow.project
    if project.derives(symbol, Symbol("torch.nn.Parameter")):
        return ParameterKind()
    if project.is_module(symbol) is Answer.YES:
        return ModuleKind(symbol, exact=True)
    if project.derives(symbol, Symbol("torch.optim.Optimizer")):
        return OptimizerKind(symbol)
    file = project.file(symbol.path)
    function = file.functions.get(symbol.name) if file else None
    return _result(flow, file, function) if file is not None and function is not None else UNKNOWN


def _outside_call(name: str, arguments: Arguments) -> Kind:
    """The result of calling a class or function of torch or of another library."""
    kinds, facts = arguments.kinds, torch_facts()
    first = kinds[0] if kinds else UNKNOWN
    head, _, last = name.rpartition(".")
    if name in ("torch.nn.Parameter", "torch.nn.UninitializedParameter"):
        return parameter_of(first)
    if name == "torch.nn.Buffer":
        return BufferKind(shape_of(first))
    if name in WRAPPERS:
        return ModuleKind(Symbol(name), items=(first,) if kinds else None, exact=True)
    if name in REPARAMETRISERS and isinstance(first, ModuleKind):
        return ModuleKind(Symbol(REPARAMETRISED), items=(first,), exact=True)
    if name in REPARAMETRISATION_REMOVERS and isinstance(first, (ModuleKind, OneOf)):
        return join(map(_original, options(first)))
    if head == "torch.nn.init" or name in ("copy.deepcopy", "copy.copy"):
        return first
    if head == "torch.nn.functional":
        return _tensor_function(last, arguments) if last in facts.functional else UNKNOWN
    if name.startswith("torch.nn."):
        named = {key: value.kind for key, value in arguments.named.items() if key is not None}
        return layer_call(name, kinds, named, complete=arguments.complete)
    if head == "torch.optim" and last in facts.optimizers:
        return OptimizerKind(Symbol(name))
    if name == "torch.autograd.Variable":
        return TensorKind()
    if head in ("torch.linalg", "torch.special", "torch.fft") or (
        head == "torch" and last in facts.functions
    ):
        return _tensor_function(last, arguments)
    if name == "itertools.chain":
        return SequenceKind(None, join(map(element_of, kinds))) if kinds else UNKNOWN
    return UNKNOWN


def _original(kind: Kind) -> Kind:
    """What a module was before it was reparametrised."""
    if isinstance(kind, ModuleKind) and kind.cls.name == REPARAMETRISED and kind.items:
        return kind.items[0]
    return kind


def _tensor_function(name: str, arguments: Arguments) -> Kind:
    """The result of a function of torch that returns a tensor: a new one, but for some that may not."""
    if "out" in arguments.named:
        return arguments.named["out"].kind
    kinds: Sequence[Kind] = arguments.kinds
    if name.endswith("_") and kinds:  # torch.relu_(p) returns its argument
        return kinds[0]
    in_place = "inplace" in arguments.named or any(
        isinstance(kind, Plain) and kind.value is True for kind in kinds
    )
    if name in torch_facts().may_return_argument or in_place:
        return same_or_new(kinds)
    return TensorKind(literal_shape(name, kinds))
