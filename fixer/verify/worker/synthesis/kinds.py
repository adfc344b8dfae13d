"""Small values of each kind: integers, lists, modules, layer classes, tensors..."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from . import names, signatures, specs

if TYPE_CHECKING:
    from .arguments import Context
    from .specs import Spec


def of_kind(kind: str, name: str, context: Context) -> list[Spec]:
    """Return values of a kind for an argument of that name, best first."""
    return _OF_KIND[kind](name, context)


def kind_of_value(value: object) -> str:
    """Return the kind of a value that exists."""
    kinds = (
        (bool, "bool"),
        (int, "int"),
        (float, "float"),
        (str, "str"),
        ((list, tuple), "list"),
        (dict, "namespace"),
        (type, "class"),
    )
    fallback = "callable" if callable(value) else "int"
    return next((kind for cls, kind in kinds if isinstance(value, cls)), fallback)


def _integers(name: str, _context: Context) -> list[Spec]:
    return [specs.literal(value) for value in dict.fromkeys((names.integer(name), names.WIDTH, 2, 1, 64, 3))]


def _lists(name: str, _context: Context) -> list[Spec]:
    singular = name[:-1] if name.endswith("s") and len(name) > 3 else name
    item = names.floating(singular) if names.kind_of(singular) == "float" else names.integer(singular)
    return [specs.sequence("list", [specs.literal(item)] * count) for count in (2, 3, 4, 1, 5)]


def _tuples(name: str, context: Context) -> list[Spec]:
    return [{**spec, "kind": "tuple"} for spec in _lists(name, context)]


def _modules(name: str, context: Context) -> list[Spec]:
    word = name.lower().replace("_", "")
    alike = (cls for cls in context.module_classes if _alike(word, cls.__name__.lower()))
    matching = [cls for cls in alike if context.is_runnable(cls)]
    width = specs.literal(names.WIDTH)
    linear = specs.new(nn.Linear, {"in_features": width, "out_features": width})
    return [
        *(context.instance(cls) for cls in matching if not context.is_deep),
        specs.helper("PassThrough"),
        linear,
        specs.new(nn.Conv2d, {"in_channels": width, "out_channels": width, "kernel_size": specs.literal(3)}),
        specs.new(nn.Embedding, {"num_embeddings": specs.literal(names.WIDTH), "embedding_dim": width}),
        layers_in_a_row()[0],
    ]


def layers_in_a_row() -> list[Spec]:
    """Return modules that have children: of vectors, of images."""
    width = specs.literal(names.WIDTH)
    linear = specs.new(nn.Linear, {"in_features": width, "out_features": width})
    sizes = {"in_channels": width, "out_channels": width, "kernel_size": specs.literal(1)}
    conv = specs.new(nn.Conv2d, sizes)
    return [
        specs.new(nn.Sequential, positional=[layer, specs.new(nn.ReLU), layer]) for layer in (linear, conv)
    ]


@functools.lru_cache(maxsize=1)
def _samples() -> tuple[nn.Module, ...]:
    """Return one layer of each kind, to look attributes up on."""
    return (
        nn.Linear(1, 1),
        nn.Conv2d(1, 1, 1),
        nn.BatchNorm2d(1),
        nn.LayerNorm(1),
        nn.Embedding(1, 1),
        nn.LSTM(1, 1),
    )


def modules_with(attribute: str, context: Context) -> list[Spec]:
    """Return modules that have an attribute: of the candidates' classes, else layers of torch's."""
    own = [cls for cls in context.module_classes if defines(cls, attribute)]
    layers = [type(layer) for layer in _samples() if hasattr(layer, attribute)]
    return [context.instance(cls) for cls in [*own, *layers]]


def defines(cls: type, attribute: str) -> bool:
    """Whether instances have the attribute: the class has it, or a constructor names it."""
    constructors = [inspect.unwrap(function) for _, function in signatures.constructors(cls)]
    return hasattr(cls, attribute) or any(attribute in item.__code__.co_names for item in constructors)


def _alike(word: str, class_name: str) -> bool:
    """Whether an argument's name is a class's, or a long part of it (``encoder``: ``TextEncoder``)."""
    return (
        word == class_name
        or (len(word) > 4 and word in class_name)
        or (len(class_name) > 4 and class_name in word)
    )


def _module_lists(name: str, context: Context) -> list[Spec]:
    singular = name[:-1] if name.endswith("s") else name
    return [specs.sequence("list", [module] * 2) for module in _modules(singular, context)]


_FAMILIES: tuple[tuple[tuple[str, ...], tuple[type, ...]], ...] = (
    (("norm", "bn"), (nn.BatchNorm2d, nn.LayerNorm, nn.BatchNorm1d, nn.Identity)),
    (("conv",), (nn.Conv2d, nn.Conv1d)),
    (("linear", "layer"), (nn.Linear, nn.ReLU, nn.Identity)),
    (("pool",), (nn.AdaptiveAvgPool2d, nn.MaxPool2d)),
    (("",), (nn.ReLU, nn.BatchNorm2d, nn.Conv2d, nn.Linear, nn.LayerNorm)),
)


def is_layer_name(name: str) -> bool:
    """Whether a name speaks of a kind of layer that torch has."""
    words = [item for family, _ in _FAMILIES for item in (*family, "act") if item]
    return any(item in name.lower() for item in words)


def _classes(name: str, context: Context) -> list[Spec]:
    word = name.lower().replace("_", "")
    own = [cls for cls in context.module_classes if word in cls.__name__.lower()]
    layers = next(layers for words, layers in _FAMILIES if any(item in word for item in words))
    makers = [specs.helper("make_layer")]
    found = [specs.named(cls) for cls in [*own, *layers]]
    return [*makers, *found] if makes(name) else [*found, *makers]


def makes(name: str) -> bool:
    """Whether a name speaks of what makes a layer, however it is called."""
    return any(item in name.lower() for item in ("create", "factory", "build", "net"))


def _callables(name: str, context: Context) -> list[Spec]:
    relu = specs.named(torch.nn.functional.relu)
    return [relu, specs.helper("PassThrough"), specs.helper("make_layer"), *_classes(name, context)[:2]]


def _losses(_name: str, _context: Context) -> list[Spec]:
    """Return what measures how far two tensors are apart: in one number, a sample, an element."""
    return [
        specs.new(nn.MSELoss),
        specs.helper("PerSample"),
        specs.new(nn.MSELoss, {"reduction": specs.literal("none")}),
        specs.new(nn.CrossEntropyLoss),
    ]


def _tensors(name: str, _context: Context) -> list[Spec]:
    """Return a vector, which goes with everything that has as many features, and a matrix."""
    shapes = ([names.WIDTH], [names.WIDTH, names.WIDTH], [names.BATCH, names.LENGTH, names.WIDTH])
    order = (1, 0, 2) if names.is_matrix(name) else (0, 1, 2)
    return [specs.tensor(shapes[place]) for place in order]


def _arrays(name: str, context: Context) -> list[Spec]:
    return [specs.helper("array", value=spec) for spec in _tensors(name, context)]


def _tokenizers(name: str, context: Context) -> list[Spec]:
    """Return the modules of that name, if there are any, and what stands for a tokenizer."""
    own = [spec for spec in _modules(name, context) if spec["kind"] == "new" and _is_own(spec)]
    return [*own, specs.helper("Tokens")]


def _is_own(spec: Spec) -> bool:
    return not str(spec["class"]["module"]).startswith("torch.")


_OF_KIND: dict[str, Callable[[str, Context], list[Spec]]] = {
    "int": _integers,
    "float": lambda name, _: [specs.literal(value) for value in (names.floating(name), 1.0, 0.0)],
    "bool": lambda _name, _: [specs.literal(False), specs.literal(True)],
    "str": lambda name, _: [specs.literal(names.string(name))],
    "list": _lists,
    "tuple": _tuples,
    "module": _modules,
    "modules": _module_lists,
    "class": _classes,
    "callable": _callables,
    "loss": _losses,
    "tensor": _tensors,
    "array": _arrays,
    "tokens": _tokenizers,
    "namespace": lambda _name, _: [specs.namespace()],
    "device": lambda _name, _: [specs.literal("cpu")],
    "dtype": lambda _name, _: [{"kind": "name", "module": "torch", "value": "float32"}],
}
