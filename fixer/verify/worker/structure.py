"""What two models hold, compared by name: what people have to know where it differs, and what is harmless."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .frames import Message

if TYPE_CHECKING:
    from .observe import Entry

_CHECK = "construction"
_ORDERED = ("parameters", "buffers", "state_dict keys", "shared parameters", "trained")
_MODULES = "submodules"
_MODES = ("modes", "modes afterwards")
DRAWN = "random numbers drawn"
_MOST = 4


def without_harmless(before: list[Entry], after: list[Entry]) -> tuple[list[Entry], list[Entry], list[str]]:
    """Both records without what a person may change at will, and a remark on each such change.

    That is the order in which things are registered, modules that hold nothing, an activation say, and how
    many random numbers are drawn, as far as no result shows it.
    """
    mine, theirs = ({(check, detail): value for check, detail, value in side} for side in (before, after))
    left_out: set[tuple[str, str]] = set()
    remarks = []
    for (check, name), one in mine.items():
        two = theirs.get((check, name)) if name in _ORDERED else None
        if isinstance(one, list) and isinstance(two, list) and one != two and _sorted(one) == _sorted(two):
            left_out.add((check, name))
            if name == "parameters":
                remarks.append(
                    "parameters come in another order; a saved optimizer state goes by their order"
                )
    modules = [dict(side.get((_CHECK, _MODULES), ())) for side in (mine, theirs)]
    gone, new = ([name for name in one if name not in two] for one, two in (modules, modules[::-1]))
    if modules[0] != modules[1] or list(modules[0]) != list(modules[1]):
        left_out.add((_CHECK, _MODULES))
        parts = [f"{listed(gone)} gone"] if gone else []
        parts += [f"{listed(new)} new"] if new else []
        remarks += [f"submodules: {', '.join(parts)}"] if parts else []

    def kept(entries: list[Entry]) -> list[Entry]:
        return [
            entry
            for entry in entries
            if (entry[0], entry[1]) not in left_out
            and not ((_CHECK, _MODULES) in left_out and entry[1].endswith(_MODES))
            and not entry[1].endswith(DRAWN)
        ]

    if other_draws(before, after):
        remarks.append("another number of random numbers is drawn")
    return kept(before), kept(after), remarks


def other_draws(before: list[Entry], after: list[Entry]) -> set[str]:
    """The checks in which the two sides draw from the generators in different ways."""
    mine, theirs = (
        {(check, detail): value for check, detail, value in side if detail.endswith(DRAWN)}
        for side in (before, after)
    )
    return {check for (check, detail), value in mine.items() if theirs.get((check, detail), value) != value}


def in_words(differences: list[Message]) -> str | None:
    """What differs between the names and shapes that two models hold; None if that is the same."""
    found = {d["where"]: d for d in differences if d["check"] == _CHECK and isinstance(d["before"], list)}
    held: list[dict[str, Any]] = [{}, {}]
    for name in ("parameters", "buffers"):
        for place, side in enumerate(("before", "after")):
            held[place].update({row[0]: row[1:] for row in found.get(name, {}).get(side, ())})
    keys = found.get("state_dict keys")
    if keys is not None:
        gone = [key for key in keys["before"] if key not in keys["after"]]
        new = [key for key in keys["after"] if key not in keys["before"]]
        if gone or new:
            return f"{_keys(gone, new, *held)}: old checkpoints do not load"
    changed = [name for name in held[0] if name in held[1] and held[0][name] != held[1][name]]
    if changed:
        name = changed[0]
        more = f" ({len(changed) - 1} more differ)" if len(changed) > 1 else ""
        return f"`{name}` was {_described(held[0][name])}, is {_described(held[1][name])}{more}"
    return None


def _keys(gone: list[str], new: list[str], before: dict[str, Any], after: dict[str, Any]) -> str:
    """Which keys have other names, and which have none any more."""
    shapes = ([before.get(key, [None])[0] for key in gone], [after.get(key, [None])[0] for key in new])
    if gone and shapes[0] == shapes[1]:
        pairs = [f"`{old}` is now `{name}`" for old, name in zip(gone, new)]
        rest = f" and {len(pairs) - _MOST} more likewise" if len(pairs) > _MOST else ""
        return f"state_dict key {', '.join(pairs[:_MOST])}{rest}"
    parts = [f"has lost {listed(gone)}"] if gone else []
    parts += [f"has gained {listed(new)}"] if new else []
    return f"state_dict {' and '.join(parts)}"


def _described(row: list[Any]) -> str:
    shape, dtype, _, *trains = row
    words = f"{dtype.replace('torch.', '')}{shape}"
    return words if trains in ([], [True]) else f"{words} without gradients"


def _sorted(values: list[Any]) -> list[str]:
    return sorted(map(json.dumps, values))


def listed(names: list[str]) -> str:
    """Some names, and how many more there are."""
    more = [f"{len(names) - _MOST} more"] if len(names) > _MOST else []
    return ", ".join([f"`{name}`" for name in names[:_MOST]] + more)
