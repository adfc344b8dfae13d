"""Proving that a person's change keeps what the code does: bit for bit, else up to rounding.

A fix is written so that its bits can agree. A person may add in another order, create layers in another
order, or draw random numbers in another order: each is told apart from a change of what is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from .compare import compare, group
from .frames import Message
from .observe import DIGEST
from .preserving import require_repeatable, require_runs, require_same_errors, settle
from .structure import in_words, listed, other_draws, without_harmless
from .trial import INEXACT, TRAINING
from .verdicts import Refuted, Unverified, shown

if TYPE_CHECKING:
    from .observe import Entry
    from .trial import Trial
    from .verdicts import Side

ROUNDING = 1e-12
"""Relative tolerance for calls in float64; training steps, which let rounding grow, get `INEXACT`."""
_LEAST = 1e-2
"""A gradient that is nothing but rounding has the size of its neighbours' rounding, this part of them."""
_SINGLE = 1e-5
"""What rounding in float32 comes to at most where nobody can look closer."""
_MOST_SHOWN = 200
_PARTS = ("trajectories",)


def prove_keeps(trial: Trial) -> tuple[str, str]:
    """The verdict and its reason; raises `Refuted` or `Unverified`."""
    before = trial.stage("before", None, _PARTS)
    require_runs(trial, before)
    after = trial.stage("after", before, (*_PARTS, "oracle"))
    trial.describe(before, after)
    one, two, remarks = without_harmless(before.entries, after.entries)
    comparison = compare(one, two)
    for remark in remarks:
        trial.note(remark)
    if comparison.differences:
        trial.evidence["differences"] = comparison.differences[:_MOST_SHOWN]
    require_same_errors(trial, before, after)
    if not comparison.differences:
        settle(trial, before, after, comparison)
        compared = f"{comparison.counts['tensors']} tensors of {trial.target.name}"
        return "equivalent", f"{compared} agree bit for bit"
    first = next((d for d in comparison.differences if not _is_number(d)), comparison.differences[0])
    require_repeatable(trial, first, before)
    if not _is_number(first):
        words = in_words(comparison.differences)
        if words and not any(_is_result(d) for d in comparison.differences):
            trial.note("the results of newly built models agree all the same")
        raise Refuted(words or shown(first), first)
    if not trial.target.is_model:
        _refute_unless_small(first, "and a function is not run in float64")
    _require_same_start(comparison.differences)
    _require_same_draws(before, after, comparison.differences)
    return _up_to_rounding(trial, before, after, comparison.differences)


def _up_to_rounding(trial: Trial, before: Side, after: Side, differences: list[Message]) -> tuple[str, str]:
    """Run both sides once more in float64; what differs there is no rounding."""
    worst = next((d for d in differences if not _depends_on_start(d)), differences[0])
    wide_before = trial.stage("before", before, _PARTS, wide=True)
    if wide_before.failed - before.failed:
        _refute_unless_small(worst, "and it does not run in float64")
    wide_after = trial.stage("after", wide_before, _PARTS, wide=True)
    if wide_after.failed - wide_before.failed:
        _refute_unless_small(worst, f"and {trial.names['after']} does not run in float64")
    one, two, _ = without_harmless(wide_before.entries, wide_after.entries)
    least = _least_scales(one)
    found = compare(_part(one, trained=False), _part(two, trained=False), ROUNDING, least)
    grown = compare(_part(one, trained=True), _part(two, trained=True), INEXACT, least)
    left = found.differences + grown.differences
    if left:
        _require_same_start(left)
        _refute_unless_small(worst, f"in float64 by {_size(left):.1g}", left)
    settle(trial, before, after, found)
    trial.evidence["tolerance"] = {"dtype": "float64", "calls": ROUNDING, "training": INEXACT}
    for name in ("max_abs", "max_rel"):
        trial.evidence[name] = max(found.counts[name], grown.counts[name])
    compared = f"{found.counts['tensors'] + grown.counts['tensors']} tensors of {trial.target.name}"
    largest = trial.evidence["max_rel"]
    trial.note(
        f"not bit for bit: {shown(worst)}; in float64 calls differ by {found.counts['max_rel']:.1e} of a "
        f"tensor's size and training steps by {grown.counts['max_rel']:.1e}, which is rounding"
    )
    return "equivalent", f"{compared} are equal up to rounding (float64, {ROUNDING:g}; largest {largest:.1e})"


def _refute_unless_small(worst: Message, what: str, wide: list[Message] | None = None) -> None:
    """A difference that rounding of float32 may explain is in doubt; any other is a counterexample."""
    if wide is None:
        if _size([worst]) <= _SINGLE:
            raise Unverified(f"{shown(worst)}: that may be rounding, {what}, where that could be told")
    elif _size(wide) <= INEXACT:
        raise Unverified(
            f"{shown(worst)}, {what} of a tensor's size: more than rounding in float64, and too little to be "
            "sure of a mistake; code that computes in float32 whatever it is given would explain it"
        )
    raise Refuted(shown(worst), worst)


def _require_same_start(differences: list[Message]) -> None:
    """Models that only start from other values are in doubt: drawn in another order, or from elsewhere."""
    names = [d["where"].partition(" ")[2] for d in differences if d["where"].startswith("initial ")]
    if names and all(_depends_on_start(difference) for difference in differences):
        raise Unverified(
            f"the initial values of {listed(names)} differ under the same seed, and from "
            "equal values everything agrees: either layers are created in another order, which is harmless, "
            "or they are initialised differently"
        )


def _require_same_draws(before: Side, after: Side, differences: list[Message]) -> None:
    """Results that differ only where other random numbers were drawn say nothing."""
    other = other_draws(before.entries, after.entries)
    trains = any(check.startswith("train ") for check in other)
    if other and all(
        d["check"] in other or (trains and d["check"].startswith(TRAINING)) for d in differences
    ):
        raise Unverified(
            f"{differences[0]['check']}: the two draw different random numbers there, so their results "
            "cannot be compared; all else agrees"
        )


def _is_result(difference: Message) -> bool:
    """Whether a newly built model has returned something else."""
    return "forward, seed" in difference["check"] and difference["where"].split()[-1] in ("output", "loss")


def _depends_on_start(difference: Message) -> bool:
    return difference["where"].startswith("initial ") or "forward, seed" in difference["check"]


def _is_number(difference: Message) -> bool:
    """Whether two tensors of one kind hold other numbers, as opposed to a difference of names or shapes."""
    digests = (difference["before"], difference["after"])
    return "max_abs" in difference or (
        all(isinstance(item, list) and item[:1] == [DIGEST] for item in digests)
        and digests[0][:-1] == digests[1][:-1]
    )


def _part(entries: list[Entry], *, trained: bool) -> list[Entry]:
    return [entry for entry in entries if entry[0].startswith(TRAINING) == trained]


def _least_scales(entries: list[Entry]) -> dict[tuple[str, str], float]:
    """The size below which a tensor's own size is no measure for its rounding, from its neighbours'."""
    largest: dict[tuple[str, str], float] = {}
    for check, detail, value in entries:
        if isinstance(value, Tensor) and value.numel():
            size = float(value.abs().max())
            if size < float("inf"):
                largest[group(check, detail)] = max(largest.get(group(check, detail), 0.0), size)
    return {key: size * _LEAST for key, size in largest.items()}


def _size(differences: list[Message]) -> float:
    """The largest of some differences, in parts of their tensors' sizes."""
    return max((float(d.get("of_size", float("inf"))) for d in differences), default=0.0)
