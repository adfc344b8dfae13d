"""What type annotations allow."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import itertools
import re
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import distributions, harvest, names, notations, signatures, specs
from .kinds import of_kind

if TYPE_CHECKING:
    from .arguments import Context
    from .specs import Spec

_SEQUENCES = (
    list,
    tuple,
    set,
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
    nn.ModuleList,
)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_SIMPLE = {bool: "bool", int: "int", float: "float", str: "str", torch.device: "device", torch.dtype: "dtype"}


def annotation_of(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    """Return the type that a parameter is annotated with, or None."""
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return None if annotation is parameter.empty else annotation
    scope = {**vars(typing), **getattr(function, "__globals__", {})}
    try:
        return eval(annotation, scope)  # the text of an annotation of the code under test
    except Exception:  # a name that only the type checker knows
        return None


def tensor_dtype(annotation: Any) -> str | None:
    """Return the element type that an annotation of a tensor gives, "" if none, None if it is no tensor."""
    if isinstance(annotation, type(torch.FloatTensor)):  # old names of types, no classes
        return str(annotation.dtype).split(".")[1]
    if isinstance(annotation, type) and issubclass(annotation, torch.Tensor):
        return ""
    if typing.get_origin(annotation) is typing.Union or type(annotation).__name__ == "UnionType":
        found = [tensor_dtype(item) for item in typing.get_args(annotation)]
        return next((item for item in found if item is not None), None)
    return None


def is_module(annotation: Any) -> bool:
    """Whether an annotation names a class of modules."""
    return isinstance(annotation, type) and issubclass(annotation, nn.Module)


_AGAINST_HINT = re.compile(r"parameter (\w+)=.* violates type hint", re.DOTALL)
_OF_A_TYPE = 4


def hinted(
    message: str, parameters: list[inspect.Parameter], function: Callable[..., Any], context: Context
) -> tuple[inspect.Parameter, Iterator[Spec]] | None:
    """Return the parameter that a check of annotations names, and values of its type, if it names one."""
    match = _AGAINST_HINT.search(message)
    parameter = next((item for item in parameters if match and item.name == match[1]), None)
    if parameter is None:
        return None
    found = annotated(annotation_of(parameter, function), parameter.name, context)
    return parameter, itertools.islice(found, _OF_A_TYPE)


def annotated(annotation: Any, name: str, context: Context) -> Iterator[Spec]:
    """Yield small values of a type, best first; nothing if the type says nothing."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    holder = origin or annotation
    if origin is typing.Union or type(annotation).__name__ == "UnionType":
        for item in arguments:
            yield from annotated(item, name, context)
    elif origin is getattr(typing, "Literal", NotImplemented):
        yield from map(specs.literal, arguments)
    elif origin is getattr(typing, "Annotated", NotImplemented):
        yield from annotated(arguments[0], name, context)
    elif holder is collections.abc.Callable:
        yield from of_kind("class" if names.kind_of(name) == "class" else "callable", name, context)
    elif holder is type:
        useful = (item for item in arguments if item is not nn.Module and not inspect.isabstract(item))
        yield from (specs.named(item) for item in useful if specs.is_importable(item))
        yield from of_kind("class", name, context)
    elif holder in _SEQUENCES:
        yield from _sequence(holder, arguments, name, context)
    elif holder in _MAPPINGS:
        yield from _mapping(arguments, name, context)
        yield from of_kind("namespace", name, context)
    elif isinstance(annotation, type(torch.FloatTensor)):
        yield from of_kind("tensor", name, context)
    elif isinstance(annotation, type) and annotation not in (object, type(None), Any):
        yield from _instance(annotation, name, context)


def _sequence(holder: Any, arguments: tuple[Any, ...], name: str, context: Context) -> Iterator[Spec]:
    kind = "tuple" if holder is tuple else "list"
    elements = [item for item in arguments if item is not Ellipsis]
    if kind == "tuple" and elements and Ellipsis not in arguments:
        yield specs.sequence(kind, [_first(item, name, context) for item in elements])
        return
    if holder is nn.ModuleList:
        several = of_kind("modules", name, context)
        yield from (specs.new(nn.ModuleList, positional=[item]) for item in several)
        yield from several
        return
    item = _first(elements[0] if elements else int, name, context)
    yield from (specs.sequence(kind, [item] * count) for count in (2, 3, 1, 4))


_NAMES = ("first", "second")
_CONCRETE = 3


def _mapping(arguments: tuple[Any, ...], name: str, context: Context) -> Iterator[Spec]:
    """Yield a record of values of a type under any names; who reads tensors knows what they are called."""
    if len(arguments) == 2 and arguments[0] is str and tensor_dtype(arguments[1]) is None:
        value = next(annotated(arguments[1], name, context), None)
        if value is not None:
            yield specs.namespace(dict.fromkeys(_NAMES, value))


def _first(annotation: Any, name: str, context: Context) -> Spec:
    return next(annotated(annotation, name, context), specs.literal(names.integer(name)))


def _is_base(cls: type, context: Context) -> bool:
    """Whether a class leaves its work to subclasses, whether or not it says so to Python."""
    return inspect.isabstract(cls) or (issubclass(cls, nn.Module) and not context.is_runnable(cls))


def _instance(cls: type, name: str, context: Context) -> Iterator[Spec]:
    if cls in _SIMPLE:
        yield from of_kind(_SIMPLE[cls], name, context)
    elif issubclass(cls, torch.Tensor):
        yield from of_kind("tensor", name, context)
    elif issubclass(cls, enum.Enum):
        yield from ({**specs.named(cls), "value": f"{cls.__qualname__}.{member.name}"} for member in cls)
    elif cls is nn.Module:
        yield from of_kind("module", name, context)
    elif issubclass(cls, torch.distributions.Distribution):
        yield from distributions.of_class(cls)
    elif cls.__module__ != "builtins":
        if _is_base(cls, context) and not context.is_deep:
            below = (item for item in signatures.subclasses(cls) if specs.is_importable(item))
            concrete = (item for item in below if not _is_base(item, context))
            yield from (context.instance(item) for item in itertools.islice(concrete, _CONCRETE))
        if specs.is_importable(cls) and not context.is_deep and not inspect.isabstract(cls):
            if notations.is_value(cls):
                yield from (specs.new(cls, state) for state in notations.examples(cls, context))
            yield context.instance(cls)
            if not issubclass(cls, nn.Module):
                yield from harvest.instances(cls, context.sources)
        yield from of_kind("module" if issubclass(cls, nn.Module) else "namespace", name, context)
