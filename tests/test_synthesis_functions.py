"""Arguments for functions and methods: each gets what its name, its annotation and its use ask for."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from fixer.verify.worker.synthesis import (
    HarnessError,
    Recipe,
    arguments_for,
    build,
    call_function,
    make_inputs,
    synthesize,
)


class Net(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.fc = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)

    def penalty(self, strength: float) -> torch.Tensor:
        return strength * self.fc.weight.pow(2).sum()


def train(
    model: Any, device: Any, train_loader: Any, optimizer: Any, epoch: Any, log_interval: int = 10
) -> Any:
    for index, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data.to(device)), target.to(device))
        loss.backward()
        optimizer.step()
        if index % log_interval == 0:
            print(epoch, index * len(data), len(train_loader.dataset), loss.item())
    return loss.detach()


def train_with_settings(args: Any, model: Any, loader: Any, criterion: Any, opt: Any) -> Any:
    for _ in range(args.epochs):
        for x, y in loader:
            opt.zero_grad()
            (criterion(model(x), y) * args.weight).backward()
            opt.step()
    return model


def fit(net: Net, x: Any, y: Any, lr: float = 0.1) -> Any:
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    F.cross_entropy(net(x), y).backward()
    optimizer.step()
    return net


def init_weights(m: Any) -> Any:
    if isinstance(m, nn.Conv2d):
        m.weight.data.zero_()
    return m


def copy_weight(layer: Any, weight: Any) -> Any:
    layer.weight.data.copy_(weight)
    return layer


def gradient_penalty(critic: Any, real: Any, fake: Any) -> Any:
    mixed = (0.5 * real + 0.5 * fake).requires_grad_()
    scores = critic(mixed)
    return torch.autograd.grad(scores, mixed, torch.ones_like(scores), create_graph=True)[0].norm()


def average(teacher: Any, student: Any, momentum: Any) -> Any:
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.data.mul_(momentum).add_(fast.data, alpha=1 - momentum)
    return teacher


class Trainer:
    def __init__(self, model: Any, optimizer: Any, config: Any) -> None:
        self.model, self.optimizer, self.lr = model, optimizer, config["lr"]

    def step(self, x: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.model(x).pow(2).mean()
        loss.backward()
        self.optimizer.step()
        return loss


def outcome(function: Any) -> tuple[str, Any]:
    """How a function was called, and what it returned."""
    recipe = Recipe.from_json(arguments_for(function, {"module_classes": [Net]}, budget=30.0).to_json())
    return recipe.describe(), call_function(function, *make_inputs(recipe, 0))


def test_what_nothing_fits_is_told_in_one_sentence() -> None:
    def hopeless(x: Any) -> Any:
        return x + undefined  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(HarnessError, match="could not call hopeless: NameError"):
        arguments_for(hopeless, {})


@pytest.mark.parametrize(
    "function",
    [train, train_with_settings, fit, copy_weight, gradient_penalty, average],
    ids=lambda item: item.__name__,
)
def test_a_function_runs(function: Any) -> None:
    assert outcome(function)[1] is not None


def test_an_annotation_names_the_class_of_a_model() -> None:
    assert outcome(fit)[0] == "fit(net: Net(), x: float32[2, 4], y: int64[2])"


def test_the_optimizer_is_over_the_models_parameters() -> None:
    recipe = arguments_for(train, {}, budget=30.0)
    (model, _, _, optimizer, _), _ = make_inputs(recipe, 0)
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in model.parameters()]


def test_a_tested_class_is_what_is_given() -> None:
    described, module = outcome(init_weights)
    assert "m: Conv2d(" in described
    assert not module.weight.any()


def test_a_stand_in_has_the_attributes_that_are_asked_for() -> None:
    assert isinstance(outcome(copy_weight)[1].weight, nn.Parameter)


def test_a_method_of_a_module_is_called_on_it() -> None:
    module = build(Net, synthesize(Net, {}))
    assert outcome(module.penalty)[1].requires_grad


def test_an_object_that_is_no_module_is_built_and_its_method_called() -> None:
    trainer = build(Trainer, Recipe.from_json(arguments_for(Trainer, {}, budget=30.0).to_json()))
    assert isinstance(trainer.optimizer, torch.optim.Optimizer)
    assert outcome(trainer.step)[1].requires_grad


class Endless:
    """Ends the first alarm the way a callback of the garbage collector does: nobody hears of it."""

    def __call__(self) -> None:
        try:
            self.wait()
        except BaseException:
            self.wait()

    def wait(self) -> None:
        while True:
            pass


def test_what_swallows_its_alarm_is_told_again() -> None:
    with pytest.raises(HarnessError, match="out of time"):
        arguments_for(Endless(), {}, 0.2)
