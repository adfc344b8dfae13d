"""What a recipe promises: plain JSON, the same values everywhere, one sentence when there is none."""

import importlib.util
import json
import random
import sys
from abc import ABC, abstractmethod
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from fixer.verify.worker.synthesis import (
    HarnessError,
    Recipe,
    build,
    call,
    flatten_tensors,
    make_inputs,
    synthesize,
)


class Gate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


class Words(nn.Module):
    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 4)

    def forward(self, ids: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        return self.embedding(ids) * gain.mean()


CONFIGURED = """\
from torch import nn

class Config:
    width = 4

class Net(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.fc = nn.Linear(config.width, 3)

    def forward(self, x):
        return self.fc(x)
"""

CHOOSING = """\
from torch import nn

class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        if kind not in {'a', 'b'}:
            raise KeyError
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x)
"""


def loaded(path: Path, text: str, name: str) -> ModuleType:
    """Import a text as a module of that name, in place of an earlier version."""
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def module_name(request: pytest.FixtureRequest) -> Any:
    name = f"synthesis_case_{abs(hash(request.node.name))}"
    yield name
    sys.modules.pop(name, None)


def test_a_class_without_forward_is_refused() -> None:
    class Bare(nn.Module):
        pass

    with pytest.raises(HarnessError, match="Bare has no forward"):
        synthesize(Bare, {})


def test_an_abstract_class_is_refused() -> None:
    class Shape(nn.Module, ABC):
        @abstractmethod
        def area(self) -> float: ...

        def forward(self, x: Any) -> Any:
            return x

    with pytest.raises(HarnessError, match="abstract: it lacks area"):
        synthesize(Shape, {})


def test_a_method_that_only_raises_is_refused() -> None:
    class Transform(nn.Module):
        def forward(self, x: Any) -> Any:
            return self.transformed(x)

        def transformed(self, x: Any) -> Any:
            """To be given by subclasses."""
            raise NotImplementedError

    with pytest.raises(HarnessError, match="transformed only raises"):
        synthesize(Transform, {})


def test_the_error_names_the_last_failure_and_carries_it() -> None:
    class Broken(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + undefined  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(HarnessError, match=r"could not call .*Broken: NameError: name 'undefined'") as caught:
        synthesize(Broken, {})
    assert isinstance(caught.value.__cause__, NameError)
    assert "\n" not in str(caught.value)


def test_a_leaf_changed_in_place_is_not_searched_around() -> None:
    class Drifting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.weight.add_(1)
            return x * self.weight

    with pytest.raises(HarnessError, match="leaf Variable"):
        synthesize(Drifting, {})


def test_probing_leaves_no_state(capsys: pytest.CaptureFixture[str]) -> None:
    class Loud(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            print("building")
            random.random()
            self.fc = nn.Linear(width, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.set_grad_enabled(True)
            print("calling", x.shape)
            return self.fc(x)

    torch.manual_seed(7)
    random.seed(7)
    before = torch.get_rng_state(), random.getstate(), torch.is_grad_enabled()
    synthesize(Loud, {})
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), torch.is_grad_enabled())
    assert capsys.readouterr().out == ""


def test_a_recipe_is_plain_json() -> None:
    recipe = synthesize(Words, {})
    text = json.dumps(recipe.to_json())
    assert Recipe.from_json(json.loads(text)) == recipe


def test_a_description_reads_like_code() -> None:
    assert synthesize(Gate, {}).describe() == "Gate(width=32); forward(x: float32[2, 32])"


def test_inputs_depend_on_the_seed_alone() -> None:
    recipe = synthesize(Gate, {})
    (first,), (again,), (other,) = (make_inputs(recipe, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_floating_inputs_are_leaves_of_the_wanted_type() -> None:
    args, kwargs = make_inputs(synthesize(Words, {}), 0, torch.float64)
    ids, gain = args
    assert kwargs == {}
    assert ids.dtype is torch.int64
    assert gain.dtype is torch.float64
    assert gain.requires_grad
    assert gain.is_leaf


def test_indices_stay_within_the_table() -> None:
    recipe = synthesize(Words, {})
    module = build(Words, recipe)
    for seed in range(20):
        assert call(module, *make_inputs(recipe, seed)).shape[-1] == 4


def test_a_recipe_replays_on_another_version_of_the_class(tmp_path: Path, module_name: str) -> None:
    before = loaded(tmp_path / "net.py", CONFIGURED, module_name)
    data = synthesize(before.Net, {}).to_json()
    after = loaded(tmp_path / "net.py", CONFIGURED.replace("self.fc(x)", "self.fc(x) * 2"), module_name)
    recipe = Recipe.from_json(data)
    outputs = []
    for module in (before, after):
        torch.manual_seed(0)
        outputs.append(call(build(module.Net, recipe), *make_inputs(recipe, 0)))
    assert torch.equal(outputs[0] * 2, outputs[1])


def test_the_given_source_comes_before_what_the_disk_holds(tmp_path: Path, module_name: str) -> None:
    path = tmp_path / "net.py"
    module = loaded(path, CHOOSING, module_name)
    path.write_text("# nothing is left here\n")
    for hints in ({"sources": {str(path): CHOOSING}}, {"source": CHOOSING}):
        assert synthesize(module.Net, hints).describe() == "Net(kind='a'); forward(x: float32[2, 4])"


def made_gate() -> tuple[nn.Module, tuple[torch.Tensor]]:
    return Gate(3), (torch.rand(5, 3),)


def made_gate_alone() -> nn.Module:
    return Gate(3)


def test_the_users_factory_gives_module_and_inputs() -> None:
    recipe = Recipe.from_json(synthesize(Gate, {"harness": {"factory": made_gate}}).to_json())
    args, kwargs = make_inputs(recipe, 0, torch.float64)
    assert kwargs == {}
    assert args[0].shape == (5, 3)
    assert args[0].dtype is torch.float64
    assert args[0].requires_grad
    assert call(build(Gate, recipe).double(), args, kwargs).shape == (5, 3)
    assert recipe.origin == "the user's harness"


def test_a_factory_of_the_module_alone_gets_inputs_found_for_it() -> None:
    recipe = synthesize(Gate, {"harness": {"factory": made_gate_alone}})
    assert call(build(Gate, recipe), *make_inputs(recipe, 0)).shape[-1] == 3


def broken_factory() -> nn.Module:
    raise ValueError("no weights here")


def test_a_failing_factory_is_named() -> None:
    with pytest.raises(HarnessError, match="for Gate failed: ValueError: no weights here"):
        synthesize(Gate, {"harness": {"factory": broken_factory}})


def test_a_factory_must_be_found_by_name() -> None:
    with pytest.raises(HarnessError, match="must be a function at the top level of its file"):
        synthesize(Gate, {"harness": {"factory": lambda: Gate(3)}})


def test_configured_arguments_and_inputs_are_taken_as_they_are() -> None:
    inputs = [{"shape": [7, 5], "dtype": "float32", "low": 0, "high": 5}]
    recipe = synthesize(Gate, {"harness": {"args": [5], "kwargs": {}, "inputs": inputs}})
    (x,), _ = make_inputs(recipe, 0)
    assert recipe.describe() == "Gate(width=5); forward(x: float32[7, 5])"
    assert 0 <= x.min() <= x.max() <= 5


def test_configured_arguments_that_fail_are_not_repaired() -> None:
    with pytest.raises(HarnessError, match="could not build Gate"):
        synthesize(Gate, {"harness": {"args": ["wide"]}})


def test_the_modules_own_example_is_used() -> None:
    class WithExample(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 2)
            self.example_input_array = torch.zeros(9, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x)

    recipe = synthesize(WithExample, {})
    assert recipe.origin == "example_input_array"
    assert make_inputs(recipe, 0)[0][0].shape == (9, 6)


def test_a_model_that_is_too_large_is_shrunk() -> None:
    class Wide(nn.Module):
        def __init__(self, dim: int = 8192, heads: int = 16) -> None:
            super().__init__()
            assert dim % heads == 0
            self.fc = nn.Linear(dim, dim)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x)

    assert sum(parameter.numel() for parameter in build(Wide, synthesize(Wide, {})).parameters()) <= 3_000_000


def test_values_that_are_not_finite_are_avoided() -> None:
    class Logarithm(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(x) * self.scale

    recipe = synthesize(Logarithm, {})
    assert call(build(Logarithm, recipe), *make_inputs(recipe, 0)).isfinite().all()


def test_inputs_that_are_changed_in_place_are_no_leaves() -> None:
    class InPlace(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.fc = nn.Linear(width, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x /= 255
            return self.fc(x)

    recipe = synthesize(InPlace, {})
    args, kwargs = make_inputs(recipe, 0)
    assert not args[0].requires_grad
    assert call(build(InPlace, recipe), args, kwargs).requires_grad


Pair = namedtuple("Pair", "left right")


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: dict[str, torch.Tensor]


class LikeTransformers:
    def to_tuple(self) -> tuple[torch.Tensor]:
        return (torch.ones(1),)


@pytest.mark.parametrize(
    ("output", "paths"),
    [
        (None, []),
        (3, []),
        (torch.ones(1), [""]),
        ([torch.ones(1), (torch.ones(1), None)], ["[0]", "[1][0]"]),
        ({"a": torch.ones(1), "b": 2}, ["a"]),
        (Pair(torch.ones(1), torch.ones(1)), ["left", "right"]),
        (Answer(torch.ones(1), {"x": torch.ones(1)}), ["logits", "hidden.x"]),
        (LikeTransformers(), ["[0]"]),
        (torch.distributions.Normal(torch.ones(1), torch.ones(1)), ["loc", "scale"]),
        (pack_sequence([torch.ones(2)]), ["data", "batch_sizes"]),
    ],
)
def test_tensors_are_found_in_outputs(output: Any, paths: list[str]) -> None:
    assert [path for path, _ in flatten_tensors(output)] == paths


def test_an_output_that_holds_itself_ends() -> None:
    output: list[Any] = [torch.ones(1)]
    output.append(output)
    assert [path for path, _ in flatten_tensors(output)] == ["[0]"]
