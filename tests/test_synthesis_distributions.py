"""Inputs and arguments that are distributions."""

from __future__ import annotations

import pytest
import torch
from torch import distributions, nn

from fixer.verify.worker.synthesis import build, call, flatten_tensors, make_inputs, synthesize


class Bell(distributions.MultivariateNormal):
    """A distribution of the package's own."""

    def __init__(self, mean, covariance):
        super().__init__(mean, covariance)


class Apart(nn.Module):
    """Nothing has a divergence but distributions."""

    def forward(self, p, q):
        return distributions.kl_divergence(p, q).mean()


class Annotated(nn.Module):
    """The annotation allows any distribution."""

    def forward(self, given: distributions.Distribution) -> torch.Tensor:
        return given.rsample().mean()


class Told(nn.Module):
    """Only the message says which class is meant."""

    def forward(self, output):
        if not isinstance(output, Bell):
            raise RuntimeError(f"Expected a Bell, got {type(output).__name__}")
        return output.mean + output.covariance_matrix.sum(-1)


class Likely(nn.Module):
    """Calls what tensors do not have."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, posterior, target):
        return -posterior.log_prob(target + self.shift).mean()


class Prior(nn.Module):
    """Is built with one."""

    def __init__(self, prior: distributions.Distribution, width: int):
        super().__init__()
        self.prior, self.layer = prior, nn.Linear(width, width)

    def forward(self, x):
        return self.layer(x) + self.prior.mean.sum()


@pytest.mark.parametrize("cls", [Apart, Annotated, Told, Likely, Prior])
def test_a_distribution_is_given(cls: type) -> None:
    found = synthesize(cls, {}, 20.0)
    args, kwargs = make_inputs(found, 1)
    outputs = flatten_tensors(call(build(cls, found), args, kwargs))
    assert outputs
    assert all(tensor.isfinite().all() for _, tensor in outputs)


@pytest.mark.parametrize(
    "cls",
    [distributions.Bernoulli, distributions.Beta, distributions.MultivariateNormal, distributions.Poisson],
)
def test_what_a_class_cannot_do_without_is_made(cls: type) -> None:
    from fixer.verify.worker.synthesis import specs
    from fixer.verify.worker.synthesis.distributions import of_class

    assert isinstance(specs.Maker(0).make(next(of_class(cls))), cls)
