"""Lists that go together, what stands in for losses and modules, and classes that have nothing to run."""

from abc import abstractmethod

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import HarnessError, build, call, make_inputs, probing, synthesize

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Ladder(nn.Module):
    """One more step up than down, all of them modules."""

    def __init__(self, ups, downs):
        assert len(ups) == len(downs) + 1
        super().__init__()
        self.ups = nn.ModuleList(ups)
        self.downs = nn.ModuleList(downs)

    def forward(self, x):
        seen = [x := up(x) for up in self.ups]
        for down, kept in zip(self.downs, reversed(seen[:-1]), strict=True):
            x = down(x) + kept
        return x


class Stages(nn.Module):
    """A shape of three numbers, and rows of three."""

    def __init__(self, plane, stages):
        super().__init__()
        channels, height, width = plane
        sizes = [wide + deep + long for wide, deep, long in stages]
        self.scale = nn.Parameter(torch.ones(channels, height, width))
        self.fc = nn.Linear(width, sum(sizes))

    def forward(self, x):
        return self.fc(x * self.scale)


class Named(nn.Module):
    """The name of the argument says nothing of what it is, and what looks it up is elsewhere."""

    _sizes = {"tiny": 4, "large": 8}  # noqa: RUF012 - as people write it

    def __init__(self, recipe_no):
        super().__init__()
        self.fc = nn.Linear(self.size_of(recipe_no), 2)

    @classmethod
    def size_of(cls, which):
        return cls._sizes[which]

    def forward(self, x):
        return self.fc(x)


class Fused(nn.Module):
    def __init__(self, *, branches: nn.ModuleList, fusion: nn.Module | None):
        super().__init__()
        self.branches, self.fusion = branches, fusion

    def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
        assert isinstance(x, list)
        for place, branch in enumerate(self.branches):
            x[place] = branch(x[place])
        return x if self.fusion is None else self.fusion(x)


class Partly(nn.Module):
    """The loss must say something of each sample."""

    def __init__(self, loss_func):
        super().__init__()
        self.loss_func = loss_func
        self.share = nn.Parameter(torch.ones(()))

    def forward(self, estimates, targets):
        found = self.compute(self.loss_func, estimates * self.share, targets)
        return found.mean()

    @staticmethod
    def compute(loss_func, estimates, targets):
        found = loss_func(estimates, targets)
        if found.shape != targets.shape[:1]:
            raise ValueError("the loss is to be of size (batch,)")
        return found


class Trained(nn.Module):
    """Makes tensors of numbers, and trains them."""

    def __init__(self, location, shift):
        super().__init__()
        self.location = nn.Parameter(torch.tensor(location).reshape(1, len(location)))
        self.shift = nn.Parameter(shift)

    def forward(self, x):
        return x * self.location.sum() + self.shift


class Split(nn.Module):
    """Compares its mask with numbers."""

    def __init__(self, mask):
        super().__init__()
        self.fc = nn.Linear(int((mask <= 0).sum()) + len(mask), 3)

    def forward(self, x):
        return self.fc(x)


@pytest.mark.parametrize(
    ("cls", "most"),
    [(Ladder, 100), (Stages, 20), (Named, 10), (Partly, 150), (Trained, 20), (Split, 10)],
)
def test_a_way_to_build_it_is_found_soon(cls, most, monkeypatch):
    attempts = []
    real = probing.attempt
    monkeypatch.setattr(
        probing, "attempt", lambda *args, **kwargs: attempts.append(0) or real(*args, **kwargs)
    )
    found = synthesize(cls, {}, BUDGET)
    assert len(attempts) <= most
    assert call(build(cls, found), *make_inputs(found, 3)).requires_grad


def test_what_is_given_for_a_module_list_is_one():
    found = synthesize(Fused, {}, BUDGET)
    module = build(Fused, found)
    outputs = call(module, *make_inputs(found, 3))
    torch.stack([item.sum() for item in outputs]).sum().backward()
    assert len(list(module.branches.parameters())) == len(module.branches)
    assert all(item.grad is not None for item in module.parameters())


class Declared(nn.Module):
    """Says that it is abstract, though nothing enforces it."""

    @abstractmethod
    def forward(self, x):
        return x


class Hollow(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        """Left to others."""


@pytest.mark.parametrize(("cls", "why"), [(Declared, "declares forward so"), (Hollow, "is empty")])
def test_a_forward_that_is_left_to_others_is_none(cls, why):
    with pytest.raises(HarnessError, match=f"^{cls.__name__} is abstract: .*{why}"):
        synthesize(cls, {}, BUDGET)


class Called(nn.Module):
    """Is called, but not through `forward`."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 2)

    def __call__(self, estimate, wanted):
        return (self.fc(estimate) - wanted).abs().mean()


def test_what_is_called_without_a_forward_is_called():
    found = synthesize(Called, {}, BUDGET)
    assert found.describe().startswith("Called(); __call__(estimate: float32[2, 6], wanted: ")
    assert call(build(Called, found), *make_inputs(found, 3)).requires_grad


class Average(nn.Module):
    """Works by what it keeps."""

    calls = 0

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x):
        type(self).calls += 1
        self.mean.lerp_(x.detach().mean(), 0.1)


def test_nothing_better_is_looked_for_where_nothing_is_returned():
    Average.calls = 0
    assert synthesize(Average, {}, BUDGET).inputs.args
    assert Average.calls == 2  # as it is found, and for other values


class Stored(nn.Module):
    """What is wrong with an argument shows only for inputs that took many calls to find."""

    calls = 0

    def __init__(self, measure=None):
        super().__init__()
        self.fc = nn.Linear(7, 7)
        self.measure = measure

    def forward(self, first, second):
        type(self).calls += 1
        assert first.dim() == 4
        assert second.dim() == 3
        assert first.shape[-1] == 7
        assert second.shape[1:] == (5, 7)
        return self.measure(self.fc(first).mean() + self.fc(second).mean())


def test_inputs_that_came_far_are_tried_again_in_what_is_built_next():
    Stored.calls = 0
    found = synthesize(Stored, {}, BUDGET)
    assert call(build(Stored, found), *make_inputs(found, 3)).requires_grad
    assert Stored.calls < 175


class Endless(nn.Module):
    """Only the least of the inputs comes to an end."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        while x.dim() != 1:
            pass
        return x * self.scale


def test_a_call_that_does_not_end_is_given_less_time_from_then_on():
    found = synthesize(Endless, {}, 4.5)
    assert call(build(Endless, found), *make_inputs(found, 3)).requires_grad


class Encoder(nn.Module):
    def __init__(self, dimension: int = 24):
        super().__init__()
        self.fc = nn.Linear(10, dimension)

    def forward(self, x):
        return self.fc(x)


class Decoder(nn.Module):
    def __init__(self, dimension: int = 24):
        super().__init__()
        self.fc = nn.Linear(dimension, 10)

    def forward(self, x):
        return self.fc(x)


class Middle(nn.Module):
    def __init__(self, dimension: int = 40):
        super().__init__()
        self.fc = nn.Linear(dimension, dimension)

    def forward(self, x):
        return self.fc(x)


class Coder(nn.Module):
    """Its parts have to agree, and by default one of them does not."""

    def __init__(self, encoder: Encoder, middle: Middle, decoder: Decoder):
        super().__init__()
        self.encoder, self.middle, self.decoder = encoder, middle, decoder

    def forward(self, x):
        return self.decoder(self.middle(self.encoder(x)))


def test_of_parts_that_do_not_fit_the_one_that_is_alone_is_changed():
    found = synthesize(Coder, {}, BUDGET)
    assert found.describe().startswith(
        "Coder(encoder=Encoder(), middle=Middle(dimension=24), decoder=Decoder());"
    )


class Neighbours(nn.Module):
    """Its offsets say which of the neighbours belong to whom: others than it is given make no sense."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x, offsets, neighbours):
        assert int(offsets[-1]) == len(neighbours) == 11
        assert bool((offsets[1:] > offsets[:-1]).all())
        assert set(offsets.diff().tolist()) == {3, 4}
        return torch.segment_reduce(x[neighbours] * self.scale, "sum", offsets=offsets)


class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.neighbours = Neighbours()

    def forward(self, x):
        return self.neighbours(x, torch.tensor([0, 3, 7, 11]), torch.arange(11) % len(x))


def test_integers_that_go_together_are_kept_as_a_larger_model_gives_them():
    found = synthesize(Neighbours, {}, BUDGET)
    assert found.owner is not None
    assert call(build(Neighbours, found), *make_inputs(found, 3)).requires_grad


def test_features_and_length_change_places():
    class Pooled(nn.Module):
        calls = 0

        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.ones(6, 32))

        def forward(self, x):
            type(self).calls += 1
            assert x.dim() == 3
            return (x * self.table.t()).sum(2)

    assert synthesize(Pooled, {}, BUDGET).inputs.text(by_name=False) == "x: float32[2, 32, 6]"
    assert Pooled.calls <= 5


def test_a_matrix_is_made_to_be_factorised():
    class Factor(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, covariance):
            assert covariance.dim() == 3
            return torch.linalg.cholesky(covariance) * self.scale

    found = synthesize(Factor, {}, BUDGET)
    assert call(build(Factor, found), *make_inputs(found, 3)).requires_grad
