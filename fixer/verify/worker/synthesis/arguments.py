"""Guesses the arguments of a constructor or a function: annotation first, then use, then name.

Every step yields `Spec`s, best first; the search takes the first and comes back for the others.
"""

from __future__ import annotations

import ast
import builtins
import collections.abc
import enum
import inspect
import json
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import names, source, specs

if TYPE_CHECKING:
    from .specs import Spec, State

ABSENT: Spec = {"kind": "absent"}
"""Leave the argument out."""

_MAX_DEPTH = 3

_METHODS = (
    ({"append", "extend", "index", "insert"}, "list"),
    ({"keys", "items", "values", "get", "pop", "update", "copy", "setdefault"}, "namespace"),
    ({"lower", "upper", "split", "startswith", "endswith", "format", "strip"}, "str"),
    (
        {
            "size",
            "shape",
            "dim",
            "view",
            "detach",
            "clone",
            "float",
            "long",
            "unsqueeze",
            "ndim",
            "T",
            "numel",
            "dtype",
        },
        "tensor",
    ),
    (
        {
            "parameters",
            "modules",
            "state_dict",
            "named_parameters",
            "children",
            "eval",
            "train",
            "weight",
            "requires_grad_",
            "apply",
            "named_modules",
            "forward",
            "load_state_dict",
            "named_children",
            "log_prob",
            "sample",
        },
        "module",
    ),
)

_BUILTIN_SLOTS = {
    "range": "int",
    "int": "int",
    "float": "float",
    "len": "list",
    "enumerate": "list",
    "zip": "list",
    "list": "list",
    "tuple": "list",
    "iter": "list",
    "reversed": "list",
    "sum": "list",
    "map": "list",
    "any": "list",
    "all": "list",
    "sorted": "list",
}


class Context:
    """What guessing needs to know beside the argument itself."""

    def __init__(self, sources: source.Sources, module_classes: list[type] | None = None) -> None:
        self.sources = sources
        self.module_classes = [cls for cls in module_classes or [] if specs.is_importable(cls)]


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function without `self`; *args and **kwargs are kept."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    return found


def constructor_parameters(cls: type) -> list[inspect.Parameter]:
    """Return the parameters of a class's constructor; through `*args, **kwargs` those of the next base's."""
    for owner in cls.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        own = parameters_of(vars(owner)["__init__"])[1:]
        if any(
            parameter.kind is not parameter.VAR_POSITIONAL and parameter.kind is not parameter.VAR_KEYWORD
            for parameter in own
        ):
            return own
        if not own or owner is nn.Module:
            return []
    return []


def candidates(
    parameter: inspect.Parameter, function: Callable[..., Any], context: Context, depth: int = 0
) -> list[Spec]:
    """Return what the argument may be, best guess first."""
    found: list[Spec] = []
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return [ABSENT]
    if parameter.default is not parameter.empty:
        off = names.fetches_weights(parameter.name) and bool(parameter.default)
        found.append(specs.literal(False if parameter.default is True else None) if off else ABSENT)
    found.extend(annotated(annotation_of(parameter, function), parameter.name, context, depth))
    found.extend(used(parameter.name, function, context, depth))
    if parameter.default is not parameter.empty and parameter.default is not None:
        described = specs.spec_of(parameter.default)
        found.extend([described] if described else [])
        found.extend(of_kind(_kind_of_value(parameter.default), parameter.name, context))
    else:
        found.extend(of_kind(names.kind_of(parameter.name), parameter.name, context))
    for kind in ("int", "list", "namespace", "module", "class", "str", "tensor", "float"):
        found.extend(of_kind(kind, parameter.name, context)[:2])
    return unique(found)


def unique(found: list[Spec]) -> list[Spec]:
    """Drop repeated specs, keeping the first."""
    kept: dict[str, Spec] = {}
    for spec in found:
        kept.setdefault(json.dumps(spec, sort_keys=True), spec)
    return list(kept.values())


def _kind_of_value(value: Any) -> str:
    kinds = (
        (bool, "bool"),
        (int, "int"),
        (float, "float"),
        (str, "str"),
        ((list, tuple), "list"),
        (dict, "namespace"),
        (type, "class"),
    )
    return next(
        (kind for cls, kind in kinds if isinstance(value, cls)), "callable" if callable(value) else "int"
    )


def annotation_of(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    """Return the type that a parameter is annotated with, or None."""
    try:
        return typing.get_type_hints(function).get(parameter.name)
    except Exception:  # a name in any of the annotations may not exist at run time
        pass
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    scope = {**vars(typing), **getattr(function, "__globals__", {})}
    try:
        return eval(parameter.annotation, scope)  # the text of an annotation of the code under test
    except Exception:
        return None


def annotated(annotation: Any, name: str, context: Context, depth: int = 0) -> list[Spec]:
    """Return what a type annotation allows, small."""
    if annotation in (None, Any, inspect.Parameter.empty, object) or isinstance(annotation, str):
        return []
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Union or type(annotation).__name__ == "UnionType":
        return [
            spec
            for item in arguments
            if item is not type(None)
            for spec in annotated(item, name, context, depth)
        ]
    if origin is getattr(typing, "Literal", object()):
        return [specs.literal(value) for value in arguments]
    if origin is collections.abc.Callable or annotation is Callable:
        return of_kind("class" if names.kind_of(name) == "class" else "callable", name, context)
    if origin is type:
        return [specs.named(arguments[0])] * specs.is_importable(arguments[0]) + of_kind(
            "class", name, context
        )
    if (origin or annotation) in (
        list,
        tuple,
        set,
        collections.abc.Sequence,
        collections.abc.Iterable,
        list,
        tuple,
    ):
        return _annotated_sequence(origin or annotation, arguments, name, context, depth)
    if (origin or annotation) in (dict, collections.abc.Mapping, collections.abc.MutableMapping, dict):
        return of_kind("namespace", name, context)
    return _annotated_class(annotation, name, context, depth) if isinstance(annotation, type) else []


def _annotated_sequence(
    origin: Any, arguments: tuple[Any, ...], name: str, context: Context, depth: int
) -> list[Spec]:
    kind = "tuple" if origin in (tuple, tuple) else "list"
    if kind == "tuple" and arguments and arguments[-1] is not Ellipsis:
        items = [
            (annotated(item, name, context, depth) or [specs.literal(names.integer(name))])[0]
            for item in arguments
        ]
        return [specs.sequence(kind, items)]
    element = next((item for item in arguments if item is not Ellipsis), None)
    values = annotated(element, name, context, depth) or of_kind("int", name, context)
    return [specs.sequence(kind, [values[0]] * count) for count in (2, 3, 1, 4)]


def _annotated_class(cls: type, name: str, context: Context, depth: int) -> list[Spec]:
    simple = {
        bool: "bool",
        int: "int",
        float: "float",
        str: "str",
        torch.device: "device",
        torch.dtype: "dtype",
    }
    if cls in simple:
        return of_kind(simple[cls], name, context)
    if issubclass(cls, torch.Tensor):
        return of_kind("tensor", name, context)
    if issubclass(cls, enum.Enum):
        return [{**specs.named(cls), "value": f"{cls.__qualname__}.{member.name}"} for member in cls]
    if cls is nn.Module:
        return of_kind("module", name, context)
    if cls.__module__ == "builtins" or not specs.is_importable(cls) or depth >= _MAX_DEPTH:
        return []
    fallback = of_kind("module" if issubclass(cls, nn.Module) else "namespace", name, context)
    return fallback if inspect.isabstract(cls) else [instance(cls, context, depth + 1), *fallback]


def instance(cls: type, context: Context, depth: int = 0) -> Spec:
    """Describe an instance whose required arguments are the best guesses."""
    return specs.new(cls, first_guess(constructor_parameters(cls), cls.__init__, context, depth))


def first_guess(
    parameters: list[inspect.Parameter], function: Callable[..., Any], context: Context, depth: int = 0
) -> State:
    """Return the best guess for every parameter that needs a value."""
    guesses = {parameter.name: candidates(parameter, function, context, depth)[0] for parameter in parameters}
    return {name: spec for name, spec in guesses.items() if spec != ABSENT}


def used(name: str, function: Callable[..., Any], context: Context, depth: int = 0) -> list[Spec]:
    """Return what the function's body says about an argument."""
    node = context.sources.function(function)
    return [] if node is None else used_in(node, name, function, context, depth)


def used_in(
    node: ast.AST, name: str, function: Callable[..., Any], context: Context, depth: int = 0
) -> list[Spec]:
    """Return what the uses of a dotted name in a definition say about it: legal strings first."""
    short = name.split(".")[-1]
    choices: list[Spec] = []
    others: list[Spec] = []
    for use in source.uses(node, source.aliases(node, name)):
        choices.extend(_choices(use, function))
        others.extend(_slot(use, short, function, context, depth))
    return choices + others


def _choices(use: source.Use, function: Callable[..., Any]) -> list[Spec]:
    """Yield the strings that an argument is compared with or looked up by."""
    parent = use.parents[0]
    tables: list[ast.AST] = []
    found: list[str] = []
    if isinstance(parent, ast.Compare):
        found = source.strings_in(parent)
        tables = [item for item in parent.comparators if item is not use.node]
    elif isinstance(parent, ast.Subscript) and parent.value is not use.node:
        tables = [parent.value]
    elif type(parent).__name__ == "Index" and isinstance(use.parents[1], ast.Subscript):
        tables = [use.parents[1].value]
    elif (
        isinstance(parent, ast.Call)
        and isinstance(parent.func, ast.Attribute)
        and parent.func.attr == "get"
        and parent.args[:1] == [use.node]
    ):
        tables = [parent.func.value]
    elif type(parent).__name__ == "Match":
        found = source.strings_in(parent)
    for table in tables:
        if isinstance(table, ast.Dict):
            found = [value for value in map(source.constant, table.keys) if isinstance(value, str)]
        else:
            found = found or _keys(table, function)
    return [specs.literal(value) for value in found]


def _keys(node: ast.AST, function: Callable[..., Any]) -> list[str]:
    try:
        table = source.evaluate(node, getattr(function, "__globals__", {}))
        return [key for key in table if isinstance(key, str)]
    except Exception:  # not a table of the module, or no longer what its name says
        return []


def _slot(
    use: source.Use, name: str, function: Callable[..., Any], context: Context, depth: int
) -> Iterator[Spec]:
    """Yield what the place of a use asks for."""
    parent = use.parents[0]
    if isinstance(parent, ast.Attribute):
        kind = next((kind for methods, kind in _METHODS if parent.attr in methods), None)
        fallback = "module" if names.kind_of(name) == "module" else "namespace"
        yield from of_kind(kind or fallback, name, context)
    elif isinstance(parent, ast.Call) and parent.func is use.node:
        yield from of_kind("class" if names.kind_of(name) in ("class", "str") else "module", name, context)
    elif isinstance(parent, ast.Call):
        yield from _passed(parent, parent.args.index(use.node), name, function, context, depth)
    elif isinstance(parent, ast.keyword):
        call = use.parents[1]
        if parent.arg is None:
            yield specs.namespace()
        elif isinstance(call, ast.Call):
            yield from _passed(call, parent.arg, name, function, context, depth)
    elif isinstance(parent, ast.Starred):
        yield from of_kind("list", name, context)
    elif isinstance(parent, ast.Subscript) and parent.value is use.node:
        key = source.constant(parent.slice)
        yield from of_kind("namespace" if isinstance(key, str) else "list", name, context)
    elif isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is use.node:
        yield from of_kind("list", name, context)
    elif isinstance(parent, ast.BinOp) and not isinstance(parent.op, ast.Mod):
        yield from of_kind(
            names.kind_of(name) if names.kind_of(name) in ("float", "list", "bool") else "int", name, context
        )


def _passed(
    call: ast.Call, place: int | str, name: str, function: Callable[..., Any], context: Context, depth: int
) -> Iterator[Spec]:
    """Yield what the callee asks for at that place."""
    path = source.dotted(call.func) or ""
    if path in _BUILTIN_SLOTS:
        yield from of_kind(_BUILTIN_SLOTS[path], name, context)
        return
    if path.startswith("math."):
        yield from of_kind("int", name, context)
        return
    if path == "isinstance":
        return
    if path in ("getattr", "hasattr") and place == 1:
        yield from (
            specs.literal(value)
            for value in (("ReLU", "relu") if names.string(name) == "relu" else (names.string(name),))
        )
        return
    last = path.rsplit(".", 1)[-1]
    if last in ("Parameter", "register_buffer", "as_tensor", "from_pretrained"):
        yield from of_kind("tensor", name, context)
        return
    if last in ("deepcopy", "clones", "_get_clones", "get_clones", "ModuleList", "Sequential"):
        yield from of_kind("module", name, context)
        return
    if last in ("zeros", "ones", "randn", "rand", "empty", "full", "eye", "arange", "linspace"):
        yield specs.literal(names.integer(name))
        return
    callee = _callee(call, path, function)
    if callee is None or depth >= _MAX_DEPTH:
        return
    target = callee.__init__ if inspect.isclass(callee) else callee
    parameters = constructor_parameters(callee) if inspect.isclass(callee) else parameters_of(callee)
    chosen = [item for index, item in enumerate(parameters) if place in (index, item.name)]
    for parameter in chosen[:1]:
        required = parameter.replace(default=inspect.Parameter.empty)
        if getattr(callee, "__module__", "").startswith("torch."):
            yield from _torch_slot(callee, required, name, context)
        else:
            yield from candidates(required, target, context, depth + 1)[:3]


def _torch_slot(callee: Any, parameter: inspect.Parameter, name: str, context: Context) -> Iterator[Spec]:
    kind = names.kind_of(parameter.name)
    if parameter.name == "normalized_shape" or kind == "int":
        number = names.integer(parameter.name)
        own = names.integer(name)
        yield specs.literal(own if number == names.WIDTH and own != 4 else number)
    else:
        yield from of_kind(kind, parameter.name, context)


def _callee(call: ast.Call, path: str, function: Callable[..., Any]) -> Any:
    """Return the class or function that is called, the base's constructor for ``super().__init__``."""
    if (
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "__init__"
        and isinstance(call.func.value, ast.Call)
    ):
        owner = _owner(function)
        return owner.__mro__[1] if owner is not None else None
    try:
        found = source.evaluate(call.func, {**vars(builtins), **getattr(function, "__globals__", {})})
    except Exception:  # a local name, or a chain that ends somewhere else
        return None
    return found if callable(found) else None


def _owner(function: Callable[..., Any]) -> type | None:
    """Return the class that a plain function was defined in, if its module holds it by that name."""
    plain = inspect.unwrap(function)
    parts = getattr(plain, "__qualname__", "").split(".")[:-1]
    found: Any = getattr(plain, "__globals__", {}).get(parts[0]) if parts else None
    for part in parts[1:]:
        found = getattr(found, part, None)
    return found if inspect.isclass(found) else None


def of_kind(kind: str, name: str, context: Context) -> list[Spec]:
    """Return small values of a kind for a name."""
    return _OF_KIND[kind](name, context)


def _integers(name: str, _context: Context) -> list[Spec]:
    guess = names.integer(name)
    return [specs.literal(value) for value in dict.fromkeys((guess, names.WIDTH, 2, 1, 64, 3))]


def _lists(name: str, _context: Context) -> list[Spec]:
    value = specs.literal(names.integer(name.rstrip("s") if name.endswith("s") and len(name) > 3 else name))
    return [specs.sequence("list", [value] * count) for count in (2, 3, 4, 1, 5)]


def _strings(name: str, _context: Context) -> list[Spec]:
    return [specs.literal(names.string(name))]


def _modules(name: str, context: Context) -> list[Spec]:
    words = name.lower().replace("_", "")
    matching = [
        cls
        for cls in context.module_classes
        if words in cls.__name__.lower() or cls.__name__.lower() in words
    ]
    found = [instance(cls, context, _MAX_DEPTH - 1) for cls in matching]
    width = specs.literal(names.WIDTH)
    return [
        *found,
        specs.helper("PassThrough"),
        specs.new(nn.Linear, {"in_features": width, "out_features": width}),
    ]


def _classes(name: str, context: Context) -> list[Spec]:
    lowered = name.lower()
    words = lowered.replace("_", "")
    own = [cls for cls in context.module_classes if words in cls.__name__.lower()]
    layers: tuple[type, ...] = (nn.ReLU, nn.BatchNorm2d, nn.Conv2d, nn.Linear, nn.LayerNorm)
    if "norm" in lowered or "bn" in lowered:
        layers = (nn.BatchNorm2d, nn.LayerNorm, nn.BatchNorm1d, nn.Identity)
    elif "conv" in lowered:
        layers = (nn.Conv2d, nn.Conv1d)
    elif "linear" in lowered or "layer" in lowered:
        layers = (nn.Linear, nn.ReLU, nn.Identity)
    elif "pool" in lowered:
        layers = (nn.AdaptiveAvgPool2d, nn.MaxPool2d)
    return [specs.named(cls) for cls in [*own, *layers]]


def _callables(name: str, context: Context) -> list[Spec]:
    return [specs.named(torch.nn.functional.relu), specs.helper("PassThrough"), *_classes(name, context)[:2]]


def _tensors(_name: str, _context: Context) -> list[Spec]:
    return [
        specs.tensor(shape)
        for shape in ([names.WIDTH, names.WIDTH], [names.WIDTH], [names.BATCH, names.LENGTH, names.WIDTH])
    ]


_OF_KIND: dict[str, Callable[[str, Context], list[Spec]]] = {
    "int": _integers,
    "float": lambda name, _: [specs.literal(names.floating(name)), specs.literal(1.0), specs.literal(0.0)],
    "bool": lambda _name, _: [specs.literal(False), specs.literal(True)],
    "str": _strings,
    "list": _lists,
    "module": _modules,
    "class": _classes,
    "callable": _callables,
    "tensor": _tensors,
    "namespace": lambda _name, _: [specs.namespace()],
    "device": lambda _name, _: [specs.literal("cpu")],
    "dtype": lambda _name, _: [{"kind": "name", "module": "torch", "value": "float32"}],
}
