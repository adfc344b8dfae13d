"""Whether two texts of a model behave alike, found out without any part of verification.

``python -m tests.mutants.oracle`` reads jobs from standard input and writes answers to standard output. Each
text runs in a process of its own, is trained by its own ``fit``, and everything it does is written down. What
the inputs are is said by the author of the model, nothing is searched for.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import json
import os
import random
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Observed = dict[str, Any]
_SEEDS = 2
_STEPS = 6
_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Question:
    """A model's text, and what to do with it."""

    text: str
    made: str
    """An expression for what makes the model when it is called."""
    inputs: str
    """An expression for what `forward` takes."""
    exact: bool = True


def observations(questions: Sequence[Question]) -> list[Observed]:
    """What each text does; equal questions are asked once."""
    distinct = list(dict.fromkeys(questions))
    command = [sys.executable, "-m", "tests.mutants.oracle"]
    root = Path(__file__).resolve().parents[2]
    asked = json.dumps([dataclasses.asdict(question) for question in distinct])
    done = subprocess.run(command, input=asked, cwd=root, check=True, text=True, stdout=subprocess.PIPE)
    known = dict(zip(distinct, json.loads(done.stdout), strict=True))
    return [known[question] for question in questions]


def difference(one: Observed, two: Observed, exact: bool = True) -> str | None:
    """What two texts do differently first, None if nothing was seen."""
    for name in [*one, *(name for name in two if name not in one)]:
        if name not in one or name not in two or not _equal(one[name], two[name], exact):
            return name
    return None


def _equal(one: Any, two: Any, exact: bool) -> bool:
    tensors = all(isinstance(item, list) and str(item[:1]).startswith("['torch.") for item in (one, two))
    if exact or not tensors or one[:2] != two[:2]:  # other types or shapes are different in any case
        return bool(one == two)
    return all(
        str(a) == str(b) or abs(a - b) <= _TOLERANCE * max(abs(a), abs(b), 1.0)
        for a, b in zip(one[2], two[2], strict=True)
    )


def _observe(question: Question) -> Observed:
    import torch

    seen: Observed = {}
    with contextlib.suppress(Exception):  # noted where it is raised
        for seed in range(_SEEDS):
            with _noting_errors(seen, f"seed {seed}"):
                _run_model(seen, question, seed, f"seed {seed}: ")
        if "def fit" in question.text:
            with _noting_errors(seen, "training"):
                _train(seen, question)
    seen["default type"] = str(torch.get_default_dtype())
    seen["gradients on"] = torch.is_grad_enabled()
    return seen


@contextlib.contextmanager
def _noting_errors(seen: Observed, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        seen[f"{what} raises"] = type(error).__name__
        seen[f"{what} raises in"] = [f.name for f in traceback.extract_tb(error.__traceback__)][-1]
        raise


def _namespace(question: Question) -> dict[str, Any]:
    import types

    module = types.ModuleType("oracle_net")
    sys.modules["oracle_net"] = module
    exec(compile(question.text, "net.py", "exec"), vars(module))
    return vars(module)


def _made(space: dict[str, Any], question: Question) -> Any:
    return eval(question.made, space)()


def _seed(number: int) -> None:
    import torch

    torch.manual_seed(number)
    random.seed(number)


def _run_model(seen: Observed, question: Question, seed: int, label: str) -> None:
    import torch

    space = _namespace(question)
    _seed(seed)
    model = _made(space, question)
    seen[label + "drawn by construction"] = _drawn()
    _note_model(seen, label + "built", model)
    seen[label + "gradients from the start"] = [n for n, p in model.named_parameters() if p.grad is not None]
    _note_disturbed(seen, label + "built from other values", space, question, seed)
    scaled = {name: _scaled(value) for name, value in model.state_dict().items()}
    for mode in (False, True):
        fresh = _made(space, question).train(mode)
        fresh.load_state_dict(scaled)
        _note_model(seen, f"{label}loaded in mode {mode}", fresh)
    try:
        copied = copy.deepcopy(_made(space, question))
    except Exception:
        seen[label + "copied before use"] = False
    else:
        copied.load_state_dict(scaled)
        _note_model(seen, f"{label}copied and loaded", copied)
    for mode in (False, True):
        _seed(seed)
        model = _made(space, question).train(mode)
        for turn in range(2):
            _call(seen, f"{label}mode {mode}, call {turn}: ", model, question, seed + turn)
    for name, use in (
        ("copied", copy.deepcopy),
        ("saved", lambda used: torch.save(used, io.BytesIO())),
    ):
        try:
            use(model)
            seen[label + name] = True
        except Exception:
            seen[label + name] = False


def _call(seen: Observed, label: str, model: Any, question: Question, seed: int) -> None:
    import torch

    inputs = _inputs(question, seed)
    model.zero_grad(set_to_none=True)
    _seed(seed)
    output = model(*inputs)
    seen[label + "drawn"] = _drawn()
    found: list[tuple[str, Any]] = []
    seen[label + "returned"] = _flatten(output, "", found)
    for name, tensor in found:
        seen[f"{label}output {name}"] = _plain(tensor)
        seen[f"{label}output {name} has a graph"] = tensor.requires_grad
    loss = _loss([tensor for _, tensor in found])
    if loss is not None and loss.requires_grad:
        loss.backward()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        seen[f"{label}gradient of {name}"] = _plain(parameter.grad)
    for index, value in enumerate(inputs):
        seen[f"{label}input {index} afterwards"] = _plain(value)
        seen[f"{label}gradient of input {index}"] = _plain(value.grad)
    _note_model(seen, label + "afterwards", model)
    seen[label + "gradients on"] = torch.is_grad_enabled()


def _train(seen: Observed, question: Question) -> None:
    import torch

    space = _namespace(question)
    _seed(11)
    model, optimizer = space["fit"]()
    for mode in (True, False):
        model.train(mode)
        for step in range(_STEPS):
            inputs = _inputs(question, 100 + step)

            def closure(inputs: Any = inputs, step: int = step) -> Any:
                optimizer.zero_grad()
                _seed(step)
                found: list[tuple[str, Any]] = []
                _flatten(model(*inputs), "", found)
                loss = 30 * _loss([tensor for _, tensor in found])
                loss.backward()
                return loss

            label = f"mode {mode}, step {step}: "
            if isinstance(optimizer, torch.optim.LBFGS):
                loss = optimizer.step(closure)
            else:
                loss = closure()
                optimizer.step()
            seen[label + "loss"] = _plain(loss)
            _note_model(seen, label + "afterwards", model)
            for name, parameter in model.named_parameters():
                seen[f"{label}gradient of {name} afterwards"] = _plain(parameter.grad)


def _inputs(question: Question, seed: int) -> tuple[Any, ...]:
    import torch

    _seed(1000 + seed)
    made = eval(f"({question.inputs},)", {"torch": torch})
    return tuple(value.requires_grad_() if value.is_floating_point() else value for value in made)


def _note_disturbed(seen: Observed, label: str, space: dict[str, Any], question: Question, seed: int) -> None:
    """A model whose parameters start far away: initial values are often in range already."""
    import torch

    original = torch.nn.Module.register_parameter

    def register(self: Any, name: str, parameter: Any) -> None:
        if parameter is not None and not torch.nn.parameter.is_lazy(parameter):
            parameter.data = _scaled(parameter.data)
        original(self, name, parameter)

    _seed(seed)
    torch.nn.Module.register_parameter = register  # type: ignore[method-assign]
    try:
        _note_model(seen, label, _made(space, question))
    finally:
        torch.nn.Module.register_parameter = original  # type: ignore[method-assign]


def _note_model(seen: Observed, label: str, model: Any) -> None:
    import torch

    parameters = list(model.named_parameters(remove_duplicate=False))
    objects = [id(parameter) for _, parameter in parameters]
    seen[label + ", parameters"] = [[name, p.requires_grad] for name, p in parameters]
    seen[label + ", sharing"] = [objects.index(number) for number in objects]
    seen[label + ", modes"] = [[name, module.training] for name, module in model.named_modules()]
    for name, tensor in (*parameters, *model.named_buffers(remove_duplicate=False)):
        lazy = torch.nn.parameter.is_lazy(tensor)
        seen[f"{label}, {name}"] = "lazy" if lazy else _plain(tensor)
    seen[label + ", keys"] = list(model.state_dict())  # last: this runs hooks


def _scaled(value: Any) -> Any:
    import torch

    if torch.nn.parameter.is_lazy(value) or not (value.is_floating_point() or value.is_complex()):
        return value
    return value.detach() * 5 + 0.7


def _loss(tensors: list[Any]) -> Any:
    import torch

    total = None
    for index, tensor in enumerate(tensors):
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        weights = torch.cos(torch.arange(real.numel(), dtype=torch.float64) * (index + 1.3)).view(real.shape)
        term = (real.double() * weights).sum()
        total = term if total is None else total + term
    return total


def _flatten(value: Any, name: str, found: list[tuple[str, Any]]) -> Any:
    """The tensors in what `forward` returned go to `found`; the answer is the rest of it."""
    import torch

    if isinstance(value, torch.Tensor):
        found.append((name, value))
        return "tensor"
    if isinstance(value, dict):
        return {str(key): _flatten(item, f"{name}.{key}", found) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_flatten(item, f"{name}.{index}", found) for index, item in enumerate(value)]
        return [type(value).__name__, *items]
    if dataclasses.is_dataclass(value):
        return _flatten({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, name, found)
    return repr(value)


def _plain(tensor: Any) -> Any:
    """A tensor as its type, its shape and its numbers; JSON's texts for numbers lose nothing."""
    import torch

    if tensor is None:
        return None
    tensor = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    wide = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return [str(tensor.dtype), list(tensor.shape), wide.double().flatten().tolist()]


def _drawn() -> str:
    import hashlib

    import torch

    state = torch.get_rng_state().numpy().tobytes() + repr(random.getstate()).encode()
    return hashlib.blake2b(state, digest_size=8).hexdigest()


def _apart(question: Question) -> Observed:
    """Observe in a process of its own: texts change what others share."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with os.fdopen(writing, "w") as pipe:
                json.dump(_observe(question), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    found: Observed = json.loads(answer) if answer else {"died": True}
    return found


def main() -> None:
    """Answer the questions on standard input."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    parameter = torch.nn.Parameter(torch.ones(()))
    parameter.sum().backward()
    torch.optim.SGD([parameter], lr=0.1).step()
    questions = [Question(**question) for question in json.load(sys.stdin)]
    json.dump([_apart(question) for question in questions], sys.stdout)


if __name__ == "__main__":
    main()
