"""What both kinds of proof share: running stages of one target, comparing them, and keeping the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import records
from .compare import Comparison, compare
from .frames import Message
from .initialising import only_initialises
from .scripts import GLOBAL
from .tracing import missed, required
from .verdicts import Refuted, Side, Target, Unreached, Unverified

if TYPE_CHECKING:
    from .jobs import RunStage
    from .tracing import Reach

INEXACT = 1e-7
"""Relative tolerance for projections whose repetition may change the last bits, compared in float64."""
TRAINING = "training under"
CHECKPOINT = "choice of a checkpoint"
BUILDING = "import and synthesis"


class Trial:
    """One target of a contract, run on both sides."""

    def __init__(
        self,
        job: Message,
        run_stage: RunStage,
        target: Target,
        evidence: Message,
        name: str,
        *,
        brief: bool = False,
        together: bool = False,
    ) -> None:
        self.contract: Message = job["contract"]
        self.projection: Message | None = job["contract"]["projection"]
        self.target = target
        self.evidence = evidence
        self.names: dict[str, str] = job["names"]
        """What the two sides are called in words."""
        self._job = job
        self._run_stage = run_stage
        self._name = name
        self._brief = brief
        self._together = together
        self.ran_together = False
        """Whether a stage has run in a process in which another had run before."""
        self._files = 0
        self._reach: dict[str, dict[str, list[Reach]]] = {}

    def stage(
        self,
        side: str,
        known: Side | None,
        parts: tuple[str, ...] = (),
        *,
        reference: str | None = None,
        wide: bool = False,
    ) -> Side:
        """Record one side: with the recipe and the checkpoint of a side that is `known`, if there is one.

        In float64 if it is `wide`; the checkpoint of a side that was not is of no use then.
        """
        file = self._next_file()
        shared = known is not None and known.wide == wide
        payload = {
            **self._payload(known, file, side),
            "side": side,
            "stand_in": self.target.stand_in,
            "wirings": self.target.wirings,
            "settings": known.facts["settings"] if known and shared else None,
            "parts": list(parts),
            "reference": reference,
            "wide": wide,
            "wanted": self._wanted(side),
        }
        value = self._run("record", side, payload, f"{self.names[side]} could not be run")
        return Side(value, file, wide)

    def _run(self, stage: str, side: str, payload: Message, failure: str) -> Message:
        """What a stage answers; raises `Unverified` if it cannot."""
        answer = self._run_stage(stage, side, payload, together=self._together)
        self.ran_together |= answer.get("again", False)
        if answer["ok"]:
            value: Message = answer["value"]
            return value
        if "died" in answer:
            raise Unverified(f"{failure}: {answer['died']}")
        raise Unverified(f"{failure}: {answer['error']['type']}: {answer['error']['message']}")

    def _payload(self, known: Side | None, file: str, side: str) -> Message:
        recipe = known.facts["recipe"] if known else None
        target = self.target
        subject = target.subject
        if side == "before" and subject["was"] is not None:
            subject = {**subject, "path": subject["was"][0], "class_name": subject["was"][1]}
        shared = {"hosted": target.hosted, "recipe": recipe, "file": file, "brief": self._brief}
        return {"subject": subject, **shared}

    def _next_file(self) -> str:
        self._files += 1
        return f"record-{self._name}-{self._files}"

    def blocking(self, side: Side) -> Message | None:
        """The error that keeps a side from showing anything, if there is one."""
        if not self.target.is_model:
            return side.error()
        modes = [side.error("eval forward"), side.error("train forward")]
        return side.error(BUILDING, "construction") or (modes[0] if all(modes) else None)

    def compare(self, before: Side, after: Side) -> Comparison:
        """Compare two records; after a run that was cut off by time, the part that both got to."""
        left_out = before.facts["left_out"].keys() ^ after.facts["left_out"].keys()
        if left_out:
            raise Unverified(f"only one side could be built with `{min(left_out)}`")
        one, two = before.entries, after.entries
        cut = any(side.facts.get("loop", {}).get("timed_out") for side in (before, after))
        shared = {(e[0], e[1]) for e in one} & {(e[0], e[1]) for e in two}
        # A script may have another variable more after the fix.
        one, two = (
            [e for e in entries if (e[0], e[1]) in shared or not (cut or e[0].startswith(GLOBAL))]
            for entries in (one, two)
        )
        return compare(one, two, self.tolerance)

    @property
    def tolerance(self) -> float | None:
        """None where both sides have to agree bit for bit."""
        return INEXACT if self.projection is not None and not self.projection["exact"] else None

    def require_reached(self, *ran: tuple[str, Side]) -> None:
        """A harness that never executes the changed lines proves nothing."""
        unreached = [
            [side, path, line]
            for side, record in ran
            for path in self.contract["changed_lines"][side]
            for line in missed(self._required(side)[path], record.executed(path))
        ]
        if unreached:
            self.evidence["missed"] = unreached
            side, path, line = unreached[0]
            raise Unreached(f"the run of {self.names[side]} never reached {path}:{line}")

    def _required(self, side: str) -> dict[str, list[Reach]]:
        """What has to run in the changed files: what the contract says, or what the edits touch."""
        if side not in self._reach:
            paths = self.contract["changed_lines"][side]
            self._reach[side] = {path: self._required_in(side, path) for path in paths}
        return self._reach[side]

    def _required_in(self, side: str, path: str) -> list[Reach]:
        if self.contract["reach"] is not None:
            wanted: list[Reach] = self.contract["reach"][side][path]
            return wanted
        texts = self._job["overlay"]
        other = texts["after" if side == "before" else "before"]
        here = [w["lines"][side] for w in self.contract["wiring"] if w["path"] == path]
        replayed = [lines for lines in here if lines]
        method = self.projection["method"] if self.projection is not None else None
        ranges = self.contract["changed_lines"][side][path]
        return required(texts[side][path], ranges, other[path], replayed, method)

    def _wanted(self, side: str) -> dict[str, list[Reach]] | None:
        """The lines that have to run."""
        try:
            return self._required(side)
        except SyntaxError:  # whoever imports the text will say so
            return None

    def require_constraint(self, before: Side, after: Side) -> None:
        """Parameters after every step must be what the author's own statements make of the raw update."""
        settings = after.facts["settings"]
        steps = [t for t in after.facts["trajectories"] if t["steps"]]
        if not settings.get("constrained"):
            raise Unverified("no parameter values were found that the constraint would change")
        trains = not only_initialises(self._job, self.target.wirings)
        if trains and not steps:
            raise Unverified("no optimizer step was taken, so the constraint was not tried")
        file = self._next_file()
        payload = {
            **self._payload(before, file, "before"),
            "updates": after.facts["updates"],
            "checkpoint": settings["checkpoint"],
            "disturbance": settings.get("disturbance"),
            "rewritten": after.facts["rewritten"],
        }
        self._run("constraint", "before", payload, "the original statements cannot be run on their own")
        expected = records.read(file)
        settled = records.read(after.facts["updates"])["settled"]
        comparison = compare(expected, settled, self.tolerance)
        if comparison.difference is not None:
            where = comparison.difference["where"]
            raise Refuted(f"the author's constraint does not hold: {where}", comparison.difference)
        binding = sum(t["binding"] for t in steps)
        if trains and not binding:
            raise Unverified("the constraint never had anything to do after a step")
        self.evidence["constraint"] = {
            "parameters": settings["constrained"],
            "redrawn_buffers": settings["redrawn_buffers"],
            "compared": comparison.counts["tensors"],
            "binding_steps": binding,
            "steps": sum(t["steps"] for t in steps),
            "exact": self.tolerance is None,
        }

    def describe(self, before: Side, after: Side) -> None:
        """Put into the evidence what was run and what it showed."""
        self.evidence["built"] = after.facts["built"]
        if self.target.hosted:
            self.evidence["left_out"] = after.facts["left_out"]
            for statement, why in after.facts["left_out"].items():
                self.note(f"{self.target.subject['class_name']} was built without `{statement}` ({why})")
        for name in ("oracle", "reached", "unreached", "loop"):
            if name in after.facts:
                self.evidence[name] = after.facts[name]
        self.show_losses(before, after)

    def show_losses(self, before: Side, after: Side) -> None:
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
        asked = self.evidence["steps"]
        taken = after.facts.get("settings", {}).get("steps", asked)
        if taken < asked:
            self.note(f"{taken} training steps instead of {asked}: the model is slow")

    def add_counts(self, comparison: Comparison) -> None:
        """Add to how much was compared and how far it was apart."""
        nothing = {"checks": [], "entries": 0, "tensors": 0, "numbers": 0}
        counts = self.evidence.setdefault("compared", nothing)
        for name in nothing:
            counts[name] = counts[name] + comparison.counts[name]
        for name in ("max_abs", "max_rel"):
            self.evidence[name] = max(self.evidence.get(name, 0.0), comparison.counts[name])

    def note(self, text: str) -> None:
        """Add a remark to the evidence."""
        notes = self.evidence.setdefault("notes", [])
        if text not in notes:
            notes.append(text)
