"""What built layers take: a spec for the input of each kind of `torch.nn` layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from . import names, specs

if TYPE_CHECKING:
    from .specs import Spec

_INTEGERS = ("int64", "int32", "bool", "uint8")


def plain(rank: int, channels: int = names.WIDTH) -> list[int]:
    """Return the usual shape of a rank: batch, (length,) features up to rank 3, then batch, channels, sides."""
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
    name = type(layer).__name__
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
    channels = _count(layer, "in_channels") or _count(layer, "num_features")
    if name == "BatchNorm1d" and channels:
        return specs.tensor([names.BATCH, channels])
    if spatial:
        return signal(channels or names.WIDTH, spatial)
    features = _count(layer, "in_features")
    return specs.tensor(plain(2, features)) if features else None


def _count(layer: nn.Module, attribute: str) -> int:
    """Return an attribute that is a positive integer, else 0."""
    value = getattr(layer, attribute, None)
    return value if isinstance(value, int) and value > 0 else 0


def first_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of a container in the order in which a sequence calls them."""
    if isinstance(module, (nn.Sequential, nn.ModuleList)):
        for child in module:
            yield from first_layers(child)
    elif isinstance(module, nn.ModuleDict):
        for child in module.values():
            yield from first_layers(child)
    else:
        yield module
