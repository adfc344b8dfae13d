"""Finds the tensors in whatever a module returns."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

_MAX_DEPTH = 8


def flatten_tensors(output: Any) -> list[tuple[str, torch.Tensor]]:
    """Return every tensor of an output with its path: ``""``, ``"[0]"``, ``"logits"``, ``"loc"``."""
    found: list[tuple[str, torch.Tensor]] = []
    _walk(output, "", 0, (), found)
    return found


def _walk(
    value: Any, path: str, depth: int, outer: tuple[int, ...], found: list[tuple[str, torch.Tensor]]
) -> None:
    if isinstance(value, torch.Tensor):
        found.append((path, value))
        return
    if (
        depth > _MAX_DEPTH
        or id(value) in outer
        or value is None
        or isinstance(value, (bool, int, float, str))
    ):
        return
    for name, item in _entries(value):
        inner = name if name.startswith("[") or not path else f".{name}"
        _walk(item, path + inner, depth + 1, (*outer, id(value)), found)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) in (list, tuple):  # as nearly all are
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, PackedSequence) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        yield from zip(value._fields, value)
    elif isinstance(value, dict):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, torch.distributions.Distribution):
        yield from _of_distribution(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((item.name, getattr(value, item.name, None)) for item in dataclasses.fields(value))
    elif hasattr(value, "to_tuple") and callable(value.to_tuple):
        yield from ((f"[{index}]", item) for index, item in enumerate(value.to_tuple()))
    elif (
        hasattr(value, "__dict__") and not isinstance(value, (type, torch.nn.Module)) and not callable(value)
    ):
        dense = _dense(value) if hasattr(type(value), "to_dense") else None
        yield from sorted(vars(value).items()) if dense is None else [("[dense]", dense)]


def _of_distribution(value: torch.distributions.Distribution) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of a distribution, those of the distributions that it is made of included."""
    names = sorted(getattr(type(value), "arg_constraints", {}))
    held = vars(value)
    declared = [(name, held[name]) for name in names if name in held]
    found = declared or sorted((name, item) for name, item in held.items() if not name.startswith("__"))
    yield from found
    is_silent = not declared and not any(tensor.requires_grad for _, tensor in flatten_tensors(dict(found)))
    if is_silent and torch.is_grad_enabled():
        with contextlib.suppress(Exception):  # not all can be drawn from, or say how likely a value is
            yield "log_prob", _likelihood(value)


def _likelihood(value: torch.distributions.Distribution) -> torch.Tensor:
    """How likely a value is that is drawn from a distribution: the way to parameters that it only calls."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        drawn = value.sample().detach()
    likelihood: torch.Tensor = value.log_prob(drawn)
    return likelihood


def _dense(value: Any) -> torch.Tensor | None:
    """The entries of a matrix that is only described, by its factors or its inverse, if it tells them."""
    with contextlib.suppress(Exception):
        dense = value.to_dense()
        return dense if isinstance(dense, torch.Tensor) else None
    return None
