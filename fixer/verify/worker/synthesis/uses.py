"""What a function's body says about an argument: what it is compared with, passed to, called with."""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import names, notations, signatures, source, specs
from .kinds import defines, is_layer_name, makes, of_kind

if TYPE_CHECKING:
    from .arguments import Context
    from .specs import Spec


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: kind for kind, words in table.items() for word in words.split()}


# Methods and attributes that tell the kind of the object they are read from.
KIND_OF_METHOD = _by_word(
    {
        "list": "append extend index insert reverse sort",
        "namespace": "keys items values get pop update copy setdefault",
        "str": "lower upper split startswith endswith format strip",
        "array": "astype tolist tobytes",
        "tensor": "size shape dim view detach clone float long unsqueeze ndim T numel dtype device to"
        " cuda cpu",
        "module": "parameters modules state_dict children eval train weight requires_grad_ apply forward"
        " log_prob load_state_dict sample named_parameters named_modules named_children",
    }
)

_FITTING = 2
"""How many classes of the file are tried where one is called: whoever asks may want only three guesses."""

_SEVERAL = 2
_OF_MODULES_TOO = ("float", "to", "cuda", "cpu")

# What a callee asks of its argument, by the last part of the callee's name.
_KIND_OF_CALLEE = _by_word(
    {
        "int": "range int sqrt ceil floor log log2 zeros ones randn rand empty full eye arange linspace",
        "float": "float",
        "list": "len enumerate zip list tuple iter reversed sum map any all sorted",
        "tensor": "Parameter register_buffer as_tensor from_pretrained",
        "array": "from_numpy",
        "module": "deepcopy clones _get_clones get_clones",
        "modules": "ModuleList Sequential",
    }
)


def used(name: str, function: Callable[..., Any], context: Context) -> Iterator[Spec]:
    """Yield what the function's body says about one of its arguments.

    What a constructor only stores, `forward` uses.
    """
    node = context.sources.function(function)
    if node is None:
        return
    yield from used_in(node, name, function, context)
    if function.__name__ != "__init__":
        return
    forward = getattr(signatures.owner_of(function), "forward", None)
    inner = None if forward is None else context.sources.function(forward)
    for path in source.aliases(node, name) if inner is not None else ():
        if inner is not None and forward is not None and path.startswith("self."):
            yield from used_in(inner, path, forward, context)


def tested(name: str, function: Callable[..., Any], context: Context) -> Iterator[Spec]:
    """Yield instances of the module classes that a function tests an argument for with ``isinstance``."""
    node = context.sources.function(function)
    for use in source.uses(node, {name}) if node is not None else ():
        parent = use.parents[0]
        if (
            isinstance(parent, ast.Call)
            and source.dotted(parent.func) == "isinstance"
            and use.node in parent.args
        ):
            yield from _tested(parent, parent.args.index(use.node), function, context)


def used_in(node: ast.AST, name: str, function: Callable[..., Any], context: Context) -> Iterator[Spec]:
    """Yield what the uses of a dotted name in a definition say about it: legal strings first."""
    found = list(source.uses(node, source.aliases(node, name)))
    short = name.rsplit(".", 1)[-1]
    for use in found:
        yield from map(specs.literal, _choices(use, function))
    # That something is called says more than what is read off it: classes have attributes, too.
    for use in sorted(found, key=lambda use: getattr(use.parents[0], "func", None) is not use.node):
        yield from _slot(use, short, function, context)


def strings(name: str, function: Callable[..., Any], context: Context) -> Iterator[Spec]:
    """Yield the strings that an argument itself is compared with."""
    node = context.sources.function(function)
    for use in source.uses(node, {name}) if node is not None else ():
        if isinstance(use.parents[0], ast.Compare):
            yield from map(specs.literal, _choices(use, function))


def _choices(use: source.Use, function: Callable[..., Any]) -> list[str]:
    """Return the strings that an argument is compared with or looked up by."""
    parent = use.parents[0]
    table: ast.AST | None = None
    if isinstance(parent, ast.Compare):
        if isinstance(parent.ops[0], (ast.In, ast.NotIn)) and parent.left is not use.node:
            return []  # it is asked what it holds
        found = source.strings_in(parent)
        table = parent.comparators[0]
        if found:
            return found
    elif isinstance(parent, ast.Subscript) and parent.value is not use.node:
        table = parent.value
    elif type(parent).__name__ == "Index" and isinstance(use.parents[1], ast.Subscript):
        table = use.parents[1].value
    elif (
        isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute) and parent.func.attr == "get"
    ):
        table = parent.func.value if parent.args[:1] == [use.node] else None
    elif type(parent).__name__ == "Match":
        return source.strings_in(parent)
    if isinstance(table, ast.Dict):
        return [key for key in map(source.constant, table.keys) if isinstance(key, str)]
    return [] if table is None or table is use.node else _keys(table, function)


def _keys(node: ast.AST, function: Callable[..., Any]) -> list[str]:
    try:
        table = source.evaluate(node, getattr(function, "__globals__", {}))
        return [key for key in table if isinstance(key, str)]
    except Exception:  # not a table of the module, or no longer what its name says
        return []


def _slot(use: source.Use, name: str, function: Callable[..., Any], context: Context) -> Iterator[Spec]:
    """Yield what the place of a use asks for."""
    parent = use.parents[0]
    by_name = names.kind_of(name)
    if isinstance(parent, ast.Call) and parent.func is not use.node:
        if use.node in parent.args:
            yield from _passed(parent, parent.args.index(use.node), name, function, context)
        return
    if isinstance(parent, ast.keyword) and parent.arg is not None:
        if isinstance(use.parents[1], ast.Call):
            yield from _passed(use.parents[1], parent.arg, name, function, context)
        return
    kind: str | None = None
    if isinstance(parent, ast.Attribute):
        kind = KIND_OF_METHOD.get(parent.attr, "namespace")
        if by_name == "module" and (kind == "namespace" or parent.attr in _OF_MODULES_TOO):
            kind = "module"
    elif isinstance(parent, ast.Call):
        kind = "module" if _is_forward(function) and by_name not in ("class", "str") else "class"
        if by_name == "loss" and function.__name__ != "__init__":
            yield from of_kind("loss", name, context)
        result = _result(use, function, context) if kind == "module" else None
        if result is not None:
            plain = specs.helper("PassThrough")
            yield from (result if item == plain else item for item in of_kind(kind, name, context))
    elif isinstance(parent, ast.keyword):
        kind = "namespace"
    elif isinstance(parent, ast.Starred):
        holder = use.parents[1]
        sequential = isinstance(holder, ast.Call) and (source.dotted(holder.func) or "").endswith(
            "Sequential"
        )
        kind = "modules" if sequential else "list"
    elif isinstance(parent, ast.Subscript) and parent.value is use.node:
        kind = "namespace" if isinstance(source.constant(parent.slice), str) else "list"
    elif isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is use.node:
        yield from _several_of(parent, use, function, context)
        kind = "list"
    elif isinstance(parent, ast.BinOp) and not isinstance(parent.op, ast.Mod):
        sides = {type(parent.left), type(parent.right)}
        kind = by_name if by_name in ("float", "list", "bool", "str") else "int"
        kind = "list" if ast.List in sides else "str" if ast.JoinedStr in sides else kind
    if kind == "class" and isinstance(parent, ast.Call) and _is_given_layer(parent, function):
        yield specs.helper("PassThrough")
    if kind == "class" and isinstance(parent, ast.Call):
        yield from of_kind(kind, name, context)[:1] if makes(name) else ()
        yield from itertools.islice(_fitting_classes(parent, name, function, context), _FITTING)
    if kind is not None:
        yield from of_kind(kind, name, context)


def _is_given_layer(call: ast.Call, function: Callable[..., Any]) -> bool:
    """Whether what a call is given is a layer that has just been built: ``wrap(nn.Conv2d(3, 8, 1))``."""
    built = next((item for item in call.args[:1] if isinstance(item, ast.Call)), None)
    callee = None if built is None else _callee(built, function)
    return inspect.isclass(callee) and issubclass(callee, nn.Module)


def _several_of(
    loop: ast.For | ast.comprehension, use: source.Use, function: Callable[..., Any], context: Context
) -> Iterator[Spec]:
    """Yield lists of texts that a class of the package reads, if the body of a loop gives it each item."""
    item = source.dotted(loop.target)
    place = loop if isinstance(loop, ast.For) else use.parents[1]
    for inner in source.uses(place, {item}) if item is not None else ():
        call = inner.parents[0]
        if isinstance(call, ast.Call) and inner.node in call.args:
            texts = notations.read_by(_callee(call, function), call.args.index(inner.node), context)
            yield from (specs.sequence("list", [text] * _SEVERAL) for text in texts)


def _fitting_classes(
    call: ast.Call, name: str, function: Callable[..., Any], context: Context
) -> Iterator[Spec]:
    """Yield the classes of the file that can be built by a call, and have what is read off them there."""
    if is_layer_name(name) or any(isinstance(item, ast.Starred) for item in call.args):
        return
    definition = context.sources.function(function)
    uses = source.uses(definition, {name}) if definition is not None else ()
    read = {item.parents[0].attr for item in uses if isinstance(item.parents[0], ast.Attribute)}
    positional = [None] * len(call.args)
    named = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
    for cls in context.module_classes:
        own = cls.__module__.startswith("torch.") or cls is signatures.owner_of(function)
        if own or not all(defines(cls, attribute) for attribute in read):
            continue
        try:
            inspect.signature(cls).bind(*positional, **named)
        except (TypeError, ValueError):
            continue
        if context.is_runnable(cls):
            yield specs.named(cls)


def asked_of_result(
    use: source.Use, definition: ast.AST, function: Callable[..., Any], context: Context
) -> Iterator[Spec]:
    """Yield what is asked of that which calling a used value returns: by its uses, then by its name."""
    call, *outer = use.parents
    assert isinstance(call, ast.Call)
    targets = getattr(outer[0], "targets", []) if outer else []
    short = getattr(use.node, "attr", "")
    if targets and isinstance(targets[0], ast.Tuple):
        parts = [list(_asked_of_target(item, definition, function, context)) for item in targets[0].elts]
        yield specs.sequence("tuple", [next(iter(part), specs.literal(names.UNKNOWN)) for part in parts])
        return
    for target in targets:
        yield from _asked_of_target(target, definition, function, context)
    if not targets and outer:
        yield from _slot(source.Use(call, tuple(outer)), short, function, context)
    yield from of_kind(names.kind_of(short), short, context)
    yield from of_kind("int", short, context)


def _asked_of_target(
    target: ast.expr, definition: ast.AST, function: Callable[..., Any], context: Context
) -> Iterator[Spec]:
    """Yield what is asked of what is assigned to a name."""
    path = source.dotted(target)
    if path is not None:
        yield from used_in(definition, path, function, context)
        short = path.rsplit(".", 1)[-1]
        yield from of_kind(names.kind_of(short), short, context)


def asked_by_methods(node: ast.AST, path: str, cls: type, context: Context) -> Iterator[Spec]:
    """Yield what the methods of a class ask of an entry that its constructor only stores."""
    kept = [alias for alias in source.aliases(node, path) if alias.startswith("self.")]
    for method in vars(cls).values() if kept else ():
        inner = context.sources.function(method) if inspect.isfunction(method) else None
        if inner is not None and inner is not node:
            for alias in kept:
                yield from used_in(inner, alias, method, context)


def _result(use: source.Use, function: Callable[..., Any], context: Context) -> Spec | None:
    """Return a stand-in for a module that returns more than a tensor, None if nobody takes it apart."""
    call, *outer = use.parents
    holder = outer[0] if outer else None
    if isinstance(holder, ast.Subscript) and holder.value is call:
        place = source.constant(holder.slice)
        return _several(place + 1) if type(place) is int and place >= 0 else None
    if isinstance(holder, ast.Attribute):
        return specs.helper("Record") if not hasattr(torch.Tensor, holder.attr) else None
    if not isinstance(holder, ast.Assign):
        return None
    target = holder.targets[0]
    if isinstance(target, ast.Tuple):
        return (
            None if any(isinstance(item, ast.Starred) for item in target.elts) else _several(len(target.elts))
        )
    definition, path = context.sources.function(function), source.dotted(target)
    reads = source.uses(definition, {path}) if definition is not None and path is not None else ()
    names_read = [item.parents[0] for item in reads]
    is_record = any(
        isinstance(item, ast.Attribute) and not hasattr(torch.Tensor, item.attr) for item in names_read
    )
    return specs.helper("Record") if is_record else None


def _several(count: int) -> Spec:
    return specs.helper("Several", count=specs.literal(max(count, 2)))


def _is_forward(function: Callable[..., Any]) -> bool:
    """Whether `forward` makes a call; elsewhere a call makes a layer: what is called is a class."""
    return getattr(function, "__name__", "") == "forward"


def _passed(
    call: ast.Call, place: int | str, name: str, function: Callable[..., Any], context: Context
) -> Iterator[Spec]:
    """Yield what the callee asks for at that place."""
    path = source.dotted(call.func) or ""
    last = path.rsplit(".", 1)[-1]
    if path == "isinstance":
        yield from _tested(call, place, function, context)
    elif path in ("getattr", "hasattr") and place == 1:
        default = names.string(name)
        yield from map(specs.literal, ("ReLU", "relu") if default == "relu" else (default,))
    elif last == "extend" and isinstance(call.func, ast.Attribute):
        yield from of_kind("modules", name, context)
    elif last == "Sequential" and len(call.args) > 1:  # one of its layers
        yield from of_kind("module", name, context)
    elif last in _KIND_OF_CALLEE:
        yield from of_kind(_KIND_OF_CALLEE[last], name, context)
    else:
        callee = _callee(call, function)
        yield from notations.read_by(callee, place, context)
        if callee is not None and not context.is_deep:
            yield from _asked(callee, place, name, context)


def _tested(
    call: ast.Call, place: int | str, function: Callable[..., Any], context: Context
) -> Iterator[Spec]:
    """Yield instances of the module classes that ``isinstance`` tests for."""
    types = call.args[1].elts if place == 0 and isinstance(call.args[1], ast.Tuple) else call.args[1:]
    for node in types if place == 0 else ():
        try:
            cls = source.evaluate(node, getattr(function, "__globals__", {}))
        except Exception:  # a local name
            continue
        if (
            inspect.isclass(cls)
            and issubclass(cls, nn.Module)
            and cls is not nn.Module
            and not context.is_deep
        ):
            yield context.instance(cls)


def _asked(callee: Any, place: int | str, name: str, context: Context) -> Iterator[Spec]:
    """Yield what the signature and the body of a class or function ask for at a place."""
    is_class = inspect.isclass(callee)
    parameters = signatures.constructor_parameters(callee) if is_class else signatures.parameters_of(callee)
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    target = signatures.constructor(callee) if is_class else callee
    for index, parameter in enumerate(parameters):
        if place not in (index, parameter.name):
            continue
        required = parameter.replace(default=inspect.Parameter.empty)
        if (getattr(callee, "__module__", None) or "").startswith("torch."):
            yield from _torch_slot(required, name, context)
        else:
            found = itertools.islice(context.deeper().evidence(required, target), 3)
            yield from (_renamed(spec, name) for spec in found if not _contradicts(spec, name))


def _torch_slot(parameter: inspect.Parameter, name: str, context: Context) -> Iterator[Spec]:
    """Yield what an argument of a layer of torch's asks for."""
    kind = names.kind_of(parameter.name)
    if kind != "int" and parameter.name != "normalized_shape":
        yield from of_kind(kind, parameter.name, context)
    elif names.integer(name) == names.UNKNOWN or not names.is_width(parameter.name):
        yield specs.literal(names.integer(parameter.name))
    else:
        yield specs.literal(names.integer(name))


def _contradicts(spec: Spec, name: str) -> bool:
    """Whether a guess is a class or an object where the name speaks of a size (``default(x, dim)``)."""
    return names.is_size(name) and spec["kind"] in ("name", "helper", "new")


def _renamed(spec: Spec, name: str) -> Spec:
    """Return an integer for this name, which knows sizes better than the name that the callee gives it."""
    is_integer = spec["kind"] == "literal" and type(spec["value"]) is int
    return specs.literal(names.integer(name)) if is_integer and names.is_size(name) else spec


def _callee(call: ast.Call, function: Callable[..., Any]) -> Any:
    """Return the class or function that is called, the base class for ``super().__init__``."""
    func = call.func
    if isinstance(func, ast.Attribute) and func.attr == "__init__" and isinstance(func.value, ast.Call):
        owner = signatures.owner_of(function)
        return owner.__mro__[1] if owner is not None else None
    scope = {**vars(builtins), **getattr(function, "__globals__", {}), "self": signatures.owner_of(function)}
    try:
        found = source.evaluate(func, scope)
    except Exception:  # a local name, or a chain that ends somewhere else
        return None
    return found if callable(found) else None
