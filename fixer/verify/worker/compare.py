"""Comparing two records: the first entry that differs, or how much was found equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .observe import Entry


MISSING = "nothing"


class Comparison:
    """What comparing two records found."""

    def __init__(self, difference: dict[str, Any] | None, counts: dict[str, Any]) -> None:
        self.difference = difference
        """The first difference as plain data, None if there is none."""
        self.counts = counts
        """How much was compared: tensors, numbers, checks, largest tolerated differences."""


def compare(before: list[Entry], after: list[Entry], tolerance: float | None = None) -> Comparison:
    """Compare every entry of `before` with its counterpart; without a tolerance, bit for bit."""
    theirs: dict[tuple[str, str], Any] = {(check, detail): value for check, detail, value in after}
    mine = {(check, detail): value for check, detail, value in before}
    keys = list(mine) + [key for key in theirs if key not in mine]
    largest = [0.0, 0.0]
    tensors = numbers = 0
    for key in keys:
        one, two = mine.get(key, MISSING), theirs.get(key, MISSING)
        difference = _difference(one, two, tolerance, largest)
        if difference is not None:
            return Comparison({"check": key[0], "where": key[1], **difference}, {})
        if isinstance(one, Tensor):
            tensors += 1
            numbers += one.numel()
    return Comparison(
        None,
        {
            "checks": list(dict.fromkeys(check for check, _ in keys)),
            "entries": len(keys),
            "tensors": tensors,
            "numbers": numbers,
            "max_abs": largest[0],
            "max_rel": largest[1],
        },
    )


def chosen(entries: list[Entry], checks: tuple[str, ...], details: tuple[str, ...]) -> list[Entry]:
    """The entries whose check and detail start with one of the words each."""
    return [entry for entry in entries if entry[0].startswith(checks) and entry[1].startswith(details)]


def _difference(one: Any, two: Any, tolerance: float | None, largest: list[float]) -> dict[str, Any] | None:
    if isinstance(one, dict) and isinstance(two, dict):
        return {"before": "works", "after": "fails"} if one["works"] and not two["works"] else None
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return _tensor_difference(one, two, tolerance, largest)
    if isinstance(one, Tensor) or isinstance(two, Tensor) or one != two:
        return {"before": _shown(one), "after": _shown(two)}
    return None


def _tensor_difference(
    one: Tensor, two: Tensor, tolerance: float | None, largest: list[float]
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
    scale = float(finite.max()) if finite.numel() else 0.0
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
    }


def _number(value: Tensor) -> Any:
    item = value.item()
    return str(item) if isinstance(item, complex) else item


def _shown(value: Any) -> Any:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).replace('torch.', '')} tensor of shape {tuple(value.shape)}"
    return value
