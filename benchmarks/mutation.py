"""Hold wrong rewrites against verification: every one that changes behaviour has to be refuted.

``python benchmarks/mutation.py`` writes each kind of mistake of `tests/mutants/kinds.py` into the right fix
of every model of `tests/mutants`, asks an oracle that shares nothing with verification whether the mistake
changes what the code does, and has verification judge it. Then it changes what a proven fix of a golden case
has written, one operator, constant, argument or statement at a time. What was not refuted is listed in full.
With ``--label`` the result is kept in `mutation.json`, from which `MUTATION.md` is written.

``--seeds 50`` judges every golden case under that many seeds instead: no right fix may be refuted.

``--journal FILE`` keeps what is judged, place by place: the same command goes on where it was stopped, and
with ``--redo --place NAME`` one place is judged anew. Journals of parts that were run apart may be put one
behind the other; with ``--known`` the page is written from them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

import mutation_golden  # noqa: E402
import mutation_models  # noqa: E402
import mutation_page  # noqa: E402
from mutation_journal import Journal  # noqa: E402
from mutation_result import Result  # noqa: E402

from tests.mutants.kinds import REASONS  # noqa: E402

KEPT, PAGE = HERE / "mutation.json", HERE / "MUTATION.md"


def shown(results: Iterable[Result]) -> Iterator[Result]:
    """The same results; what a reader has to look at is printed."""
    for result in results:
        if result.missed or result.doubtful:
            print(f"{result.verdict:10} {result.kind} | {result.place}\n           {result.reason}")
            print(f"           the oracle: {result.change or 'no difference'}", flush=True)
        yield result


def keep(label: str | None, summaries: dict[str, Any]) -> None:
    """Write results down, beside those of other parts, if they have a label."""
    if label is None:
        return
    kept = {**(json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}), **summaries}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    explained = mutation_golden.explained()
    PAGE.write_text(mutation_page.page(kept, mutation_models.PLACES, REASONS, explained), "utf-8")


def main(arguments: list[str]) -> int:
    """Run what is asked for; 1 if a mistake that changes behaviour was not refuted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="kinds of mistakes whose name contains this")
    parser.add_argument("--place", default="", help="models and golden cases whose name contains this")
    parser.add_argument("--part", choices=("models", "golden", "all"), default="all")
    parser.add_argument("--seeds", type=int, help="judge the golden cases under so many seeds instead")
    parser.add_argument("--every", type=int, default=1, help="only each N-th mistake, for a quick look")
    parser.add_argument("--at-once", type=int, default=1, help="how many fixes are run at the same time")
    parser.add_argument("--journal", type=Path, help="a file to keep results in and to go on from")
    parser.add_argument("--redo", action="store_true", help="judge what is in the journal again")
    parser.add_argument("--known", action="store_true", help="judge nothing: take what the journal has")
    parser.add_argument("--label", help="keep the result under this name and write the page")
    options = parser.parse_args(arguments)
    if options.seeds:
        seeds = mutation_golden.under_seeds(options.seeds, options.place, options.journal)
        print("\n".join(f"{other} under {times} seeds" for other, times in seeds["others"].items()))
        count = sum(seeds["others"].values())
        print(f"{seeds['cases']} cases under {seeds['seeds']} seeds, {count} other verdicts")
        keep(options.label, {"seeds": {"label": options.label, **seeds}})
        return int(bool(seeds["others"]))
    parts = {"models": mutation_models.judged, "golden": mutation_golden.judged}
    found = {}
    for name, judged in parts.items():
        if options.part in (name, "all"):
            settings = [options.every] if name == "models" else [options.every, options.only]
            journal = Journal(options.journal, name, settings, options.redo, not options.known)
            results = judged(options.only, options.place, options.every, options.at_once, journal)
            found[name] = list(shown(results))
    keep(options.label, {name: mutation_page.summary(done, options.label) for name, done in found.items()})
    everything = [result for results in found.values() for result in results]
    missed = sum(result.missed for result in everything)
    print(f"{len(everything)} mistakes, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
