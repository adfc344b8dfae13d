"""Comparing two records: the first entry that differs, or how much was found equal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .observe import DIGEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .observe import Entry


MISSING = "nothing"


class Comparison:
    """What comparing two records found."""

    def __init__(self, differences: list[dict[str, Any]], counts: dict[str, Any]) -> None:
        self.differences = differences
        """The differences as plain data in the order of the record."""
        self.counts = counts
        """How much was compared: tensors, numbers, checks, largest tolerated differences."""

    @property
    def difference(self) -> dict[str, Any] | None:
        """The first difference, None if there is none."""
        return self.differences[0] if self.differences else None


def compare(
    before: list[Entry],
    after: list[Entry],
    tolerance: float | None = None,
    least: Mapping[tuple[str, str], float] | None = None,
) -> Comparison:
    """Compare every entry of `before` with its counterpart; without a tolerance, bit for bit.

    `least` is the size, for each `group`, that a tensor is taken to have where it is smaller.
    """
    mine, theirs = _numbered(before), _numbered(after)
    keys = list(mine) + [key for key in theirs if key not in mine]
    largest = [0.0, 0.0]
    differences: list[dict[str, Any]] = []
    tensors = numbers = 0
    for key in keys:
        one, two = mine.get(key, MISSING), theirs.get(key, MISSING)
        difference = _difference(one, two, tolerance, largest, (least or {}).get(group(*key[:2]), 0.0))
        if difference is not None:
            differences.append({"check": key[0], "where": key[1], **difference})
        if isinstance(one, Tensor):
            tensors += 1
            numbers += one.numel()
        elif isinstance(one, list) and one[:1] == [DIGEST]:
            tensors += 1
            numbers += math.prod(one[2])
    return Comparison(
        differences,
        {
            "checks": list(dict.fromkeys(check for check, _, _ in keys)),
            "entries": len(keys),
            "tensors": tensors,
            "numbers": numbers,
            "max_abs": largest[0],
            "max_rel": largest[1],
        },
    )


def _numbered(entries: list[Entry]) -> dict[tuple[str, str, int], Any]:
    """The entries by check and detail; those that share both are told apart by their order."""
    found: dict[tuple[str, str, int], Any] = {}
    seen: dict[tuple[str, str], int] = {}
    for check, detail, value in entries:
        number = seen.get((check, detail), 0)
        seen[check, detail] = number + 1
        found[check, detail, number] = value
    return found


def group(check: str, detail: str) -> tuple[str, str]:
    """What an entry shares with its neighbours: the gradients of one call, say."""
    return check, detail.rpartition(" ")[0]


def chosen(entries: list[Entry], checks: tuple[str, ...], details: tuple[str, ...]) -> list[Entry]:
    """The entries whose check and detail start with one of the words each."""
    return [entry for entry in entries if entry[0].startswith(checks) and entry[1].startswith(details)]


def _difference(
    one: Any, two: Any, tolerance: float | None, largest: list[float], least: float
) -> dict[str, Any] | None:
    if isinstance(one, dict) and isinstance(two, dict):
        return {"before": "works", "after": "fails"} if one["works"] and not two["works"] else None
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return _tensor_difference(one, two, tolerance, largest, least)
    if isinstance(one, Tensor) or isinstance(two, Tensor) or one != two:
        return {"before": _shown(one), "after": _shown(two)}
    return None


def _tensor_difference(
    one: Tensor, two: Tensor, tolerance: float | None, largest: list[float], least: float
) -> dict[str, Any] | None:
    if one.dtype != two.dtype or one.shape != two.shape:
        return {"before": _shown(one), "after": _shown(two)}
    if torch.equal(one, two):
        return None
    wide = torch.complex128 if one.is_complex() else torch.float64
    first, second = one.to(wide).flatten(), two.to(wide).flatten()
    both_nan = first.isnan() & second.isnan()
    same = both_nan | (first == second)
    if bool(same.all()):
        return None
    gap = torch.where(same, torch.zeros((), dtype=torch.float64), (first - second).abs())
    gap = gap.nan_to_num(nan=float("inf"))
    size = torch.maximum(first.abs(), second.abs()).nan_to_num(nan=float("inf"))
    relative = (gap / size.clamp_min(1e-300)).nan_to_num(nan=float("inf"))
    max_abs, max_rel = float(gap.max()), float(relative.max())
    # Relative to the tensor's own scale: an entry near zero carries the rounding of its larger neighbours.
    finite = size[size.isfinite()]
    scale = max(float(finite.max()) if finite.numel() else 0.0, least)
    if tolerance is not None and max_abs <= tolerance * max(scale, tolerance):
        largest[0], largest[1] = max(largest[0], max_abs), max(largest[1], max_abs / max(scale, tolerance))
        return None
    worst = int(gap.argmax())
    return {
        "before": _number(first[worst]),
        "after": _number(second[worst]),
        "index": worst,
        "differing": int((~same).sum()),
        "of": one.numel(),
        "max_abs": max_abs,
        "max_rel": max_rel,
        "of_size": max_abs / scale if scale else max_rel,
    }


def _number(value: Tensor) -> Any:
    item = value.item()
    return str(item) if isinstance(item, complex) else item


def _shown(value: Any) -> Any:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).replace('torch.', '')} tensor of shape {tuple(value.shape)}"
    return value
