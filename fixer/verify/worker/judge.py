"""Deciding a job: which stages to run, in which order, and what their answers amount to.

Nothing here runs the target's code. A verdict of `refuted` carries a counterexample, one of `unverified`
what stopped the harness; only what was compared and found equal counts.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch

from .compare import Comparison, compare
from .observe import Entry
from .tracing import missed, required

Message = Dict[str, Any]
RunStage = Callable[..., Message]

INEXACT = 1e-7
"""Relative tolerance for projections whose repetition may change the last bits, compared in float64."""
_BROKEN = {
    "AttributeError",
    "ImportError",
    "NameError",
    "SyntaxError",
    "IndentationError",
    "UnboundLocalError",
}
_INTRINSIC = ("cannot assign", "leaf Variable", "modified by an inplace operation")


class Unverified(Exception):  # noqa: N818 - an outcome, not an error
    """The harness could not show anything, and why."""


class Refuted(Exception):  # noqa: N818 - an outcome, not an error
    """The fix is wrong, with a counterexample."""

    def __init__(self, reason: str, counterexample: Message) -> None:
        super().__init__(reason)
        self.counterexample = counterexample


def conduct(job: Message, run_stage: RunStage) -> Message:
    """Verify one job; ``{"verdict", "reason", "evidence"}``."""
    started = time.monotonic()
    reasons: List[str] = []
    evidence: Message = {}
    for subject in job["contract"]["subjects"]:
        trial = Trial(job, run_stage, subject)
        try:
            verdict, reason = trial.decide()
        except Refuted as refuted:
            verdict, reason = "refuted", str(refuted)
            trial.evidence["counterexample"] = refuted.counterexample
        except Unverified as unverified:
            verdict, reason = "unverified", str(unverified)
        evidence = {**trial.evidence, "wall_ms": round(1000 * (time.monotonic() - started))}
        if verdict != "unverified":
            return {"verdict": verdict, "reason": reason, "evidence": evidence}
        reasons.append(f"{_named(subject)}: {reason}" if len(job["contract"]["subjects"]) > 1 else reason)
    if not reasons:
        reasons.append("the contract names nothing that could be run")
    return {"verdict": "unverified", "reason": "; ".join(dict.fromkeys(reasons)), "evidence": evidence}


class Side:
    """What one stage answered, with the record it wrote."""

    def __init__(self, facts: Message, file: str) -> None:
        self.facts = facts
        saved = torch.load(file, weights_only=True)
        self.entries: List[Entry] = [tuple(entry) for entry in saved["entries"]]
        self.values: List[Any] = saved["values"]

    def error(self, *phases: str) -> Optional[Message]:
        """The first error of one of the phases; without phases, the first at all."""
        for error in self.facts["errors"]:
            if not phases or error["phase"] in phases:
                found: Message = error
                return found
        return None


class Trial:
    """One subject of a contract, run on both sides."""

    def __init__(self, job: Message, run_stage: RunStage, subject: Message) -> None:
        self.job = job
        self.contract = job["contract"]
        self.projection = self.contract["projection"]
        self.subject = subject
        self.is_model = bool(subject["class_name"]) and not subject["function"]
        self.evidence: Message = {
            "subject": _named(subject),
            "torch": str(torch.__version__),
            "seed": job["seed"],
            "steps": job["steps"],
        }
        self._run_stage = run_stage
        self._files = 0

    def decide(self) -> Tuple[str, str]:
        """The verdict and its reason; raises `Refuted` or `Unverified`."""
        if self.contract["promise"] == "repairs":
            return self._repairs()
        compared = [self._preserves(*target) for target in self._targets()]
        return "equivalent", " ".join(compared)

    # -- preserves ------------------------------------------------------------------------------------

    def _preserves(self, subject: Message, wirings: List[int], required_lines: bool) -> str:
        before = self._first_side(subject, wirings)
        after = self._stage("after", subject, before.facts, wirings, ["trajectories", "oracle"])
        self._describe(after)
        self._must_run(after, before)
        tolerance = self._tolerance()
        comparison = compare(before.entries, after.entries, tolerance)
        self._note_trajectories(before, after)
        if comparison.difference is not None:
            self._refute(comparison, before, after, subject, wirings)
        if self.is_model:
            self._must_say_something(before)
        if required_lines:
            self._must_reach("before", before)
            self._must_reach("after", after)
        self._add_counts(comparison)
        if self.projection is not None:
            self._hold_constraint(subject, before.facts, after)
        how = "within a relative difference of 1e-7 in float64" if tolerance else "bit for bit"
        return f"{comparison.counts['tensors']} tensors of {_named(subject)} agree {how}."

    def _first_side(self, subject: Message, wirings: List[int]) -> Side:
        """The original's record; it has to run."""
        before = self._stage("before", subject, None, wirings, ["trajectories"])
        failed = self._blocking(before)
        if failed is not None:
            raise Unverified(f"the original does not run: {_told(failed)}")
        return before

    def _blocking(self, side: Side) -> Optional[Message]:
        """The error that keeps a side from showing anything, if there is one."""
        if not self.is_model:
            return side.error()
        modes = [side.error("eval forward"), side.error("train forward")]
        return side.error("import and synthesis", "construction") or (modes[0] if all(modes) else None)

    def _must_run(self, after: Side, before: Side) -> None:
        """Refute a fix that raises where the original did not."""
        theirs = {error["phase"] for error in before.facts["errors"]}
        for error in after.facts["errors"]:
            if error["phase"] in theirs:
                continue
            if error["type"] == "HarnessError":
                raise Unverified(_told(error))
            if error["type"] == "WiringError":
                raise Unverified(_told(error))
            raise Refuted(
                f"the fixed code raises {error['type']} during {error['phase']}, the original does not",
                {"check": error["phase"], "before": "no exception", "after": _told(error)},
            )

    def _refute(
        self, comparison: Comparison, before: Side, after: Side, subject: Message, wirings: List[int]
    ) -> None:
        """A difference counts only if the original agrees with itself."""
        again = self._stage("before", subject, before.facts, wirings, ["trajectories"])
        if compare(before.entries, again.entries).difference is not None:
            raise Unverified("two runs of the original differ, so nothing can be compared")
        difference = comparison.difference
        assert difference is not None
        raise Refuted(_difference_told(difference), difference)

    def _must_say_something(self, side: Side) -> None:
        if not side.facts["finite"]:
            raise Unverified("every output of the original is empty, infinite or not a number")
        failed = next((e for e in side.facts["errors"] if e["phase"].startswith("training under")), None)
        if failed is not None:
            raise Unverified(f"the original could not be trained: {_told(failed)}")
        failed = side.error("choice of a checkpoint")
        if failed is not None:
            raise Unverified(f"no checkpoint could be drawn: {_told(failed)}")

    # -- the author's constraint ----------------------------------------------------------------------

    def _targets(self) -> List[Tuple[Message, List[int], bool]]:
        """What to run: the subject, and for projections every model whose optimizer is wired."""
        wirings = self.contract["wiring"]
        if self.projection is None or not wirings:
            return [(self.subject, [], True)]
        groups: Dict[Tuple[str, str], List[int]] = {}
        own = (self.subject["path"], self.subject["class_name"])
        for index, wiring in enumerate(wirings):
            key = tuple(wiring["model_class"] or own)
            groups.setdefault((key[0], key[1]), []).append(index)
        targets: List[Tuple[Message, List[int], bool]] = []
        for (path, name), indices in groups.items():
            model = {"path": path, "class_name": name, "function": None}
            targets.append((model, indices, True))
        return targets

    def _hold_constraint(self, subject: Message, known: Message, after: Side) -> None:
        """Every parameter after every step must be what the author's own statements make of the raw update."""
        steps = [t for t in after.facts["trajectories"] if t["steps"]]
        if not after.facts["settings"].get("constrained"):
            raise Unverified("no parameter values were found that the constraint would change")
        if not steps:
            raise Unverified("no optimizer step was taken, so the constraint was not tried")
        file = self._file()
        answer = self._run_stage(
            "constraint",
            "before",
            {
                "side": "before",
                "subject": subject,
                "recipe": known["recipe"],
                "constraint_file": after.facts["constraint_file"],
                "file": file,
            },
        )
        facts = _value(answer, "the original statements cannot be run on their own")
        expected = Side({**facts, "errors": []}, file)
        got = torch.load(after.facts["constraint_file"], weights_only=True)["entries"]
        comparison = compare(expected.entries, [tuple(entry) for entry in got], self._tolerance())
        if comparison.difference is not None:
            difference = comparison.difference
            raise Refuted(
                f"after a step the author's constraint does not hold: {difference['where']}", difference
            )
        binding = sum(t["binding"] for t in steps)
        if not binding:
            raise Unverified("the constraint never had anything to do after a step")
        self.evidence["constraint"] = {
            "parameters": after.facts["settings"]["constrained"],
            "updates": facts["updates"],
            "binding_steps": binding,
            "steps": sum(t["steps"] for t in steps),
            "exact": self.projection["exact"],
        }

    def _tolerance(self) -> Optional[float]:
        return INEXACT if self.projection is not None and not self.projection["exact"] else None

    # -- repairs --------------------------------------------------------------------------------------

    def _repairs(self) -> Tuple[str, str]:
        raise Unverified("not yet")

    # -- shared ---------------------------------------------------------------------------------------

    def _stage(
        self, side: str, subject: Message, known: Optional[Message], wirings: List[int], parts: List[str]
    ) -> Side:
        file = self._file()
        payload = {
            "side": side,
            "subject": subject,
            "recipe": known["recipe"] if known else None,
            "settings": known["settings"] if known else None,
            "wirings": wirings,
            "parts": parts,
            "file": file,
            "constraint_file": f"constraint-{file}",
        }
        answer = self._run_stage("record", side, payload)
        text = "the original" if side == "before" else "the fixed code"
        facts = _value(answer, f"{text} could not be run")
        return Side({**facts, "constraint_file": payload["constraint_file"]}, file)

    def _file(self) -> str:
        self._files += 1
        return f"record-{self._files}.pt"

    def _must_reach(self, side: str, ran: Side) -> None:
        """A harness that never executes the changed lines proves nothing."""
        replayed = {(w["path"], w["function"]) for w in self.contract["wiring"]}
        for path, ranges in self.contract["changed_lines"][side].items():
            text = self.job["overlay"][side].get(path)
            if text is None:
                continue
            names = [name for where, name in replayed if where == path and name is not None]
            left = missed(required(text, ranges, names), ran.facts["executed"].get(path, []))
            if left:
                first, last = left[0]
                lines = f"line {first}" if first == last else f"lines {first}-{last}"
                text = "original" if side == "before" else "fixed code"
                raise Unverified(f"the run of the {text} never reached {lines} of {path}")

    def _describe(self, side: Side) -> None:
        self.evidence.setdefault("built", side.facts.get("built"))
        for name in ("oracle", "reached", "unreached", "parameters", "loop"):
            if name in side.facts:
                self.evidence[name] = side.facts[name]

    def _note_trajectories(self, before: Side, after: Side) -> None:
        theirs = {t["optimizer"]: t for t in before.facts.get("trajectories", ())}
        for mine in after.facts.get("trajectories", ()):
            other = theirs.get(mine["optimizer"])
            if other is not None:
                self.evidence.setdefault("trajectories", []).append(
                    {
                        "optimizer": mine["optimizer"],
                        "steps": mine["steps"],
                        "losses_bit_identical": mine["losses"] == other["losses"],
                        "losses_before": other["losses"],
                        "losses_after": mine["losses"],
                        "hooks": mine["hooks"],
                        "binding": mine["binding"],
                    }
                )

    def _add_counts(self, comparison: Comparison) -> None:
        counts = self.evidence.setdefault(
            "compared",
            {"checks": [], "entries": 0, "tensors": 0, "numbers": 0, "max_abs": 0.0, "max_rel": 0.0},
        )
        for name in ("checks", "entries", "tensors", "numbers"):
            counts[name] = counts[name] + comparison.counts[name]
        for name in ("max_abs", "max_rel"):
            counts[name] = max(counts[name], comparison.counts[name])


def _value(answer: Message, failure: str) -> Message:
    """A stage's value, or the reason why there is none."""
    if answer["ok"]:
        value: Message = answer["value"]
        return value
    if "died" in answer:
        raise Unverified(f"{failure}: {answer['died']}")
    error = answer["error"]
    raise Unverified(f"{failure}: {error['type']}: {error['message']}")


def _named(subject: Message) -> str:
    parts = [part for part in (subject["class_name"], subject["function"]) if part]
    return ".".join(parts) or str(subject["path"])


def _told(error: Message) -> str:
    return f"{error['phase']}: {error['type']}: {error['message']}"


def _difference_told(difference: Message) -> str:
    if "max_abs" in difference:
        return (
            f"{difference['check']}: {difference['where']} differs by {difference['max_abs']:.3g} "
            f"(relative {difference['max_rel']:.3g})"
        )
    return (
        f"{difference['check']}: {difference['where']} was {difference['before']}, is {difference['after']}"
    )
