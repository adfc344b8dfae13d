"""What stands before a first call: options handed on, weights elsewhere, inputs that go together."""

import json
from typing import NamedTuple

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import Recipe, build, call, make_inputs, synthesize, weights

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Core(nn.Module):
    def __init__(self, *, depth, width=16, heads):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.heads = heads

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x.view(x.shape[0], self.heads, -1)


class HandsOn(nn.Module):
    """What `Core` requires is nowhere in this signature."""

    def __init__(self, width, **kwargs):
        super().__init__()
        self.core = Core(width=width, **kwargs)

    def forward(self, x):
        return self.core(x)


class Fetched(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.fc.load_state_dict(torch.hub.load_state_dict_from_url("https://weights.invalid/fc.pth"))

    def forward(self, x):
        return self.fc(x)


class Pair(nn.Module):
    """Two images that must stay alike while they grow."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x, y):
        if x.shape != y.shape:
            raise ValueError("both images need the same shape")
        if min(x.shape[-2:]) < 131:
            raise ValueError("expected at least 131x131")
        return (self.conv(x) - self.conv(y)).square().mean()


class Neighbours(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        x = self.fc(x)
        if len(x) < 20:
            raise RuntimeError("no")
        return torch.cdist(x, x).topk(15).values


class Stored(nn.Module):
    """No input helps as long as the constructor was given nothing to call."""

    def __init__(self, width, measure=None, size=4):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.measure = measure
        self.size = size

    def forward(self, x, y=None, z=None):
        return self.measure(self.fc(x))


class TakesApart(nn.Module):
    """Both modules return a pair, one is indexed and the other unpacked."""

    def __init__(self, attention, mixer, width):
        super().__init__()
        self.attention = attention
        self.mixer = mixer
        self.norm = nn.LayerNorm(width)

    def forward(self, x, memory):
        rows, _, width = memory.shape
        x = x + self.attention(x, x, x)[0]
        last = x[:, -1:, :].reshape(rows, -1, width)
        mixed, _ = self.mixer(last, memory)
        return self.norm(x + mixed)


class ReadsFields(nn.Module):
    def __init__(self, language_model, width):
        super().__init__()
        self.language_model = language_model
        self.fc = nn.Linear(width, 3)

    def forward(self, hidden):
        output = self.language_model(hidden)
        return self.fc(output.last_hidden_state)


def load_state_dict_from_url(address):
    raise RuntimeError(f"Failed to load weights. Last URL tried: {address}")


class FetchedByItself(nn.Module):
    """Its package has a function of its own that fetches weights."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.fc.load_state_dict(load_state_dict_from_url("https://example.org/fc.pt"))

    def forward(self, x):
        return self.fc(x)


class Edges(nn.Module):
    """No edge may be there twice."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, edge_index):
        if edge_index.unique(dim=1).shape != edge_index.shape or edge_index.shape[1] < 3:
            raise RuntimeError("no")
        return self.fc(x)[edge_index[0]]


@pytest.mark.parametrize(
    "cls", [HandsOn, Fetched, FetchedByItself, Pair, Neighbours, Stored, TakesApart, ReadsFields, Edges]
)
def test_a_model_is_built_called_and_replayed(cls):
    found = Recipe.from_json(json.loads(json.dumps(synthesize(cls, {}, budget=BUDGET).to_json())))
    module = build(cls, found)
    args, kwargs = make_inputs(found, 3)
    output = call(module, args, kwargs)
    output.sum().backward()
    assert any(item.grad is not None for item in module.parameters())


@pytest.mark.parametrize("cls", [Fetched, FetchedByItself])
def test_weights_that_are_not_there_are_left_as_drawn_and_the_recipe_says_so(cls):
    found = synthesize(cls, {}, budget=BUDGET)
    assert not found.fetches
    assert "without the weights that it fetches" in found.describe()


def test_loading_is_as_ever_beside_weights_that_are_not_there(tmp_path):
    layer = nn.Linear(2, 2)
    torch.save(layer.state_dict(), tmp_path / "fc.pt")
    other = nn.Linear(2, 2)
    before = torch.load
    with weights.not_fetched(True):
        assert not torch.load(tmp_path / "none.pt")["model"]
        other.load_state_dict(torch.load(tmp_path / "fc.pt"))
        with pytest.raises(RuntimeError, match="Missing key"):
            other.load_state_dict({"bias": torch.zeros(2)})
    assert torch.equal(other.weight, layer.weight)
    assert torch.load is before


@pytest.mark.parametrize("initialise", [nn.init.kaiming_uniform_, nn.init.normal_, nn.init.xavier_normal_])
def test_large_weights_repeat_their_first_rows(initialise):
    large, small = torch.empty(3000, 256), torch.zeros(30, 256)
    with weights.QuickValues():
        initialise(large)
        initialise(small)
    assert len(large.unique(dim=0)) == 256
    assert len(small.unique(dim=0)) == 30
    assert large.std().item() == pytest.approx(initialise(torch.empty(3000, 256)).std().item(), rel=0.2)


class Joint(nn.Module):
    """Lacks what its subclasses make."""

    def forward(self, x):
        return self.inner(x) + x


class Elbow(Joint):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(width, width)


class Narrow(nn.Module):
    growth = 4

    def __init__(self, width, planes, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(width, planes * self.growth, 3, stride, 1)

    def forward(self, x):
        return self.conv(x)


class Tower(nn.Module):
    """Only one class of the file can be called this way and has what is read off it."""

    def __init__(self, block, planes, reduction):
        super().__init__()
        self.first = block(3, planes, 1)
        self.fc = nn.Linear(planes * block.growth, planes // reduction)

    def forward(self, x):
        return self.fc(self.first(x).mean((2, 3)))


class Overlap(nn.Module):
    """Classes and a map of them, whose axes differ."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, y_pred, y_true):
        assert y_pred.size(0) == y_true.size(0)
        wanted = nn.functional.one_hot(y_true, y_pred.size(1)).movedim(-1, 1)
        assert wanted.size() == y_pred.size()
        return (wanted * y_pred.softmax(1) * self.scale).sum()


@pytest.mark.parametrize("cls", [Joint, Tower, Overlap])
def test_a_model_is_found_among_its_kin(cls):
    found = synthesize(cls, {"module_classes": [Joint, Elbow, Narrow, Tower]}, budget=BUDGET)
    module = build(cls, found)
    args, kwargs = make_inputs(found, 3)
    call(module, args, kwargs).sum().backward()
    assert isinstance(module, cls)
    assert all(item.grad is not None for item in module.parameters())


def test_a_recipe_says_which_subclass_stands_for_a_class():
    found = synthesize(Joint, {"module_classes": [Joint, Elbow]}, budget=BUDGET)
    assert found.describe().startswith("Joint as Elbow(width=")


def test_an_alarm_that_rings_late_is_off(monkeypatch):
    from fixer.verify.worker.synthesis import probing

    rung = []
    real = probing.signal.setitimer

    def ring_once(timer, seconds, interval=0.0):
        if seconds == 0 and not rung:
            rung.append(timer)
            raise probing._OutOfTimeError("late")
        return real(timer, seconds, interval)

    before = probing.signal.getsignal(probing.signal.SIGALRM)
    monkeypatch.setattr(probing.signal, "setitimer", ring_once)
    with probing.limited(50.0):
        pass
    assert rung
    assert probing.signal.getitimer(probing.signal.ITIMER_REAL)[0] == 0
    assert probing.signal.getsignal(probing.signal.SIGALRM) is before


class Stacks(nn.Module):
    """A list of lists, and a class that is annotated as if it was an instance."""

    def __init__(self, width, hidden_sizes, activation_class: nn.ReLU):
        super().__init__()
        stacks = []
        for hidden_size in hidden_sizes:
            inner = [nn.Linear(width, hidden_size[0]), activation_class(), nn.Linear(hidden_size[-1], width)]
            stacks.append(nn.Sequential(*inner))
        self.stacks = nn.ModuleList(stacks)

    def forward(self, x):
        for stack in self.stacks:
            x = stack(x)
        return x


def test_a_list_of_lists_is_found():
    found = synthesize(Stacks, {}, budget=BUDGET)
    assert call(build(Stacks, found), *make_inputs(found, 3)).requires_grad


class Settings(NamedTuple):
    """Nothing of it is set where it is made."""

    width: int | None = None
    momentum: float | None = None


class Unset(nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        self.fc = nn.Linear(settings.width, settings.width)
        self.keep = 1 - settings.momentum

    def forward(self, x):
        return self.fc(x) * self.keep


def draw(layer, scheme):
    if scheme == "zeros":
        nn.init.zeros_(layer.weight)
    elif scheme == "orthogonal":
        nn.init.orthogonal_(layer.weight)
    else:
        assert scheme is None, f"there is no {scheme}"


class Drawn(nn.Module):
    """Which words are legal, only another function knows."""

    def __init__(self, width, tricks):
        super().__init__()
        self.fc = nn.Linear(width, width)
        draw(self.fc, tricks)

    def forward(self, x):
        return self.fc(x)


@pytest.mark.parametrize("cls", [Unset, Drawn])
def test_values_that_stand_elsewhere_are_found(cls):
    found = synthesize(cls, {}, budget=BUDGET)
    assert call(build(cls, found), *make_inputs(found, 3)).requires_grad
