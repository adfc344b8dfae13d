"""Objects among the arguments of a constructor: configurations, services, modules that are asked for more."""

import copy
import json

import pytest
import torch
from torch import nn, overrides

from fixer.verify.worker import clock
from fixer.verify.worker.synthesis import (
    HarnessError,
    Recipe,
    build,
    call,
    flatten_tensors,
    make_inputs,
    synthesize,
)
from fixer.verify.worker.synthesis.abstract import AbstractError
from fixer.verify.worker.synthesis.probing import OnCpu, attempt

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class CountsUsers(nn.Module):
    """Asks a configuration for entries, and a service for numbers, tensors and arrays."""

    def __init__(self, config, dataset):
        super().__init__()
        self.USER = config["user_field"]
        self.USERS = self.USER + config["list_suffix"]
        self.n_users = dataset.num(self.USER)
        self.history, self.lengths = dataset.history(limit=config["max_history"])
        self.history = self.history.to(config["device"])
        self.seen = torch.from_numpy(dataset.matrix(form="dense").astype("float32"))
        self.users = nn.Embedding(self.n_users, config["embedding_size"])
        self.sizes = [self.users.embedding_dim] + config["hidden_sizes"]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in zip(self.sizes, self.sizes[1:]))  # noqa: B905

    def forward(self, user):
        x = self.users(user)
        for layer in self.layers:
            x = layer(x)
        return x


class Denoiser(nn.Module):
    """Needs more than a name to be built, and offers what `Sampler` reads."""

    def __init__(self, kind):
        super().__init__()
        if kind not in ("plain", "deep"):
            raise ValueError("kind must be 'plain' or 'deep'")
        self.channels = 3
        self.self_condition = False
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x, level):
        return self.conv(x) + level.view(-1, 1, 1, 1)


class OnlyChannels(nn.Module):
    """Offers a part of what `Sampler` reads."""

    def __init__(self):
        super().__init__()
        self.channels = 3

    def forward(self, x):
        return x


class Sampler(nn.Module):
    def __init__(self, thing):
        super().__init__()
        self.thing = thing
        self.channels = self.thing.channels

    def forward(self, image):
        if self.thing.self_condition:
            raise RuntimeError("no")
        return self.thing(image, torch.rand(image.shape[0]))


class Base(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.fc = nn.Linear(width, self.outputs(width))

    def outputs(self, width):
        """Subclasses say it."""
        raise NotImplementedError

    def forward(self, x):
        return self.fc(x)


class Steps(nn.Module):
    """Hands all that it takes on to a method that its mode chooses."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(7, 3)

    def forward(self, *args, **kwargs):
        return self.one_step(*args, **kwargs)

    def one_step(self, x, scale):
        return self.fc(x) * scale


class Padded(nn.Conv2d):
    """Takes what the layer of torch takes that it extends."""

    def __init__(self, in_channels=6):
        super().__init__(in_channels, 4, 3)

    def forward(self, x):
        return super().forward(nn.functional.pad(x, (1, 1, 1, 1)))


class Clips(nn.Module):
    """Says in letters which rank it takes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 4, 3)

    def forward(self, x):
        if x.dim() != 5:
            raise ValueError(f"expected x with shape [T, N, C, H, W], but got {x.shape}")
        return self.conv(x.flatten(0, 1))


class WellConfigured(nn.Module):
    """Rejects what it does not like about its configuration."""

    def __init__(self, config, stages=(1, 1)):
        super().__init__()
        self.norm = config["norm_order"]
        if self.norm not in ("before", "behind"):
            raise ValueError(f"norm_order must be 'before' or 'behind', not {self.norm}")
        self.size = config["width"]
        assert self.size == 24
        if len(stages) != 3:
            raise ValueError(f"stages must have length 3; got length {len(stages)}.")
        table = config["table"]
        table = torch.from_numpy(table)
        self.fc = nn.Linear(self.size, 3)

    def forward(self, x):
        return self.fc(x)


class TakesBatches(nn.Module):
    """Reads entries whose names say nothing."""

    def __init__(self):
        super().__init__()
        self.ITEMS = "who"
        self.emb = nn.Embedding(7, 5)
        self.conv = nn.Conv2d(3, 5, 1)
        self.fc = nn.Linear(11, 5)

    def forward(self, batch):
        what = batch[self.ITEMS]
        seen = self.conv(batch["where"]).mean((2, 3))
        return self.emb(what).mean(1) + seen + self.fc(batch.how)


class Adapter(nn.Module):
    """Takes one kind of layer, and says so when it gets another."""

    def __init__(self, wrapped):
        super().__init__()
        if not isinstance(wrapped, nn.Conv2d):
            raise TypeError(f"Unsupported layer type {type(wrapped)}")
        self.wrapped = wrapped
        self.down = nn.Conv2d(wrapped.in_channels, wrapped.out_channels, 1)

    def forward(self, x):
        return self.wrapped(x).mean() + self.down(x)


@pytest.mark.parametrize(
    "cls", [CountsUsers, Sampler, Steps, Padded, Clips, WellConfigured, TakesBatches, Adapter]
)
def test_objects_get_what_they_are_asked_for(cls):
    found = synthesize(cls, {"module_classes": [OnlyChannels, Denoiser]}, BUDGET)
    recipe = Recipe.from_json(json.loads(json.dumps(found.to_json())))
    module = build(cls, recipe)
    args, kwargs = make_inputs(recipe, 1)
    outputs = flatten_tensors(call(module, args, kwargs))
    assert sum(output.sum() for _, output in outputs).requires_grad


def test_a_module_is_chosen_by_all_that_is_read_off_it():
    recipe = synthesize(Sampler, {"module_classes": [OnlyChannels, Denoiser]}, BUDGET)
    assert "Denoiser(kind='plain')" in recipe.describe()


class Mixin(nn.Module):
    def forward(self, x):
        return x * self.gain


class WithGain(Mixin):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))


class ForgetsGain(nn.Module):
    """Nobody has the attribute: this is a bug, and no design."""

    def forward(self, x):
        return x * self.gain


class Squashes(nn.Module):
    @staticmethod
    def squash(x):
        """Subclasses say it."""
        raise NotImplementedError

    def forward(self, x):
        return self.squash(x)


def test_what_only_subclasses_have_makes_a_class_abstract():
    found = synthesize(Mixin, {}, BUDGET)
    assert found.describe().startswith("Mixin as WithGain(); ")
    assert found.owner["abstract"]
    with pytest.raises(HarnessError, match=r"^Squashes is abstract: squash only raises$"):
        synthesize(Squashes, {}, BUDGET)
    with pytest.raises(HarnessError, match=r"^could not call ForgetsGain: AttributeError"):
        synthesize(ForgetsGain, {}, 0.5)


class Reversible(nn.Module):
    """Refuses what it does not support, and finds fault with all that nobody would guess."""

    def invert(self, x):
        raise NotImplementedError("there is no way back")

    def forward(self, x, mode=None):
        if mode is None:
            raise ValueError("mode must be one of 'back', 'forth'")
        return self.invert(x)


class Refuses(nn.Module):
    def check(self, x):
        raise ValueError("nothing will do")

    def forward(self, x):
        self.check(x)
        return x


@pytest.mark.parametrize("cls", [Reversible, Refuses])
def test_what_refuses_an_option_or_an_input_is_not_abstract(cls):
    with pytest.raises(HarnessError, match=f"^could not call {cls.__name__}"):
        synthesize(cls, {}, 0.5)


def test_what_a_subclass_has_to_define_makes_a_class_abstract():
    with pytest.raises(HarnessError, match=r"^Base is abstract: outputs only raises$"):
        synthesize(Base, {}, BUDGET)


def test_an_attempt_leaves_torch_the_modes_that_it_had() -> None:
    """A search is stopped by a timer, which may strike while a mode is entered or left."""

    def stopped() -> None:
        overrides._pop_mode()
        raise RuntimeError("stopped")

    with OnCpu(), OnCpu():
        failed = attempt(stopped, clock.now() + 5, "").failure
        assert failed is not None
        assert len(overrides._get_current_function_mode_stack()) == 2
    assert not overrides._get_current_function_mode_stack()


class Density(nn.Module):
    """Is never called: what it has is asked for by name."""

    def forward(self, *args):
        raise RuntimeError("a density cannot be called")

    def sample(self, count):
        return self._sample(count)

    def log_prob(self, inputs):
        return self._log_prob(inputs.flatten(1))

    def _log_prob(self, inputs):
        raise NotImplementedError

    def _sample(self, count):
        raise NotImplementedError


class Laplace(Density):
    def __init__(self, width):
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(width))

    def _log_prob(self, inputs):
        return -(inputs - self.centre).abs().sum(1)

    def _sample(self, count):
        return torch.randn(count, len(self.centre)) + self.centre


def test_a_method_is_called_where_forward_refuses_to_be():
    found = Recipe.from_json(json.loads(json.dumps(synthesize(Laplace, {}, BUDGET).to_json())))
    assert found.describe() == "Laplace(width=32); log_prob(inputs: float32[2, 32])"
    module = build(Laplace, found)
    args, kwargs = make_inputs(found, 1)
    assert torch.equal(call(module, args, kwargs), module.log_prob(*args))
    again = copy.deepcopy(module)
    with torch.no_grad():
        again.centre += 1
    assert torch.equal(call(again, args, kwargs), again.log_prob(*args))


def test_a_class_whose_methods_lack_what_subclasses_define_is_abstract():
    with pytest.raises(AbstractError, match="_log_prob only raises"):
        synthesize(Unfinished, {}, BUDGET)


class Unfinished(Density):
    """No subclass defines what it lacks."""
