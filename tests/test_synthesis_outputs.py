"""Tensors inside what a module returns: what it describes counts as much as what it holds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, constraints

from fixer.verify.worker.synthesis import flatten_tensors


class Shifted(Distribution):
    """Asks a network where it lies only once a value is judged."""

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012 - as torch has it
    support = constraints.real

    def __init__(self, network: nn.Module, given: Tensor) -> None:
        self.network, self.given = network, given
        super().__init__(validate_args=False)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008 - torch's signature
        return torch.randn(self.given.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return Normal(self.network(self.given), 1.0).log_prob(value)


class Silent(Shifted):
    """Cannot be drawn from."""

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        raise NotImplementedError(sample_shape)


class Factors:
    """A matrix that is never formed unless it is asked for."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def to_dense(self) -> Tensor:
        factor: Tensor = self._make()
        return factor @ factor.mT


class Broken(Factors):
    """Says that it can, and cannot."""

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def to_dense(self) -> Tensor:
        raise RuntimeError


def test_a_distribution_that_calls_its_parameters_is_asked_for_a_likelihood() -> None:
    network = nn.Linear(3, 3)
    state = torch.get_rng_state()
    found = dict(flatten_tensors(Shifted(network, torch.ones(2, 3))))
    assert torch.equal(torch.get_rng_state(), state)
    assert found["log_prob"].requires_grad
    assert torch.equal(
        found["log_prob"], dict(flatten_tensors(Shifted(network, torch.ones(2, 3))))["log_prob"]
    )


def test_one_whose_parameters_have_a_graph_is_not() -> None:
    found = dict(flatten_tensors(Normal(torch.zeros(2, requires_grad=True), torch.ones(2))))
    assert sorted(found) == ["loc", "scale"]


def test_one_that_cannot_be_drawn_from_is_what_it_holds() -> None:
    assert [name for name, _ in flatten_tensors(Silent(nn.Linear(3, 3), torch.ones(2, 3)))] == ["given"]


def test_without_gradients_nothing_is_drawn() -> None:
    with torch.no_grad():
        found = flatten_tensors(Shifted(nn.Linear(3, 3), torch.ones(2, 3)))
    assert [name for name, _ in found] == ["given"]


def test_a_matrix_that_is_only_described_is_written_out() -> None:
    factor = torch.ones(2, 1, requires_grad=True)
    (name, dense), *others = flatten_tensors({"covariance": Factors(lambda: factor)})
    assert not others
    assert name == "covariance[dense]"
    assert dense.requires_grad
    assert dense.shape == (2, 2)


def test_one_that_cannot_be_is_what_it_holds() -> None:
    assert [name for name, _ in flatten_tensors(Broken(torch.ones(1)))] == ["held"]
