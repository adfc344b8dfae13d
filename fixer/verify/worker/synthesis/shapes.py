"""What built layers take: a spec for the input of each kind of `torch.nn` layer."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from torch import nn

from . import names, specs

if TYPE_CHECKING:
    from .specs import Spec

_INTEGERS = ("int64", "int32", "bool", "uint8")


_AXIS = 4
_COLOURS = 3
_LARGEST_SIDE = 512


def plain(rank: int, channels: int = names.WIDTH) -> list[int]:
    """Return the usual shape of a rank: batch, length, features up to rank 3; then batch, channels, sides."""
    if rank <= 3:
        return [[], [names.BATCH], [names.BATCH, channels], [names.BATCH, names.LENGTH, channels]][rank]
    side = names.SIDE if rank == 4 else 8
    return [names.BATCH, channels, *[side] * (rank - 2)]


def signal(channels: int, spatial: int) -> Spec:
    """Describe batch, channels and so many sides."""
    return specs.tensor([names.BATCH, channels, *[8 if spatial == 3 else names.SIDE] * spatial])


def feature_axis(rank: int) -> int:
    """Return where the features of a tensor of that rank usually are."""
    return 1 if rank >= 4 else rank - 1


def reranked(spec: Spec, rank: int) -> Spec:
    """Return the spec with another rank and the same number of features."""
    shape = spec["shape"]
    channels = shape[feature_axis(len(shape))] if len(shape) >= 2 else names.WIDTH
    if spec["dtype"] in _INTEGERS:
        return {**spec, "shape": [names.BATCH, names.LENGTH, *[names.SIDE] * max(rank - 2, 0)][:rank]}
    return {**spec, "shape": plain(rank, channels)}


def expected(layer: Any, place: int = 0) -> Spec | None:
    """Return what a layer takes as its first input, or None if it takes anything."""
    if not isinstance(layer, nn.Module):
        return None
    bases = [base.__name__ for base in type(layer).__mro__ if base.__module__.startswith("torch.nn.modules.")]
    name = next(iter(bases), "")
    spatial = next((count for count in (1, 2, 3) if f"{count}d" in name), 0)
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        return specs.tensor([names.BATCH, names.LENGTH], "int64", 0, layer.num_embeddings)
    if isinstance(layer, nn.Bilinear):
        return specs.tensor(plain(2, layer.in2_features if place else layer.in1_features))
    if isinstance(layer, nn.RNNBase):
        return specs.tensor(plain(3, layer.input_size))
    if isinstance(layer, nn.RNNCellBase):
        return specs.tensor(plain(2, layer.hidden_size if place else layer.input_size))
    if isinstance(layer, nn.MultiheadAttention):
        return specs.tensor(plain(3, layer.embed_dim))
    if isinstance(layer, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
        return expected(layer.self_attn)
    if isinstance(layer, nn.LayerNorm):
        leading = [names.BATCH] if len(layer.normalized_shape) > 1 else [names.BATCH, names.LENGTH]
        return specs.tensor([*leading, *layer.normalized_shape])
    if isinstance(layer, nn.GroupNorm):
        return signal(layer.num_channels, 2)
    pattern, lengths = getattr(layer, "pattern", None), getattr(layer, "axes_lengths", None)
    if isinstance(pattern, str) and isinstance(lengths, dict) and "->" in pattern and "..." not in pattern:
        return specs.tensor(of_pattern(pattern, lengths))
    channels = _count(layer, "in_channels") or _count(layer, "num_features")
    if name == "BatchNorm1d" and channels:
        return specs.tensor([names.BATCH, channels])
    if spatial:
        return _with_room(signal(channels or names.WIDTH, spatial), layer)
    features = _count(layer, "in_features")
    return specs.tensor(plain(2, features)) if features else None


def _with_room(spec: Spec, layer: nn.Module) -> Spec:
    """Return the spec with larger sides where a kernel does not fit into the usual ones."""
    sides = spec["shape"][2:]
    kernel, dilation = (_for_each(layer, name, len(sides)) for name in ("kernel_size", "dilation"))
    needed = [size * step for size, step in zip(kernel, dilation)]
    larger = [max(side, 2 * size if size > side else 0) for side, size in zip(sides, needed)]
    return {**spec, "shape": [*spec["shape"][:2], *larger]} if max(larger) <= _LARGEST_SIDE else spec


def _for_each(layer: nn.Module, attribute: str, spatial: int) -> list[int]:
    """Return an attribute for each side: pools keep one number for all, and some layers have none."""
    value = getattr(layer, attribute, 1)
    found = list(value) if isinstance(value, (tuple, list)) else [value] * spatial
    return found if len(found) == spatial and all(type(item) is int for item in found) else [1] * spatial


def _count(layer: nn.Module, attribute: str) -> int:
    """Return an attribute that is a positive integer, else 0."""
    value = getattr(layer, attribute, None)
    return value if isinstance(value, int) and value > 0 else 0


_TRANSPARENT = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


def first_layer(module: nn.Module) -> nn.Module | None:
    """Return the first layer of a container that may change a shape."""
    if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        children = module.values() if isinstance(module, nn.ModuleDict) else module
        return next((found for found in map(first_layer, children) if found is not None), None)
    is_activation = type(module).__module__ == "torch.nn.modules.activation"
    if isinstance(module, _TRANSPARENT) or (is_activation and not isinstance(module, nn.MultiheadAttention)):
        return None
    return module


def of_pattern(pattern: str, lengths: dict[str, int]) -> list[int]:
    """Return a shape for the left side of an einops pattern: ``b c (h p1) (w p2)`` with p1 and p2 known."""
    axes = re.findall(r"\([^)]*\)|\S+", pattern.split("->")[0])
    shape = [math.prod(lengths.get(name, _AXIS) for name in axis.strip("()").split()) for axis in axes]
    for place, axis in enumerate(axes):
        if place == 0 and axis == "b":
            shape[place] = names.BATCH
        elif axis == "c" and "c" not in lengths:
            shape[place] = _COLOURS
    return shape
