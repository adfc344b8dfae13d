"""Deciding a job: which stages to run, in which order, and what their answers amount to.

Nothing here runs the target's code. A verdict of `refuted` carries a counterexample, one of `unverified`
what stopped the harness; only what was compared and found equal counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from .compare import Comparison, chosen, compare
from .frames import Message
from .observe import unpacked
from .repair import blame, require_oracle, require_postcondition, require_symptom
from .tracing import missed, required
from .verdicts import CannotBuild, Refuted, Side, Unverified, told

if TYPE_CHECKING:
    RunStage = Callable[..., Message]

INEXACT = 1e-7
"""Relative tolerance for projections whose repetition may change the last bits, compared in float64."""
_TRAINING = "training under"
_CHECKPOINT = "choice of a checkpoint"


def conduct(job: Message, run_stage: RunStage) -> Message:
    """Verify one job; ``{"verdict", "reason", "evidence"}``."""
    started = time.monotonic()
    subjects = job["contract"]["subjects"]
    reasons: list[str] = []
    evidence: Message = {}
    for subject in subjects:
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
            return {"verdict": verdict, "reason": reason, "evidence": _plain(evidence)}
        reasons.append(f"{_named(subject)}: {reason}" if len(subjects) > 1 else reason)
    if not reasons:
        reasons.append("the contract names nothing that could be run")
    return {
        "verdict": "unverified",
        "reason": "; ".join(dict.fromkeys(reasons)),
        "evidence": _plain(evidence),
    }


class Target(NamedTuple):
    """One thing to run, and the wirings to replay on it."""

    subject: Message
    wirings: list[int]
    stand_in: bool
    """Whether it only stands for the wired model, whose class is unknown or does not build."""


class Trial:
    """One subject of a contract, run on both sides."""

    def __init__(self, job: Message, run_stage: RunStage, subject: Message) -> None:
        self.evidence: Message = {
            "subject": _named(subject),
            "torch": str(torch.__version__),
            "seed": job["seed"],
            "seeds": job["seeds"],
            "steps": job["steps"],
        }
        self._job = job
        self._contract = job["contract"]
        self._projection = self._contract["projection"]
        self._subject = subject
        self._is_model = bool(subject["class_name"]) and not subject["function"]
        self._run_stage = run_stage
        self._files = 0

    def decide(self) -> tuple[str, str]:
        """The verdict and its reason; raises `Refuted` or `Unverified`."""
        prove = self._repairs if self._contract["promise"] == "repairs" else self._preserves
        reasons = [self._with_stand_in(target, prove) for target in self._targets()]
        verdict = "repaired" if self._contract["promise"] == "repairs" else "equivalent"
        return verdict, "; ".join(reasons)

    def _targets(self) -> list[Target]:
        """What to run: the subject, and for projections every model whose optimizer is wired."""
        wirings = self._contract["wiring"]
        if self._projection is None or not wirings:
            return [Target(self._subject, [], stand_in=False)]
        own = (self._subject["path"], self._subject["class_name"])
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, wiring in enumerate(wirings):
            groups.setdefault(tuple(wiring["model_class"] or ()), []).append(index)
        targets = []
        for key, indices in groups.items():
            path, name = key or own
            subject = {"path": path, "class_name": name, "function": None}
            targets.append(Target(subject, indices, stand_in=not key))
        return targets

    def _with_stand_in(self, target: Target, prove: Callable[[Target], str]) -> str:
        """Where the wired model cannot be built, let the constrained class stand for it."""
        try:
            return prove(target)
        except CannotBuild as failure:
            if target.subject["class_name"] == self._subject["class_name"]:
                raise
            own = _named(self._subject)
            note = f"{_named(target.subject)} could not be built ({failure}); {own} stood for it"
            self.evidence.setdefault("notes", []).append(note)
            return prove(Target(self._subject, target.wirings, stand_in=True))

    # -- preserves ------------------------------------------------------------------------------------

    def _preserves(self, target: Target) -> str:
        before = self._stage("before", target, None, ["trajectories"])
        failed = self._blocking(before)
        if failed is not None:
            kind = CannotBuild if failed["phase"] == "import and synthesis" else Unverified
            raise kind(f"the original does not run: {told(failed)}")
        after = self._stage("after", target, before.facts, ["trajectories", "oracle"])
        self._describe(before, after)
        self._require_same_errors(before, after, target)
        comparison = self._compare(before, after)
        if comparison.difference is not None:
            self._refute(comparison.difference, before, target)
        self._require_substance(before, comparison)
        self._require_reached("before", before)
        self._require_reached("after", after)
        self._add_counts(comparison)
        if self._projection is not None:
            self._require_constraint(target, before, after)
        how = "bit for bit" if self._tolerance() is None else f"within {INEXACT:g} of their size in float64"
        return f"{comparison.counts['tensors']} tensors of {_named(target.subject)} agree {how}"

    def _blocking(self, side: Side) -> Message | None:
        """The error that keeps a side from showing anything, if there is one."""
        if not self._is_model:
            return side.error()
        modes = [side.error("eval forward"), side.error("train forward")]
        return side.error("import and synthesis", "construction") or (modes[0] if all(modes) else None)

    def _require_same_errors(self, before: Side, after: Side, target: Target) -> None:
        """Refute a fix that raises where the original did not."""
        known = {error["phase"] for error in before.facts["errors"]}
        for error in after.facts["errors"]:
            if error["phase"] in known:
                continue
            ours = error["type"] in ("HarnessError", "WiringError")
            if ours or (target.stand_in and error["phase"].startswith(_TRAINING) and _is_lookup(error)):
                raise Unverified(f"the fixed code: {told(error)}")
            raise Refuted(
                f"the fixed code raises where the original does not: {told(error)}",
                {"check": error["phase"], "before": "no exception", "after": told(error)},
            )

    def _compare(self, before: Side, after: Side) -> Comparison:
        """Compare two records; after a run that was cut off by time, the part that both got to."""
        one, two = before.entries, after.entries
        if any(side.facts.get("loop", {}).get("timed_out") for side in (before, after)):
            shared = {(e[0], e[1]) for e in one} & {(e[0], e[1]) for e in two}
            one, two = ([e for e in entries if (e[0], e[1]) in shared] for entries in (one, two))
        return compare(one, two, self._tolerance())

    def _refute(self, difference: Message, before: Side, target: Target) -> None:
        """A difference counts only if the original agrees with itself."""
        again = self._stage("before", target, before.facts, ["trajectories"])
        if compare(before.entries, again.entries).difference is not None:
            raise Unverified("two runs of the original differ, so nothing can be compared")
        raise Refuted(_difference_told(difference), difference)

    def _require_substance(self, before: Side, comparison: Comparison) -> None:
        """Two records that agree on nothing prove nothing."""
        if not comparison.counts["tensors"]:
            raise Unverified("the run computes nothing that could be compared")
        if not self._is_model:
            return
        if before.facts["trainable"] and not before.facts["reached"]:
            raise Unverified("every gradient of the original is zero, so nothing can be said about gradients")
        if not before.facts["finite"]:
            raise Unverified("every output of the original is empty, infinite or not a number")
        for error in before.facts["errors"]:
            if error["phase"] == _CHECKPOINT or error["phase"].startswith(_TRAINING):
                raise Unverified(f"the original: {told(error)}")

    # -- repairs --------------------------------------------------------------------------------------

    def _repairs(self, target: Target) -> str:
        if self._projection is not None:
            recipe = self._stage("after", target, None, ["recipe"])
            self._require_fixed(recipe)
            before = self._stage("before", target, recipe.facts, [])
            after = self._stage("after", target, before.facts, ["trajectories", "oracle"])
        else:
            after = self._stage("after", target, None, ["trajectories", "oracle"])
            self._require_fixed(after)
            parts = ["oracle"] if self._contract["symptom"] == "gradient" else []
            # The state may have other keys before the fix: each side draws its own checkpoint.
            known = {"recipe": after.facts["recipe"], "settings": None}
            before = self._stage("before", target, known, ["trajectories", *parts])
        self._describe(before, after)
        self._require_fixed(after)
        symptom = require_symptom(self._contract, before, after)
        self._require_reached("after", after)
        if self._contract["parameter"] is not None:
            self.evidence["postcondition"] = require_postcondition(before, after)
        if self._contract["symptom"] in ("gradient", "never-updated"):
            self._require_same_values(before, after, target)
            meant = False
        else:
            meant = self._require_intent(target, after)
        if self._is_model:
            require_oracle(self._contract, after, meant)
        if self._projection is not None:
            self._require_constraint(target, before, after)
        return f"{symptom}; the fixed code does not"

    def _require_intent(self, target: Target, after: Side) -> bool:
        """Where the original can be run as it was meant, the fixed code has to do the same.

        Answers whether it could.
        """
        copies = self._contract["parameter"] is not None or self._projection is not None
        kind = "copy" if copies or not self._is_model else "local"
        known = {"recipe": after.facts["recipe"], "settings": after.facts["settings"]}
        meant = self._stage("before", target, known, ["trajectories"], kind)
        failed = self._blocking(meant)
        if failed is not None:
            note = f"no reference to compare with: {told(failed)}"
            self.evidence.setdefault("notes", []).append(note)
            if not self._is_model and self._contract["parameter"] is None:
                raise Unverified(note)  # that the fixed code runs is not enough
            return False
        comparison = self._compare(meant, after)
        if comparison.difference is not None:
            again = self._stage("before", target, known, ["trajectories"], kind)
            if self._compare(meant, again).difference is not None:
                raise Unverified("two runs of the original differ, so nothing can be compared")
            raise Refuted(
                f"not what the original means: {_difference_told(comparison.difference)}",
                comparison.difference,
            )
        self.evidence["reference"] = "the original, with the assignment taken as a " + (
            "copy into the parameter" if kind == "copy" else "local value"
        )
        self._add_counts(comparison)
        self._show_losses(meant, after)
        return True

    def _require_fixed(self, after: Side) -> None:
        """The fixed code has to run, all the phases of it."""
        for error in after.facts["errors"]:
            blame(self._contract, error)
        failed = self._blocking(after)
        if failed is not None:
            kind = CannotBuild if failed["phase"] == "import and synthesis" else Unverified
            raise kind(f"the fixed code does not run: {told(failed)}")
        for error in after.facts["errors"]:
            raise Unverified(f"the fixed code: {told(error)}")

    def _require_same_values(self, before: Side, after: Side, target: Target) -> None:
        """A repaired gradient must not change what the model computes."""
        one, two = (
            chosen(side.entries, ("eval forward,", "train forward,"), ("call 1 output",))
            + chosen(side.entries, ("losses",), ("backward 0",))
            for side in (before, after)
        )
        comparison = compare(one, two)
        if comparison.difference is not None:
            self._refute(comparison.difference, before, target)
        self._add_counts(comparison)

    # -- the author's constraint ----------------------------------------------------------------------

    def _require_constraint(self, target: Target, before: Side, after: Side) -> None:
        """Parameters after every step must be what the author's own statements make of the raw update."""
        steps = [t for t in after.facts["trajectories"] if t["steps"]]
        failed = before.error(_CHECKPOINT)
        if failed is not None:
            raise Unverified(f"the original statements cannot be run on their own: {told(failed)}")
        if not after.facts["settings"].get("constrained"):
            raise Unverified("no parameter values were found that the constraint would change")
        if not steps:
            raise Unverified("no optimizer step was taken, so the constraint was not tried")
        payload = {**self._payload("before", target, before.facts, []), "updates": after.facts["updates"]}
        answer = self._run_stage("constraint", "before", payload)
        facts = _value(answer, "the original statements cannot be run on their own")
        expected = unpacked(torch.load(payload["file"], weights_only=True))
        got = unpacked(torch.load(after.facts["updates"], weights_only=True)["entries"])
        comparison = compare(expected, got, self._tolerance())
        if comparison.difference is not None:
            where = comparison.difference["where"]
            raise Refuted(f"the author's constraint does not hold: {where}", comparison.difference)
        binding = sum(t["binding"] for t in steps)
        if not binding:
            raise Unverified("the constraint never had anything to do after a step")
        self.evidence["constraint"] = {
            "parameters": after.facts["settings"]["constrained"],
            "updates": facts["updates"],
            "binding_steps": binding,
            "steps": sum(t["steps"] for t in steps),
            "exact": self._projection["exact"],
        }

    def _tolerance(self) -> float | None:
        return INEXACT if self._projection is not None and not self._projection["exact"] else None

    # -- shared ---------------------------------------------------------------------------------------

    def _payload(
        self,
        side: str,
        target: Target,
        known: Message | None,
        parts: list[str],
        reference: str | None = None,
    ) -> Message:
        self._files += 1
        return {
            "side": side,
            "subject": target.subject,
            "stand_in": target.stand_in,
            "wirings": target.wirings,
            "recipe": known["recipe"] if known else None,
            "settings": known["settings"] if known else None,
            "parts": parts,
            "reference": reference,
            "file": f"record-{self._files}.pt",
        }

    def _stage(
        self,
        side: str,
        target: Target,
        known: Message | None,
        parts: list[str],
        reference: str | None = None,
    ) -> Side:
        payload = self._payload(side, target, known, parts, reference)
        text = "the original" if side == "before" else "the fixed code"
        return Side(
            _value(self._run_stage("record", side, payload), f"{text} could not be run"), payload["file"]
        )

    def _require_reached(self, side: str, ran: Side) -> None:
        """A harness that never executes the changed lines proves nothing."""
        other = self._job["overlay"]["after" if side == "before" else "before"]
        for path, ranges in self._contract["changed_lines"][side].items():
            replayed = [w["function"] for w in self._contract["wiring"] if w["path"] == path]
            wanted = required(self._job["overlay"][side][path], ranges, other[path], replayed)
            left = missed(wanted, ran.executed(path))
            if left:
                text = "original" if side == "before" else "fixed code"
                raise Unverified(f"the run of the {text} never reached {path}:{left[0]}")

    def _describe(self, before: Side, after: Side) -> None:
        """Put into the evidence what was run and what it showed."""
        self.evidence["built"] = after.facts["built"]
        for name in ("oracle", "reached", "unreached", "loop"):
            if name in after.facts:
                self.evidence[name] = after.facts[name]
        self._show_losses(before, after)

    def _show_losses(self, before: Side, after: Side) -> None:
        """Put the losses of every trajectory into the evidence, side by side."""
        theirs = {t["optimizer"]: t["losses"] for t in before.facts.get("trajectories", ())}
        shown = {t["optimizer"]: t for t in self.evidence.get("trajectories", ())}
        for mine in after.facts.get("trajectories", ()):
            one = {name: mine[name] for name in ("optimizer", "steps", "hooks", "binding")}
            one["losses_after"] = mine["losses"]
            losses = theirs.get(mine["optimizer"])
            if losses:
                one.update(losses_bit_identical=mine["losses"] == losses, losses_before=losses)
            shown[mine["optimizer"]] = one
        self.evidence["trajectories"] = list(shown.values())

    def _add_counts(self, comparison: Comparison) -> None:
        counts = self.evidence.setdefault(
            "compared", {"checks": [], "entries": 0, "tensors": 0, "numbers": 0}
        )
        for name in ("checks", "entries", "tensors", "numbers"):
            counts[name] = counts[name] + comparison.counts[name]
        for name in ("max_abs", "max_rel"):
            self.evidence[name] = max(self.evidence.get(name, 0.0), comparison.counts[name])


def _value(answer: Message, failure: str) -> Message:
    """A stage's value, or the reason why there is none."""
    if answer["ok"]:
        value: Message = answer["value"]
        return value
    if "died" in answer:
        raise Unverified(f"{failure}: {answer['died']}")
    raise Unverified(f"{failure}: {answer['error']['type']}: {answer['error']['message']}")


def _plain(value: Any) -> Any:
    """The same data in strict JSON, which has no infinity and no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _named(subject: Message) -> str:
    parts = [part for part in (subject["class_name"], subject["function"]) if part]
    return ".".join(parts) or str(subject["path"])


def _is_lookup(error: Message) -> bool:
    """Whether a name or attribute was missing, as it is where a model is only stood for."""
    return error["type"] in ("AttributeError", "NameError", "KeyError", "IndexError", "TypeError")


def _difference_told(difference: Message) -> str:
    where = f"{difference['check']}: {difference['where']}"
    if "max_abs" in difference:
        return f"{where} differs by {difference['max_abs']:.3g} (relative {difference['max_rel']:.3g})"
    return f"{where} was {difference['before']}, is {difference['after']}"
