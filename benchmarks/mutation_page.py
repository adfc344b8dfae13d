"""The page that says how many mistakes verification found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mutation_result import Result

Summary = dict[str, Any]
_COLUMNS = ("mistakes", "changing", "refuted", "unverified", "passed", "equal", "equal_refuted")
_HEAD = """\
# How many wrong rewrites verification finds

Written by `python benchmarks/mutation.py --label LABEL`; do not edit. A wrong rewrite that changes what the
code does has to be `refuted`; everything else is a miss, `unverified` too.
"""
_MODELS = """\
## Mistakes of known kinds in models of many kinds

Each kind of mistake is made in the right fix of each model that has a place for it (in {places} places at
most). *Changing* are those that an oracle sees: it runs the right and the wrong text by itself, trains them
with their own loop, and shares nothing with verification. *No difference* is what it saw none in; such a
mistake may still be refuted, because verification also runs a model from parameters that it draws.
"""
_GOLDEN = """\
## Small changes in what a fix has written, over the golden cases

One operator, constant, argument, name or statement at a time, in the lines that a proven fix has written;
where it has only deleted something, in the whole function around that. No oracle tells which of them change
behaviour: all count as *changing* but those that `mutation_equal.toml` explains.
"""


def summary(results: Sequence[Result], label: str) -> Summary:
    """The counts for each kind, and every result that a reader has to look at."""
    kinds: dict[str, Counter[str]] = {}
    for result in results:
        counts = kinds.setdefault(result.kind, Counter())
        counts["mistakes"] += 1
        counts["changing"] += result.changes
        if result.changes:
            name = result.verdict if result.verdict in ("refuted", "unverified") else "passed"
            counts[name] += 1
        else:
            counts["equal"] += 1
            counts["equal_refuted"] += result.doubtful
    survivors = [
        [result.kind, result.place, result.verdict, result.reason, result.change]
        for result in results
        if result.verdict != "refuted"
    ]
    return {
        "label": label,
        "kinds": {kind: {name: counts[name] for name in _COLUMNS} for kind, counts in sorted(kinds.items())},
        "survivors": survivors,
    }


def page(kept: dict[str, Summary], places: int, reasons: dict[str, str], explained: dict[str, Any]) -> str:
    """MUTATION.md; `reasons` says why a kind may change nothing, `explained` why a change does not."""
    parts = [_HEAD]
    if "models" in kept:
        parts += [_MODELS.format(places=places), _table(kept["models"]), _misses(kept["models"])]
        parts.append(_harmless(kept["models"], reasons))
    if "golden" in kept:
        parts += [_GOLDEN, _table(kept["golden"]), _misses(kept["golden"])]
        parts.append(_explained(kept["golden"], explained))
    if "seeds" in kept:
        parts.append(_seeds(kept["seeds"]))
    return "\n".join(parts)


def _seeds(part: Summary) -> str:
    count = sum(part["others"].values())
    told = "".join(f"\n- {other} under {times}" for other, times in part["others"].items())
    words = (
        f"Each of {part['cases']} golden cases that are judged, under {part['seeds']} seeds: {count} verdicts"
    )
    return f"## Right fixes under many seeds\n\n{part['label']}. {words} other than the expected one.\n{told}"


def _table(part: Summary) -> str:
    rows = ["| kind | mistakes | changing | refuted | unverified | passed | kill rate | no difference |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    total: Counter[str] = Counter()
    for counts in part["kinds"].values():
        total.update(counts)
    for kind, counts in [*part["kinds"].items(), ("**all**", total)]:
        cells = [kind, *(str(counts[name]) for name in _COLUMNS[:5]), _rate(counts), str(counts["equal"])]
        rows.append(f"| {' | '.join(cells)} |")
    return f"{part['label']}.\n\n" + "\n".join(rows) + "\n"


def _rate(counts: dict[str, int]) -> str:
    if not counts["changing"]:
        return "-"
    return f"{100 * counts['refuted'] / counts['changing']:.1f} %"


def _misses(part: Summary) -> str:
    missed = [row for row in part["survivors"] if row[4] is not None]
    if not missed:
        return "Nothing that changes behaviour was missed.\n"
    lines = [f"- `{kind}`, {place}: {verdict}, {reason}" for kind, place, verdict, reason, _ in missed]
    return "Missed:\n\n" + "\n".join(lines) + "\n"


def _harmless(part: Summary, reasons: dict[str, str]) -> str:
    kinds: dict[str, list[str]] = {}
    for kind, place, _, _, change in part["survivors"]:
        if change is None:
            kinds.setdefault(kind, []).append(place)
    if not kinds:
        return ""
    rows = [
        "Not refuted, and no difference was seen:",
        "",
        "| kind | models | why nothing changes |",
        "|---|---|---|",
    ]
    for kind, places in sorted(kinds.items()):
        rows.append(f"| {kind} | {', '.join(dict.fromkeys(places))} | {reasons.get(kind, '')} |")
    return "\n".join(rows) + "\n"


def _explained(part: Summary, explained: dict[str, Any]) -> str:
    rows = [
        "Not refuted, and why:",
        "",
        "| case | change | verdict | why it changes nothing |",
        "|---|---|---|---|",
    ]
    for _, place, verdict, _, change in part["survivors"]:
        case, _, shown = place.partition(": ")
        if change is None:
            rows.append(f"| {case} | `{shown}` | {verdict} | {explained.get(case, {}).get(shown, '')} |")
    return "\n".join(rows) + "\n" if len(rows) > 4 else ""
