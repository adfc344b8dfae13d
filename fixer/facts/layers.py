"""The layers of torch: what their slots hold under which arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fixer.facts.kinds import (
    MAYBE_PARAMETER,
    NONE,
    UNKNOWN,
    BufferKind,
    Kind,
    ModuleKind,
    ParameterKind,
    Plain,
    SequenceKind,
    Shape,
    Symbol,
    TensorKind,
    join,
)
from fixer.facts.torch_facts import torch_facts

_GIVE_NO_TENSOR = frozenset(
    "RNN LSTM GRU RNNBase LSTMCell MultiheadAttention AdaptiveLogSoftmaxWithLoss Module Sequential "
    "ModuleList ModuleDict Container ParameterList ParameterDict DataParallel".split()
)
_MAY_GIVE_INPUT = frozenset("Identity Flatten Unflatten".split())
"""Layers that may return the very tensor they are given, like every dropout and what works in place."""


def layer_call(name: str, arguments: Sequence[Kind], keywords: Mapping[str, Kind], *, complete: bool) -> Kind:
    """An instance of a layer with its constructor's arguments; `complete` unless some hide behind a star."""
    short = name.removeprefix("torch.nn.")
    if "." in short or not short[:1].isupper():
        return UNKNOWN
    if not complete:
        if short in ("Sequential", "ModuleList"):
            return ModuleKind(Symbol(name), exact=True, element=UNKNOWN)
        return ModuleKind(Symbol(name), (("**", UNKNOWN),), exact=True)
    if short == "Sequential":
        return ModuleKind(Symbol(name), items=tuple(arguments), exact=True)
    if short == "ModuleList":
        held = arguments[0] if arguments else SequenceKind(())
        if isinstance(held, SequenceKind):
            return ModuleKind(Symbol(name), items=held.items, element=held.element, exact=True)
        return ModuleKind(Symbol(name), element=UNKNOWN, exact=True)
    layer = torch_facts().layers.get(short)
    named = dict(zip(layer.arguments if layer else (), arguments, strict=False)) | dict(keywords)
    return ModuleKind(Symbol(name), tuple(sorted(named.items(), key=lambda pair: pair[0])), exact=True)


def called_layer(kind: Kind, arguments: Sequence[Kind]) -> Kind:
    """The result of calling an instance of a torch layer: a tensor, but for recurrent ones and the like."""
    if not isinstance(kind, ModuleKind) or kind.cls.path is not None or not kind.exact:
        return UNKNOWN
    short = kind.cls.name.removeprefix("torch.nn.")
    if short not in torch_facts().layers or short in _GIVE_NO_TENSOR:
        return UNKNOWN
    in_place = not {"inplace", "**"}.isdisjoint(dict(kind.arguments))
    same = short in _MAY_GIVE_INPUT or "Dropout" in short or in_place
    return same_or_new(arguments) if same else TensorKind()


def same_or_new(arguments: Sequence[Kind]) -> Kind:
    """A tensor that may be the first argument itself."""
    known = bool(arguments) and arguments[0] != UNKNOWN
    return join([arguments[0], TensorKind()]) if known else MAYBE_PARAMETER


def layer_slot(owner: ModuleKind, name: str) -> Kind:
    """What a slot of a torch layer holds, given what is known of its constructor's arguments."""
    return layer_slots(owner).get(name, UNKNOWN)


def layer_slots(owner: ModuleKind) -> dict[str, Kind]:
    """What every slot of a torch layer holds."""
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
            known = isinstance(literal, bool)
            for changed in [values.get(str(literal), {})] if known else values.values():
                if slot in changed:
                    other = _slot_kind(changed[slot], None)
                    kinds = {other} if known else kinds | {other}
        found[slot] = join(kinds)
    return found


def _slot_kind(held: str, shape: Shape) -> Kind:
    return {"parameter": ParameterKind(shape), "buffer": BufferKind(), "none": NONE}.get(held, UNKNOWN)


def _known_shape(layer: str, slot: str, arguments: Mapping[str, Kind]) -> Shape:
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
