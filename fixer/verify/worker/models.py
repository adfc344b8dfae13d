"""Running a model through everything that a fix might change, and noting what it does."""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from . import overlay
from .bench import Bench, disturbed_registration, gradients, load_checkpoint, redrawn
from .frames import Message
from .hints import resolve
from .observe import (
    Recorder,
    buffers,
    error_facts,
    note_structure,
    parameters,
    reseed,
    restore,
    state,
)
from .oracles import Constraint, directional
from .watch import rejected_value
from .wiring import Region, first_post_hook, held_parameters, plain_optimizers, transfer_hooks

_DISTURBANCE = 2.0
_SCALES = (1.5, 10.0, 100.0, 1000.0)
_RATES = (0.1, 0.01, 0.001)
_INSTANCES = 8


CONSTRAINT = "the author's constraint after every step"


def instances(module: nn.Module, projection: Message) -> list[tuple[str, nn.Module]]:
    """The first few submodules of the constrained class, with the prefix of their parameters' names."""
    cls = resolve(projection["path"], projection["class_name"])
    found = [(f"{name}." if name else "", m) for name, m in module.named_modules() if isinstance(m, cls)]
    return found[:_INSTANCES]


def author_constraint(job: Message) -> Constraint:
    """The projection's original statements, with the globals of their file."""
    projection = job["contract"]["projection"]
    module = overlay.load(projection["path"], wanted=[projection["class_name"].split(".")[0]])
    return Constraint(projection["statements"], vars(module), projection["path"])


def _backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


class ModelRecord:
    """One model on one side: the phases it goes through, and what came of them."""

    def __init__(
        self, job: Message, payload: Message, bench: Bench, recorder: Recorder, facts: Message
    ) -> None:
        self.job = job
        self.parts = payload["parts"]
        self.stand_in = payload["stand_in"]
        self.side = payload["side"]
        self.bench = bench
        self.recorder = recorder
        self.facts = facts
        self.projection = job["contract"]["projection"]
        self.wirings: list[Message] = [job["contract"]["wiring"][index] for index in payload["wirings"]]
        self.settings: Message = facts["settings"]
        self.raw: list[Message] = []
        self.constraint = Recorder(bench.dtype is None)
        facts.update(finite=False, trainable=False, reached=[], unreached=[], trajectories=[])

    def phases(self) -> None:
        """Run every phase in order, each on fresh instances."""
        with self._phase("construction"):
            self._construction()
        if self.facts["errors"]:
            return
        if self.projection is not None:
            with self._phase("disturbed construction"):
                self._disturbed()
        for mode in ("eval", "train"):
            for seed in range(self.job["seeds"]):
                with self._phase(f"{mode} forward"):
                    self._forward(f"{mode} forward, seed {seed}", self.bench.build(seed), mode)
        self._survival()
        if "checkpoint" not in self.settings:
            with self._phase("choice of a checkpoint"):
                self._choose_checkpoint()
        if "checkpoint" in self.settings:
            for mode in ("eval", "train"):
                with self._phase(f"{mode} forward from a checkpoint"):
                    module = self.bench.build()
                    load_checkpoint(module, self._checkpoint())
                    self._forward(f"{mode} forward from a checkpoint", module, mode)
            if "trajectories" in self.parts and self.facts["trainable"] and self.facts["parameters"]:
                self._trajectories()
        if "oracle" in self.parts:
            self.facts["oracle"] = directional(self.bench)

    def _construction(self) -> None:
        module = self.bench.build()
        note_structure(self.recorder, "construction", module)
        if self.projection is None:
            self.recorder.note_all("construction", "initial", parameters(module) + buffers(module))
        self.facts["parameters"] = sum(parameter.requires_grad for parameter in module.parameters())

    def _disturbed(self) -> None:
        check = "construction from disturbed parameters"
        with disturbed_registration(_DISTURBANCE, self.bench.seed + 5):
            module = self.bench.build()
        self._forward(check, module, "eval", times=1)

    def _forward(self, check: str, module: nn.Module, mode: str, times: int = 2) -> None:
        """Call the model, send a loss back, and note everything that is left behind; then once more."""
        module.train(mode == "train")
        for turn in range(times):
            label = f"call {turn + 1}"
            module.zero_grad(set_to_none=True)
            run = self.bench.call(module, turn)
            self.recorder.note(check, f"{label} outputs", [name for name, _ in run.outputs])
            self.recorder.note_all(check, f"{label} output", run.outputs)
            self.recorder.note(
                check, f"{label} outputs with a graph", [t.requires_grad for _, t in run.outputs]
            )
            self.recorder.note(check, f"{label} loss", run.loss)
            if any(bool(torch.isfinite(t).all()) for _, t in run.outputs):
                self.facts["finite"] = True
            if run.trainable:
                assert run.loss is not None
                _backward(run.loss)
                self.facts["trainable"] = True
            self.recorder.note_all(check, f"{label} gradient of", gradients(parameters(module)))
            self.recorder.note_all(check, f"{label} gradient of input", gradients(run.inputs))
            self.recorder.note_all(check, f"{label} afterwards", parameters(module) + buffers(module))
            self.recorder.note(check, f"{label} modes afterwards", [m.training for m in module.modules()])
            self._note_reach(module, run.inputs)

    def _note_reach(self, module: nn.Module, inputs: Any) -> None:
        named = gradients(parameters(module)) + [(f"input {n}", g) for n, g in gradients(inputs)]
        reached = {name for name, grad in named if grad is not None and bool((grad != 0).any())}
        known = set(self.facts["reached"]) | reached
        missing = (set(self.facts["unreached"]) | {name for name, _ in named}) - known
        self.facts["reached"], self.facts["unreached"] = sorted(known), sorted(missing)

    def _survival(self) -> None:
        """Whether the model can be copied and saved after it has been used."""
        check = "copying and saving"

        def used() -> nn.Module:
            module = self.bench.build()
            self.bench.call(module, 0)
            return module

        def deepcopy() -> None:
            self.bench.call(copy.deepcopy(used()), 0)

        def save() -> None:
            torch.save(used(), io.BytesIO())

        for name, action in (("copy.deepcopy", deepcopy), ("torch.save of the module", save)):
            try:
                action()
                works = True
            except Exception:  # what does not work before need not work after
                works = False
            self.recorder.note_works(check, name, works)

    def _choose_checkpoint(self) -> None:
        module = self.bench.build()
        scales = self._scales(module) if self.projection is not None else {}
        path = f"checkpoint-{self.side}.pt"
        torch.save(redrawn(module, self.bench.seed + 17, scales), path)
        self.settings.update(checkpoint=path, constrained=sorted(scales))

    def _scales(self, module: nn.Module) -> dict[str, float]:
        """How large each constrained parameter has to be for its constraint to have work to do."""
        author = author_constraint(self.job)
        found: dict[str, float] = {}
        generator = torch.Generator().manual_seed(self.bench.seed + 23)
        for prefix, instance in instances(module, self.projection):
            initial = state(instance)
            for scale in _SCALES:
                raw = dict(initial)
                for name, parameter in parameters(instance):
                    if parameter.is_floating_point():
                        raw[name] = (
                            torch.randn(parameter.shape, generator=generator).to(parameter.dtype) * scale
                        )
                restore(instance, raw)
                author.apply(instance)
                for name, parameter in parameters(instance):
                    if not torch.equal(parameter, raw[name]):
                        found.setdefault(f"{prefix}{name}", scale)
            restore(instance, initial)
        return found

    def _checkpoint(self) -> dict[str, Tensor]:
        checkpoint: dict[str, Tensor] = torch.load(self.settings["checkpoint"], weights_only=True)
        return checkpoint

    def _trajectories(self) -> None:
        wirings: list[Message | None] = [*self.wirings] or [None]
        if "steps" not in self.settings:
            self.settings["steps"] = self._affordable_steps(3 * len(wirings))
        for wiring in wirings:
            rates = [self.settings["rate"]] if "rate" in self.settings else list(_RATES)
            for rate in rates:
                marks = self.recorder.mark(), self.constraint.mark(), len(self.raw)
                trial = [
                    self._trajectory(name, make, wiring) for name, make in plain_optimizers(rate).items()
                ]
                if all(t["finite"] for t in trial) or rate == rates[-1]:
                    self.settings["rate"] = rate
                    self.facts["trajectories"] += trial
                    break
                self.recorder.rewind(marks[0])
                self.constraint.rewind(marks[1])
                del self.raw[marks[2] :]
            if wiring is not None and wiring["kind"] == "construction":
                self.facts["trajectories"].append(self._trajectory("", None, wiring))

    def _affordable_steps(self, trajectories: int) -> int:
        """As many steps as were asked for, fewer if the model is too slow for that."""
        module = self.bench.build()
        started = time.monotonic()
        run = self.bench.call(module, 0)
        if run.loss is not None and run.trainable:
            _backward(run.loss)
        notes = Recorder()
        notes.note_all("", "", parameters(module))
        notes.note_all("", "", gradients(parameters(module)))
        seconds = time.monotonic() - started
        affordable = int(self.job["budget"] / 6 / trajectories / max(seconds, 1e-6))
        asked: int = self.job["steps"]
        return max(2, min(asked, affordable))

    def _trajectory(
        self,
        name: str,
        make: Callable[[Any], Optimizer] | None,
        wiring: Message | None,
    ) -> Message:
        """Train for some steps under one optimizer; a wiring is replayed as it stands on this side."""
        place = "" if wiring is None else f" at {wiring['path']}:{wiring['function'] or 'module level'}"
        label = f"{name or 'the optimizer as built'}{place}"
        facts: Message = {
            "optimizer": label,
            "steps": 0,
            "losses": [],
            "finite": True,
            "binding": 0,
            "hooks": 0,
            "moved": [],
        }
        with self._phase(f"training under {label}"):
            module = self.bench.build()
            load_checkpoint(module, self._checkpoint())
            module.train()
            optimizer, step = self._optimizer(module, make, wiring, facts)
            start = state(module)
            raw: list[Message] = []
            if self.projection is not None and self.side == "after":
                first_post_hook(optimizer, lambda: raw.append(self._instances(module)))
            for index in range(self.settings["steps"]):
                self._train_step(module, optimizer, step, f"training under {label}", index, facts)
                if raw:
                    facts["binding"] += self._note_constraint(module, raw.pop(), label, index)
                if not facts["finite"]:
                    break
            facts["moved"] = [n for n, p in parameters(module) if not torch.equal(p, start[n])]
        return facts

    def _optimizer(
        self,
        module: nn.Module,
        make: Callable[[Any], Optimizer] | None,
        wiring: Message | None,
        facts: Message,
    ) -> Any:
        if wiring is None:
            assert make is not None
            optimizer = make(module.parameters())
            return optimizer, optimizer.step
        globals_ = vars(overlay.load(wiring["path"]))
        region = Region(wiring, wiring[self.side], globals_, self.stand_in)
        if wiring["kind"] == "step":
            assert make is not None
            optimizer = make(module.parameters())
            return optimizer, region.stepper(module, optimizer)
        built = region.build(module)
        facts["hooks"] = len(built._optimizer_step_post_hooks)
        if make is None:
            return built, built.step
        optimizer = make(held_parameters(built))
        transfer_hooks(built, optimizer)
        return optimizer, optimizer.step

    def _train_step(
        self, module: nn.Module, optimizer: Optimizer, step: Any, check: str, index: int, facts: Message
    ) -> None:
        optimizer.zero_grad(set_to_none=True)
        run = self.bench.call(module, 100 + index)
        assert run.loss is not None
        _backward(run.loss)
        loss = float(run.loss.detach())
        facts["losses"].append(loss)
        facts["finite"] &= abs(loss) < 1e12
        self.recorder.note(check, f"step {index} loss", run.loss)
        self.recorder.note_all(check, f"step {index} gradient of", gradients(parameters(module)))
        if self.projection is not None:  # the original's parameters are in range only once forward has run
            self.recorder.note_all(check, f"step {index} used", parameters(module))
        reseed(self.bench.seed + 1000 + index)
        step()
        facts["steps"] += 1
        if self.projection is None:
            self.recorder.note_all(check, f"step {index} result", parameters(module) + buffers(module))

    def _instances(self, module: nn.Module) -> Message:
        return {prefix: state(instance) for prefix, instance in instances(module, self.projection)}

    def _note_constraint(self, module: nn.Module, raw: Message, label: str, index: int) -> bool:
        """Note what the parameters are once the step is over; whether that is not what the update left."""
        binding = False
        for prefix, instance in instances(module, self.projection):
            where = f"{label}, step {index}, {prefix or 'the model'}"
            self.raw.append({"instance": prefix.rstrip("."), "where": where, "state": raw[prefix]})
            for name, parameter in parameters(instance):
                self.constraint.note(CONSTRAINT, f"{where} {name}", parameter)
                binding = binding or not torch.equal(parameter, raw[prefix][name])
        return binding

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:
            self.recorder.note_error(name, error)
            self.facts["errors"].append({"phase": name, **error_facts(error)})
            self.facts["rejected"].append(rejected_value(error))
