"""What torch really does with the code that the rules are about: the claims of their messages and pages."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint


class Held(nn.Module):
    """A module with one of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((3,), 2.0))
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.register_buffer("b", torch.ones(3))
        self.count = 0


REFUSED = r"cannot assign .* as parameter '\w+' \(torch.nn.Parameter or None expected\)"


# Assigning to a parameter


@pytest.mark.parametrize("value", [torch.eye(2), torch.eye(2).double(), 0, 1.5, [1.0], "w"])
def test_a_slot_of_a_parameter_refuses_everything_but_parameters(value: object) -> None:
    layer = nn.Linear(2, 2)
    before = layer.weight
    with pytest.raises(TypeError, match=REFUSED):
        layer.weight = value  # type: ignore[assignment]
    assert layer.weight is before
    with pytest.raises(TypeError, match=REFUSED):
        setattr(layer, "weight", value)  # noqa: B010


def test_a_slot_that_is_none_refuses_a_tensor_too() -> None:
    layer = nn.Linear(2, 2, bias=False)
    with pytest.raises(TypeError, match=REFUSED):
        layer.bias = torch.zeros(2)


def test_before_the_constructor_of_module_ran_a_tensor_is_a_plain_attribute() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.w = torch.ones(1)
            super().__init__()

    assert isinstance(Early().w, torch.Tensor)


def deleted(layer: nn.Module) -> None:
    del layer.weight


def popped(layer: nn.Module) -> None:
    layer._parameters.pop("weight")


def parametrized(layer: nn.Module) -> None:
    class Identity(nn.Module):
        def forward(self, w: torch.Tensor) -> torch.Tensor:
            return w

        def right_inverse(self, w: torch.Tensor) -> torch.Tensor:
            return w

    parametrize.register_parametrization(layer, "weight", Identity())


def weight_normed(layer: nn.Module) -> None:
    nn.utils.parametrizations.weight_norm(layer)


@pytest.mark.parametrize("change", [deleted, popped, parametrized, weight_normed])
def test_a_slot_that_was_tampered_with_takes_a_tensor(change: Callable[[nn.Module], None]) -> None:
    layer = nn.Linear(2, 2)
    change(layer)
    layer.weight = torch.eye(2)


def test_buffers_and_plain_attributes_take_a_tensor() -> None:
    held = Held()
    held.b = torch.zeros(3)
    held.count = torch.zeros(3)  # type: ignore[assignment]
    assert dict(held.named_buffers())["b"].sum() == 0


def test_none_leaves_parameters_and_state() -> None:
    layer = nn.Linear(2, 2)
    layer.bias = None  # type: ignore[assignment]
    assert set(layer.state_dict()) == {"weight"} == {name for name, _ in layer.named_parameters()}


def test_a_new_parameter_after_the_optimizer_never_moves() -> None:
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer.weight = nn.Parameter(torch.eye(2))
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight, torch.eye(2))


@pytest.mark.parametrize(
    "value",
    [
        lambda layer: nn.init.kaiming_normal_(layer.weight),
        lambda layer: copy.deepcopy(layer.weight),
        lambda layer: nn.utils.fusion.fuse_linear_bn_weights(
            layer.weight, layer.bias, torch.zeros(2), torch.ones(2), 1e-5, torch.ones(2), torch.zeros(2)
        )[0],
        lambda layer: layer.weight.requires_grad_(False),
        lambda layer: layer.weight.to(torch.float32),
        lambda layer: layer.weight.float(),
        lambda layer: layer.weight.cpu(),
        lambda layer: layer.weight.contiguous(),
        lambda layer: +layer.weight,
        lambda layer: torch.as_tensor(layer.weight),
        lambda layer: nn.functional.dropout(layer.weight, training=False),
        lambda layer: nn.Dropout().eval()(layer.weight),
        lambda layer: nn.Identity()(layer.weight),
    ],
)
def test_what_returns_a_parameter_may_be_assigned(value: Callable[[nn.Linear], nn.Parameter]) -> None:
    layer = nn.Linear(2, 2)
    result = value(layer)
    assert isinstance(result, nn.Parameter)
    layer.weight = result


@pytest.mark.parametrize(
    "value",
    [
        lambda p: p.data,
        lambda p: p.detach(),
        lambda p: p.clone(),
        lambda p: p.double(),
        lambda p: p * 1,
        lambda p: -p,
        lambda p: p[:],
        lambda p: p.T,
        lambda p: p.view(-1),
        lambda p: p.expand(2, 2),
        lambda p: torch.clamp(p, 0, 1),
        lambda p: nn.functional.normalize(p),
        lambda p: torch.autograd.Variable(p),
    ],
)
def test_what_computes_with_a_parameter_is_none(value: Callable[[nn.Parameter], torch.Tensor]) -> None:
    assert not isinstance(value(nn.Parameter(torch.eye(2))), nn.Parameter)


def test_data_takes_any_storage() -> None:
    layer = nn.Linear(2, 2)
    before, value = layer.weight, torch.zeros(5, 7, dtype=torch.float64)
    layer.weight.data = value
    assert layer.weight is before
    assert layer.weight.shape == (5, 7)
    assert layer.out_features == 2
    assert layer.weight.data_ptr() == value.data_ptr()


def test_copy_keeps_object_and_storage_and_casts() -> None:
    layer = nn.Linear(2, 2)
    before, storage = layer.weight, layer.weight.data_ptr()
    layer.weight.data.copy_(torch.eye(2, dtype=torch.float64))
    assert layer.weight is before
    assert layer.weight.data_ptr() == storage
    assert layer.weight.dtype is torch.float32
    assert torch.equal(layer.weight, torch.eye(2))


def test_copy_broadcasts_what_is_smaller_and_refuses_the_rest() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.data.copy_(torch.ones(1))
    assert torch.equal(layer.weight, torch.ones(2, 2))
    with pytest.raises(RuntimeError):
        layer.weight.data.copy_(torch.ones(3))


@pytest.mark.parametrize("view", [lambda p: p.t(), lambda p: p[:1], lambda p: p.data.T])
def test_a_view_cannot_be_copied_onto_its_own_storage(view: Callable[[torch.Tensor], torch.Tensor]) -> None:
    parameter = nn.Parameter(torch.rand(2, 2))
    with pytest.raises(RuntimeError, match="single memory location"):
        parameter.data.copy_(view(parameter))


def test_copying_a_value_with_a_graph_drops_the_graph() -> None:
    layer, source = nn.Linear(2, 2), torch.eye(2, requires_grad=True)
    layer.weight.data.copy_(source * 2)
    layer(torch.ones(1, 2)).sum().backward()
    assert source.grad is None
    assert layer.weight.is_leaf
    assert layer.weight.grad is not None


def test_copy_without_data_raises_for_a_leaf() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        layer.weight.copy_(torch.eye(2))
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))


def test_code_that_relies_on_the_error() -> None:
    norm = nn.BatchNorm1d(2)
    norm.weight = norm.weight.float()  # legal: it is the same object
    norm = nn.BatchNorm1d(2).double()
    with contextlib.suppress(TypeError):
        norm.weight = norm.weight.float()
    assert norm.weight.dtype is torch.float64


# Changing parameters inside forward


class Clamped(nn.Module):
    """Clamps its weight before or after it uses it, under `no_grad` or through `.data`."""

    def __init__(self, *, data: bool, after: bool = False) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([-1.0, 2.0]))
        self.data, self.after = data, after

    def clamp(self) -> None:
        if self.data:
            self.w.data.clamp_(0, 1)
        else:
            with torch.no_grad():
                self.w.clamp_(0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.after:
            self.clamp()
        result = (self.w * self.w * x).sum()
        if self.after:
            self.clamp()
        return result


@pytest.mark.parametrize("data", [True, False])
def test_clamp_before_use_works_and_runs_in_eval(data: bool) -> None:
    module = Clamped(data=data).eval()
    module(torch.ones(2)).backward()
    assert module.w.tolist() == [0.0, 1.0]
    assert module.w.grad is not None
    assert module.w.grad.tolist() == [0.0, 2.0]


def test_no_grad_clamp_raises_for_a_second_forward_before_backward() -> None:
    module = Clamped(data=False)
    loss = module(torch.ones(2)) + module(torch.ones(2))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_no_grad_clamp_after_use_raises() -> None:
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        Clamped(data=False, after=True)(torch.ones(2)).backward()


def test_data_clamp_after_use_gives_a_wrong_gradient() -> None:
    module = Clamped(data=True, after=True)
    module(torch.ones(2)).backward()
    assert module.w.grad is not None
    assert module.w.grad.tolist() == [0.0, 2.0]  # of the clamped weight; 2 * w was [-2, 4]


def test_data_clamp_raises_under_functional_grad() -> None:
    module = Clamped(data=True)

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(module, parameters, (torch.ones(2),))
        return result

    with pytest.raises(RuntimeError):
        torch.func.grad(loss)(dict(module.named_parameters()))


def test_checkpoint_changes_the_parameter_twice() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.w.data.mul_(0.5)
            return (self.w * x).sum()

    module = Counting()
    checkpoint(module, torch.ones(1, requires_grad=True), use_reentrant=False).backward()
    assert module.w.item() == 0.25


def test_updates_of_parameters_that_raise() -> None:
    held = Held()
    with pytest.raises(TypeError, match=REFUSED):
        held.p = held.p + 1
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        held.p += 1
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        held.p.add_(1)


def test_updates_that_are_legal() -> None:
    held = Held()
    held.frozen += 1
    held.b += 1
    held.count += 1
    assert isinstance(held.frozen, nn.Parameter)


def test_a_parameter_made_anew_in_forward_trains_nothing() -> None:
    held = Held()
    optimizer = torch.optim.SGD(held.parameters(), lr=1.0)
    old = held.p
    held.p = nn.Parameter(held.p * 2)
    held.p.sum().backward()
    optimizer.step()
    assert old.grad is None
    assert old.tolist() == [2.0, 2.0, 2.0]
    assert held.p.tolist() == [4.0, 4.0, 4.0]
