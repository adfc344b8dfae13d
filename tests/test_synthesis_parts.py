"""What a model is made of and given: other modules, records, pairs, words that name layers, counts."""

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import synthesize
from fixer.verify.worker.synthesis.arguments import _raises
from tests.synthesis_support import require_differentiated

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Layers(nn.Module):
    """Has to be told how many there are, though its signature does not say so."""

    def __init__(self, dim, depth=None):
        super().__init__()
        if depth is None:
            raise AssertionError("`depth` must be passed in")
        self.dim = dim
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x


class Net(nn.Module):
    def __init__(self, *, num_tokens, layers: Layers):
        super().__init__()
        self.dim = layers.dim
        self.embed = nn.Embedding(num_tokens, self.dim)
        self.layers = layers

    def forward(self, tokens):
        return self.layers(self.embed(tokens))


class Wrapper(nn.Module):
    """Reads sizes off the model that it wraps: a record of sizes would do to build it, but not to call it."""

    def __init__(self, net: Net):
        super().__init__()
        self.net = net
        self.head = nn.Linear(net.dim, 2)

    def forward(self, tokens):
        return self.head(self.net(tokens))


class Distilled(nn.Module):
    """Reads a size off something that nothing describes, and calls it."""

    def __init__(self, cfg):
        super().__init__()
        self.inner = cfg
        self.fc = nn.Linear(cfg.hidden, cfg.hidden)

    def forward(self, x):
        return self.inner(self.fc(x))


class Tables(nn.Module):
    """Takes a list of pairs, and asks a batch whether there is an entry."""

    def __init__(self, embedding_dims):
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(x, y) for x, y in embedding_dims])

    def forward(self, batch):
        assert "numbers" in batch or "kinds" in batch
        parts = []
        if "kinds" in batch:
            parts += [table(batch["kinds"][:, i]) for i, table in enumerate(self.tables)]
        if "numbers" in batch:
            parts.append(batch["numbers"])
        return torch.cat(parts, dim=1)


class Bias(nn.Module):
    """Takes two numbers, and says so only by what it does with them."""

    def __init__(self, heads):
        super().__init__()
        self.slopes = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, i, j):
        rows = torch.arange(j - i, j, device=self.slopes.device)
        columns = torch.arange(j, device=self.slopes.device)
        return -(columns[None, None, :] - rows[None, :, None]).abs() * self.slopes


class Named(nn.Module):
    """Looks up the layer that a word of its settings names."""

    def __init__(self, config):
        super().__init__()
        self.fc = nn.Linear(config.hidden_size, config.hidden_size)
        self.act = getattr(nn, config.activation)()

    def forward(self, x):
        return self.act(self.fc(x))


class Hooked(nn.Module):
    """Takes what the last layer but one of some model gives."""

    def __init__(self, net, layer=-2):
        super().__init__()
        self.net = net
        self.seen = {}
        self.layer = layer

    def find(self):
        return list(self.net.children())[self.layer]

    def forward(self, x):
        hook = self.find().register_forward_hook(lambda _module, _given, value: self.seen.update(last=value))
        self.net(x)
        hook.remove()
        return self.seen.pop("last")


@pytest.mark.parametrize("cls", [Wrapper, Distilled, Tables, Bias, Named, Hooked])
def test_a_class_is_built_called_and_differentiated(cls: type) -> None:
    require_differentiated(cls, BUDGET)


def test_an_annotated_part_is_made_and_not_stood_in_for() -> None:
    assert (
        synthesize(Wrapper, {}, BUDGET).describe().startswith("Wrapper(net=Net(num_tokens=50, layers=Layers(")
    )


def test_a_model_with_layers_is_given_where_one_is_looked_for() -> None:
    found = synthesize(Hooked, {}, BUDGET).describe()
    assert found.startswith("Hooked(net=Sequential(Linear(in_features=32, out_features=32), ReLU(), Linear(")


def test_words_and_records_become_what_is_called() -> None:
    assert "activation='ReLU'" in synthesize(Named, {}, BUDGET).describe()
    assert synthesize(Distilled, {}, BUDGET).describe().startswith("Distilled(cfg=PassThrough(hidden=32))")


def test_counts_are_numbers() -> None:
    assert synthesize(Bias, {}, BUDGET).describe() == "Bias(heads=2); forward(i: 6, j: 6)"


def test_only_what_may_be_a_refusal_is_read() -> None:
    def refuses(self, x):
        raise NotImplementedError("not here")

    def works(self, x):
        return x + 1

    assert _raises(refuses.__code__)
    assert not _raises(works.__code__)
