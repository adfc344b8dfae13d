"""Training a model for some steps under several optimizers, and noting every step."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from . import overlay
from .bench import Bench, gradients
from .checkpoint import load_checkpoint
from .frames import Message
from .initialising import INITIALISATION
from .observe import Recorder, buffers, parameters, reseed, small, state, without_tensors
from .untraced import Untraced
from .wiring import Region, first_post_hook, held_parameters, place_of, plain_optimizers, transfer_hooks

if TYPE_CHECKING:
    from .constraint import Updates
    from .observe import Named

    Make = Callable[[Any], Optimizer]
    Step = Callable[[], Any]
    Phase = Callable[[str], AbstractContextManager[None]]

_RATES = (0.1, 0.01, 0.001)
_SECONDS = 0.8
"""Processor time for all trajectories of one side; slow models take fewer steps."""
_STEPS_AS_BUILT = 5
"""Steps of the optimizer that the code builds; its hooks are on the usual ones too, which go all the way."""
MOST_STEPS = 20
"""Steps where what has changed has not run yet: some code does something in every tenth call only."""
_DIVERGED = 1e12
NOISE = ", noise on gradients"
_NOTICEABLE = 8
"""How many units in the last place an update must have to count on it that the parameter moves."""


class Training:
    """The trajectories of one model on one side, from one checkpoint."""

    def __init__(
        self,
        job: Message,
        payload: Message,
        bench: Bench,
        recorder: Recorder,
        updates: Updates | None,
        asked: int,
        seconds: float,
    ) -> None:
        self._asked = asked
        """Steps of each trajectory, unless the model is too slow for that."""
        self._seconds = seconds
        """Processor time for more than one step takes, if that is known."""
        wirings = (job["contract"]["wiring"][index] for index in payload["wirings"])
        self._wirings: list[Message] = [w for w in wirings if w["kind"] != INITIALISATION]
        self._stand_in: bool = payload["stand_in"]
        self._side: str = payload["side"]
        self._bench = bench
        self._recorder = recorder
        self._projects = job["contract"]["projection"] is not None
        self._updates = updates
        self._regions: dict[int, Region] = {}

    def run(
        self, checkpoint: dict[str, Tensor], settings: Message, phase: Phase, errors: list[Any]
    ) -> list[Message]:
        """Train; the settings say how, or are filled in by the side that comes first.

        What is raised goes to `phase`, which adds it to `errors`.
        """
        places: list[Message | None] = [*self._wirings] or [None]
        if "steps" not in settings:
            with phase("timing of a step"):
                settings["steps"] = self._affordable_steps(3 * len(places))
        if "steps" not in settings:
            return []

        def trajectory(
            name: str, make: Make | None, place: Message | None, pushed: Sequence[str] = ()
        ) -> Message:
            where = "" if place is None else f" at {place_of(place)}"
            noise = NOISE if pushed else ""
            label = f"{name or 'the optimizer as built'}{noise}{where}"
            run = _Trajectory(label, self._bench, self._recorder, self._projects, self._updates, pushed)
            with phase(f"training under {label}"):
                module = self._bench.build()
                load_checkpoint(module, checkpoint)
                module.train()
                steps = settings["steps"] if make is not None else min(settings["steps"], _STEPS_AS_BUILT)
                run.run(module, *self._optimizer(module, make, place, run), steps)
            return run.facts

        found: list[Message] = []
        pushed: list[bool] = settings.get("pushed", [])
        for index, place in enumerate(places):
            here = self._plain(place, settings, trajectory, errors)
            if place is not None and place["kind"] == "construction":
                here.append(trajectory("", None, place))
            if len(pushed) <= index:
                pushed.append(self._projects and not any(t["binding"] for t in here))
            if pushed[index]:
                here += self._plain(place, settings, trajectory, errors, settings["constrained"])
            found += here
        settings["pushed"] = pushed
        return found

    def _plain(
        self,
        place: Message | None,
        settings: Message,
        trajectory: Callable[..., Message],
        errors: list[Any],
        pushed: Sequence[str] = (),
    ) -> list[Message]:
        """The trajectories under the usual optimizers, at the largest rate at which nothing goes wrong.

        The gradients of the parameters in `pushed` get noise, so that updates lead out of a constraint.
        """
        rates = [settings["rate"]] if "rate" in settings else list(_RATES)
        for rate in rates:
            known, mark = len(errors), self._recorder.mark()
            updates = self._updates.mark() if self._updates is not None else ()
            trial = [trajectory(name, make, place, pushed) for name, make in plain_optimizers(rate).items()]
            settings["rate"] = rate
            if rate == rates[-1] or (all(t["finite"] for t in trial) and len(errors) == known):
                break
            del errors[known:]
            self._recorder.rewind(mark)
            if self._updates is not None:
                self._updates.rewind(updates)
        return trial

    def _affordable_steps(self, trajectories: int) -> int:
        """As many steps as were asked for, fewer if the model is too slow for that."""
        if 0 < self._seconds * self._asked * trajectories < _SECONDS:
            return self._asked
        module = self._bench.build()
        module.train()
        probe = _Trajectory("", self._bench, Recorder(), self._projects, None, ())
        optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
        seconds = 0.0
        for _ in range(2):  # the first touches memory that later ones find there
            started = time.process_time()
            probe.run(module, optimizer, optimizer.step, False, 1)
            seconds = time.process_time() - started
        return max(2, min(self._asked, int(_SECONDS / trajectories / max(seconds, 1e-6))))

    def _region(self, place: Message) -> Region:
        """The statement at a place, read once for all trajectories."""
        if id(place) not in self._regions:
            scope = vars(overlay.load(place["path"]))
            with Untraced():
                self._regions[id(place)] = Region(place, self._side, scope, self._stand_in)
        return self._regions[id(place)]

    def _optimizer(
        self, module: nn.Module, make: Make | None, place: Message | None, run: _Trajectory
    ) -> tuple[Optimizer, Step, bool]:
        """The optimizer, how it is stepped, and whether the step calls a closure."""
        if place is None:
            assert make is not None
            optimizer = make(module.parameters())
            return optimizer, optimizer.step, False
        region = self._region(place)
        if place["kind"] == "step":
            assert make is not None
            optimizer = make(module.parameters())
            return optimizer, region.stepper(module, optimizer, run.closure), region.calls_closure
        built = region.build(module)
        self._recorder.note(run.check, "the model keeps its name", region.keeps_model)
        groups = [{k: v for k, v in group.items() if k != "params"} for group in built.param_groups]
        self._recorder.note(run.check, "settings of the optimizer", without_tensors(groups))
        run.facts["hooks"] = len(built._optimizer_step_post_hooks)
        if make is not None:
            optimizer = make(held_parameters(built))
            transfer_hooks(built, optimizer)
            return optimizer, optimizer.step, False
        if inspect.signature(built.step).parameters["closure"].default is not inspect.Parameter.empty:
            return built, built.step, False
        step: Any = built.step
        return built, lambda: step(run.closure), True


class _Trajectory:
    """One model trained by one optimizer."""

    def __init__(
        self,
        label: str,
        bench: Bench,
        recorder: Recorder,
        projects: bool,
        updates: Updates | None,
        pushed: Sequence[str],
    ) -> None:
        self.facts: Message = {
            "optimizer": label,
            "steps": 0,
            "losses": [],
            "finite": True,
            "binding": 0,
            "hooks": 0,
            "moved": [],
            "pulled": [],
        }
        self._label = label
        self.check = f"training under {label}"
        self._bench = bench
        self._recorder = recorder
        self._projects = projects
        self._updates = updates
        self._pushed = pushed
        self._raw: Any = None
        self._moved: set[str] = set()
        self._pulled: set[str] = set()
        self._evaluations = 0

    def run(
        self, module: nn.Module, optimizer: Optimizer, step: Step, calls_closure: bool, steps: int
    ) -> None:
        """Take so many steps, fewer if the loss diverges."""
        self._module, self._optimizer, self._steps = module, optimizer, steps
        self._start = state(module)
        self._recorder.note(self.check, "modes", [m.training for m in module.modules()])
        trained = sorted([name, p.requires_grad] for name, p in parameters(module))
        self._recorder.note(self.check, "trained", trained)
        first_post_hook(optimizer, self._after_update)
        for index in range(steps):
            self._index, self._evaluations = index, 0
            if not calls_closure:
                self.closure()
            reseed(self._bench.seed + 1000 + index)
            step()
            with Untraced():
                self._after_step()
            if not self.facts["finite"]:
                break
        self.facts["moved"], self.facts["pulled"] = sorted(self._moved), sorted(self._pulled)

    def closure(self) -> Tensor:
        """Compute the loss and the gradients of the current step."""
        self._zero_grad()
        with Untraced():
            # The original's constraint works during the call; that it had something to do once is enough.
            asked = self._projects and self._updates is None and not self.facts["binding"]
            held = state(self._module) if asked else {}
        run = self._bench.call(self._module, 100 + self._index)
        assert run.loss is not None
        run.backward()
        with Untraced():
            self._note(run.loss, held)
        return run.loss.detach()

    def _zero_grad(self) -> None:
        """Drop the gradients; torch's own method does no more, but takes as long as a small step."""
        if type(self._optimizer).zero_grad is not Optimizer.zero_grad:
            self._optimizer.zero_grad(set_to_none=True)
            return
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def _note(self, loss: Tensor, held: dict[str, Tensor]) -> None:
        """Note the loss and the gradients; `held` are the parameters before the call."""
        named = parameters(self._module)
        again = f", evaluation {self._evaluations + 1}" if self._evaluations else ""
        self._evaluations += 1
        detail = f"step {self._index}{again}"
        self._recorder.note(self.check, f"{detail} loss", loss)
        self._recorder.note_all(self.check, f"{detail} gradient of", gradients(named))
        if self._projects:  # the original's are in range only once forward has run
            self._recorder.note_all(self.check, f"{detail} used", self._worth_noting(named))
        value = float(loss.detach())
        self.facts["losses"].append(value)
        self.facts["finite"] &= abs(value) < _DIVERGED
        if held and self._index:
            self.facts["binding"] += any(not torch.equal(p, held[name]) for name, p in named)
        self._note_pull(named)
        if self._pushed:
            self._push(named)

    def _worth_noting(self, held: Named) -> Named:
        """The parameters; between the first step and the last only small ones: gradients tell of the rest."""
        return held if self._index in (0, self._steps - 1) else small(held)

    def _push(self, named: Named) -> None:
        """Add noise to gradients, large enough to lead anywhere."""
        generator = torch.Generator().manual_seed(self._bench.seed + 3000 + self._index)
        rate = float(self._optimizer.param_groups[0]["lr"])
        for name, parameter in named:
            if name in self._pushed and parameter.requires_grad:
                size = float(parameter.detach().abs().max().clamp_min(1)) if parameter.numel() else 1.0
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                step = (noise * size / rate).to(parameter.device, parameter.dtype)
                parameter.grad = step if parameter.grad is None else parameter.grad + step

    def _note_pull(self, named: Named) -> None:
        """Note which parameters have a gradient by which the optimizer must move them."""
        if all(name in self._pulled for name, _ in named):
            return
        held = {id(p): group["lr"] for group in self._optimizer.param_groups for p in group["params"]}
        for name, parameter in named:
            if name in self._pulled or parameter.grad is None or id(parameter) not in held:
                continue
            least = parameter.detach().abs() * torch.finfo(parameter.dtype).eps * _NOTICEABLE
            if bool((parameter.grad.abs() * float(held[id(parameter)]) > least).any()):
                self._pulled.add(name)

    def _note_moves(self, named: Named) -> None:
        for name, parameter in named:
            if name not in self._moved and not torch.equal(parameter, self._start[name]):
                self._moved.add(name)

    def _after_update(self) -> None:
        """The optimizer has written its update; no other hook has run yet."""
        with Untraced():
            self._note_moves(parameters(self._module))
            if self._updates is not None:
                self._raw = self._updates.constrained.states(self._module)

    def _after_step(self) -> None:
        named = parameters(self._module)
        self.facts["steps"] += 1
        self._note_moves(named)
        if self._index == 0:
            left = gradients(self._worth_noting(named))
            self._recorder.note_all(self.check, f"step {self._index} gradient left on", left)
        if not self._projects:
            held = self._worth_noting(named) + buffers(self._module)
            self._recorder.note_all(self.check, f"step {self._index} result", held)
        elif self._updates is not None and self._raw is not None:
            where = f"{self._label}, step {self._index}"
            self.facts["binding"] += self._updates.note(where, self._raw, self._module)
            self._raw = None
