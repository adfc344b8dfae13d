"""Running a model through everything that a fix might change, and noting what it does."""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import records
from .bench import DISTURBANCES, Bench, Run, gradients
from .checkpoint import Binding, find_binding, inside, load_checkpoint, redrawn
from .constraint import CONSTRAINT, Constrained, Updates, author_constraint
from .frames import Message
from .initialising import initialisations, only_initialises
from .observe import (
    Recorder,
    buffers,
    defaults,
    drawn,
    error_facts,
    note_structure,
    parameters,
    settings,
    small,
    state,
)
from .oracles import directional
from .training import MOST_STEPS, Training
from .untraced import Untraced
from .watch import rejected_value

if TYPE_CHECKING:
    from .observe import Named

_MODES = ("eval", "train")
_SLOW = 0.15
"""Processor seconds for the first two calls, beyond which no second seed is tried."""

_SAVE = torch.save
"""As it is before any of the target's code runs: libraries replace it, with what tries again for one."""


class ModelRecord:
    """One model on one side: the phases it goes through, and what came of them."""

    def __init__(
        self,
        job: Message,
        payload: Message,
        bench: Bench,
        recorder: Recorder,
        facts: Message,
        reached_all: Callable[[], bool],
    ) -> None:
        self._job = job
        self._reached_all = reached_all
        self._payload = payload
        self._bench = bench
        self._recorder = recorder
        self._facts = facts
        self._settings: Message = facts["settings"]
        self._projection: Message | None = job["contract"]["projection"]
        self._saved: dict[str, Any] = {}
        self._seconds = 0.0
        """Processor time for building the model and calling it for the first times."""
        self._built: nn.Module | None = None
        """One that nobody has called yet."""
        self._used: nn.Module | None = None
        """The one that was called last."""
        self._constrained = None if self._projection is None else Constrained(self._projection)
        self.updates: Updates | None = None
        """What the constrained instances held around every update; only the fixed side is asked."""
        if self._constrained is not None and payload["side"] == "after":
            self.updates = Updates(self._constrained, bench.dtype is None, payload["brief"])
        facts.update(finite=False, trainable=False, reached=[], unreached=[], trajectories=[], rewritten=[])

    def phases(self) -> None:
        """Run every phase in order, each on fresh instances."""
        parts = self._payload["parts"]
        with self._phase("construction"):
            self._construction()
        if self._facts["errors"]:
            return
        if self._bench.dtype is not None:
            self._as_written()
        if self._projection is not None:
            with self._phase("disturbed construction"):
                self._disturbed()
            if self.updates is not None:
                with self._phase("projection of drawn values"):
                    self.updates.draw(self._bench.build(), self._projection["method"], self._bench.seed)
        works = [self._forwards(mode) for mode in _MODES]
        if not any(works) and "checkpoint" in self._settings:
            return  # nothing that follows could be any different
        if any(works):
            self._survival()
        if "checkpoint" not in self._settings:
            with self._phase("choice of a checkpoint"):
                self._choose_checkpoint()
        if "checkpoint" not in self._settings:
            return
        for mode in _MODES:
            self._forward_from("state", f"{mode} forward from a checkpoint", mode)
            if self._settings["inside"]:
                self._forward_from("inside", f"{mode} forward within the constraint", mode)
        if self._projection is not None:
            self._copied()
        self._initialisations()
        trains = not only_initialises(self._job, self._payload["wirings"])
        if trains and "trajectories" in parts and self._facts["trainable"] and self._facts["parameters"]:
            self._train()
        if "oracle" in parts:
            start = self._checkpoint("state") if self._payload["side"] == "before" else None
            self._facts["oracle"] = directional(self._bench, start)

    def _construction(self) -> None:
        module = self._bench.build()
        self._recorder.note("construction", "random numbers drawn", self._bench.drawn or drawn())
        self._recorder.note("construction", "settings of torch", settings())
        note_structure(self._recorder, "construction", module)
        left = [name for name, parameter in parameters(module) if parameter.grad is not None]
        self._recorder.note("construction", "parameters with a gradient already", left)
        if self._job["contract"]["promise"] != "keeps":  # a person may add an argument that has one
            self._recorder.note("construction", "default values of arguments", defaults(type(module)))
        if self._projection is None:
            self._recorder.note_all("construction", "initial", parameters(module) + buffers(module))
        self._facts["parameters"] = sum(parameter.requires_grad for parameter in module.parameters())
        self._built = module

    def _as_written(self) -> None:
        """The types that a model has which is only compared in another precision."""
        check = "types as they are written"
        plain = replace(self._bench, dtype=None)
        try:
            module = plain.build()
            note_structure(self._recorder, check, module)
            run = plain.call(module, 0)
        except Exception as error:  # what it is compared in is another precision
            self._recorder.note_error(check, error)
            return
        self._recorder.note(check, "outputs", [[name, str(tensor.dtype)] for name, tensor in run.outputs])

    def _disturbed(self) -> None:
        check = "construction from disturbed parameters"
        assert self._constrained is not None
        if "disturbance" not in self._settings:
            self._settings["disturbance"] = self._disturbance(self._constrained)
        module = self._bench.build_disturbed(self._constrained.cls, self._settings["disturbance"])
        self._settle("after construction", module)
        self._forward(check, module, "eval", times=1)

    def _disturbance(self, constrained: Constrained) -> float:
        """How much noise it takes that the original's parameters start out of range."""
        assert self._projection is not None
        with suppress(Exception):  # what a constraint needs may only be there once the model is called
            author = author_constraint(self._projection)
            for size in DISTURBANCES:
                module = self._bench.build_disturbed(constrained.cls, size)
                raw = state(module)
                for _, instance in constrained.instances(module):
                    author.apply(instance)
                if any(not torch.equal(parameter, raw[name]) for name, parameter in parameters(module)):
                    return size
        return DISTURBANCES[0]

    def _settle(self, what: str, module: nn.Module) -> None:
        """Note what a fresh model holds; the outputs do not tell, where the original starts out of range."""
        if self.updates is not None and self._job["contract"]["symptom"] == "gradient":
            self.updates.settled.note_all(CONSTRAINT, what, parameters(module))

    def _settle_anew(self, what: str, module: nn.Module) -> None:
        """Note what a model holds into which all of the checkpoint has been written."""
        self._settle(what, module)
        self._facts["rewritten"].append(what)

    def _forwards(self, mode: str) -> bool:
        """Call fresh models in one mode; whether that works."""
        known = len(self._facts["errors"])
        started = time.process_time()
        for seed in range(int(self._settings.get("seeds") or self._job["seeds"])):
            with self._phase(f"{mode} forward"):
                module = self._bench.build(seed) if self._built is None else self._built
                self._built = None
                # What one call leaves for the next does not hang on the values that a model starts with.
                times = 1 if seed else 2
                self._forward(f"{mode} forward, seed {seed}", module, mode, times)
            if len(self._facts["errors"]) > known:
                return False
            if "seeds" not in self._settings:
                self._seconds = time.process_time() - started
                slow = self._seconds > _SLOW
                self._settings["seeds"] = 1 if slow else self._job["seeds"]
                if slow:
                    break
        return True

    def _forward_from(self, values: str, check: str, mode: str) -> None:
        with self._phase(check):
            module = self._bench.build()
            module.train(mode == "train")
            load_checkpoint(module, self._checkpoint(values))
            if values == "state" and mode == "eval":
                self._settle("after loading", module)
            # The first call of the original may put parameters in range, which the second then finds there.
            self._forward(check, module, mode, times=1 if self._projection is None else 2)

    def _copied(self) -> None:
        """Load the checkpoint into a copy: a hook may still belong to what was copied."""
        check = "a copy's forward from a checkpoint"
        module: nn.Module | None = None
        with suppress(Exception):  # what cannot be copied has been noted
            module = copy.deepcopy(self._bench.build())
        if self._settings.setdefault("copies", module is not None) and module is not None:
            with self._phase(check):
                load_checkpoint(module, self._checkpoint("state"))
                self._settle_anew(check, module)
                self._forward(check, module, "eval", times=1)

    def _initialisations(self) -> None:
        """Call models that a script has initialised anew, as it does it and with values far out of range."""
        places = initialisations(self._job, self._payload, self._bench, self._settings)
        redrawn = self._checkpoint("state")
        for place in places:
            for check, values in ((place.check, None), (f"{place.check}, redrawn", redrawn)):
                with self._phase(check):
                    found = place.model(values)
                    if found is None:
                        continue
                    built, named = found
                    if values is not None and named is built:
                        self._settle_anew(check, built)
                    self._forward(check, named, "train", times=1)

    def _forward(self, check: str, module: nn.Module, mode: str, times: int = 2) -> None:
        """Call the model, send a loss back, and note everything that is left behind; then once more."""
        module.train(mode == "train")
        for turn in range(times):
            module.zero_grad(set_to_none=True)
            run = self._bench.call(module, turn)
            with Untraced():
                self._note_outputs(check, f"call {turn + 1}", run)
            if run.trainable:
                run.backward()
                self._facts["trainable"] = True
            with Untraced():
                self._note_left(check, f"call {turn + 1}", module, run, last=turn == times - 1)
        self._used = module

    def _note_outputs(self, check: str, label: str, run: Run) -> None:
        note = self._recorder.note
        note(check, f"{label} random numbers drawn", drawn())
        note(check, f"{label} settings of torch", settings())
        note(check, f"{label} outputs", [name for name, _ in run.outputs])
        self._recorder.note_all(check, f"{label} output", run.outputs)
        note(check, f"{label} output beside tensors", run.rest)
        note(check, f"{label} outputs with a graph", [t.requires_grad for _, t in run.outputs])
        note(check, f"{label} loss", run.loss)
        if not self._facts["finite"]:
            self._facts["finite"] = any(bool(torch.isfinite(t).all()) for _, t in run.outputs)

    def _note_left(self, check: str, label: str, module: nn.Module, run: Run, *, last: bool) -> None:
        note_all, named, inputs = self._recorder.note_all, parameters(module), run.inputs
        note_all(check, f"{label} gradient of", gradients(named))
        note_all(check, f"{label} gradient of input", gradients(inputs))
        note_all(check, f"{label} afterwards input", inputs)
        note_all(check, f"{label} afterwards", (named if last else small(named)) + buffers(module))
        self._recorder.note(check, f"{label} modes afterwards", [m.training for m in module.modules()])
        self._note_reach(named, inputs)

    def _note_reach(self, held: Named, inputs: Named) -> None:
        named = gradients(held) + [(f"input {n}", g) for n, g in gradients(inputs)]
        known = set(self._facts["reached"])
        known |= {n for n, grad in named if n not in known and grad is not None and bool((grad != 0).any())}
        missing = (set(self._facts["unreached"]) | {name for name, _ in named}) - known
        self._facts["reached"], self._facts["unreached"] = sorted(known), sorted(missing)

    def _survival(self) -> None:
        """Whether the model can be copied and saved after it has been used."""
        check, used = "copying and saving", self._used
        assert used is not None

        def deepcopy() -> None:
            self._bench.call(copy.deepcopy(used), 0)

        def save() -> None:
            _SAVE(used, io.BytesIO())

        for name, action in (("copy.deepcopy", deepcopy), ("torch.save of the module", save)):
            try:
                action()
                works = True
            except Exception:  # what does not work before need not work after
                works = False
            self._recorder.note_works(check, name, works)

    def _choose_checkpoint(self) -> None:
        module, seed = self._bench.build(), self._bench.seed
        binding, saved = Binding(), {}
        if self._projection is not None and self._constrained is not None:
            author = author_constraint(self._projection)
            binding = find_binding(module, self._constrained, author, seed + 23)
            if self._job["contract"]["symptom"] == "gradient":
                drawn = redrawn(module, seed + 17, binding)
                saved["inside"] = inside(self._bench.build(), drawn, self._constrained, author)
        saved["state"] = redrawn(module, seed + 17, binding)
        path = f"checkpoint-{self._payload['side']}"
        records.write(path, saved)
        self._settings.update(
            checkpoint=path,
            constrained=sorted(binding.values),
            redrawn_buffers=sorted(binding.buffers),
            inside="inside" in saved,
        )

    def _checkpoint(self, values: str) -> dict[str, Tensor]:
        if not self._saved:
            self._saved = records.read(self._settings["checkpoint"])
        found: dict[str, Tensor] = self._saved[values]
        return found

    def _train(self) -> None:
        asked = self._job["steps"] if self._reached_all() else max(self._job["steps"], MOST_STEPS)
        steps = (asked, self._seconds)
        training = Training(self._job, self._payload, self._bench, self._recorder, self.updates, *steps)
        checkpoint = self._checkpoint("state")
        found = training.run(checkpoint, self._settings, self._phase, self._facts["errors"])
        self._facts["trajectories"] = found

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:
            self._recorder.note_error(name, error)
            self._facts["errors"].append({"phase": name, **error_facts(error)})
            self._facts["rejected"].append(rejected_value(error))
