"""Classes of the package that read a notation, and sizes that only objects know."""

import re

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import (
    build,
    call,
    flatten_tensors,
    harvest,
    make_inputs,
    notations,
    signatures,
    specs,
    synthesize,
)
from fixer.verify.worker.synthesis.arguments import Context
from fixer.verify.worker.synthesis.names import kind_of
from fixer.verify.worker.synthesis.source import Sources

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Parts(tuple):
    """Parts of a vector, and how often each of them is there.

    >>> Parts("").size
    0
    >>> Parts("64 wide + 32 slim").size
    224
    >>> Parts("2 slim + 1 wide").size
    5
    """

    _WIDTHS = {"wide": 3, "slim": 1}  # noqa: RUF012 - as people write it

    def __new__(cls, text=None):
        if isinstance(text, Parts):
            return text
        found = []
        for part in text.split("+"):
            match = re.fullmatch(r"\s*(\d+) (wide|slim)\s*", part)
            if match is None:
                raise ValueError(f"{part!r} is no part")
            found += [cls._WIDTHS[match[2]]] * int(match[1])
        return super().__new__(cls, found)

    @property
    def size(self):
        """How long the vector is."""
        return sum(self)


class Gathered(nn.Module):
    """What it takes is told by what was read, and by no layer."""

    def __init__(self, parts_left, parts_right):
        super().__init__()
        self.parts_left = Parts(parts_left)
        self.parts_right = Parts(parts_right)
        self.weight = nn.Parameter(torch.ones(len(self.parts_left), len(self.parts_right)))

    def forward(self, left, right):
        for x, parts in ((left, self.parts_left), (right, self.parts_right)):
            if torch.tensor(x.shape[-1:]).ne(parts.size).any():
                raise RuntimeError("the last dimension is wrong")
        sums = [
            [part.sum(-1) for part in left.split(tuple(self.parts_left), dim=-1)] for _ in self.parts_right
        ]
        return right.sum() + torch.stack([torch.stack(row, -1) for row in sums], -1) * self.weight


class Each(nn.Module):
    """Several texts, and a function for each."""

    def __init__(self, outs, acts):
        super().__init__()
        self.outs = [Parts(text) for text in outs]
        assert len(self.outs) == len(acts)
        self.acts = acts
        self.layers = nn.ModuleList(nn.Linear(4, parts.size) for parts in self.outs)
        probe = [act(torch.ones(())) for act in acts]
        self.gain = float(sum(probe))

    def forward(self, x):
        return [act(layer(x)) * self.gain for act, layer in zip(self.acts, self.layers, strict=True)]


class Shown(nn.Module):
    """Its constructor has the example, and the example is a vector."""

    def __init__(self, parts, act):
        """Split a vector.

        >>> shown = Shown("1 wide + 2 slim", [torch.tanh])
        >>> shown(torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0]))
        """
        super().__init__()
        self.parts, self.act = Parts(parts), act[0]

    def forward(self, x):
        return self.act(x)


class Woven(nn.Module):
    """Names its axes as it likes.

    >>> woven = Woven("uv", u=3, v=2)
    >>> woven(torch.ones(4, 3))
    """

    def __init__(self, formula, **axes):
        super().__init__()
        if set(formula) != set(axes):
            raise RuntimeError("each letter needs an axis")
        self.weight = nn.Parameter(torch.ones([axes[letter] for letter in formula]))

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize("cls", [Gathered, Each, Woven])
def test_it_runs(cls):
    recipe = synthesize(cls, {}, BUDGET)
    args, kwargs = make_inputs(recipe, 0)
    assert any(output.requires_grad for _, output in flatten_tensors(call(build(cls, recipe), args, kwargs)))


def test_examples_with_small_numbers_come_first_and_empty_ones_last():
    assert "2 slim + 1 wide" in synthesize(Gathered, {}, BUDGET).describe()
    found = notations.examples(Parts, Context(Sources({}, Parts)))
    assert [state["text"]["value"] for state in found] == ["2 slim + 1 wide", "64 wide + 32 slim", ""]


def test_constructors_show_how_a_class_is_used():
    [built] = harvest.constructions(Shown, _parameters(Shown.__init__), Sources({}, Shown))
    assert specs.text_of(built["act"]) == "[tanh]"
    called = list(harvest.calls(Shown, _parameters(Shown.forward), Sources({}, Shown)))
    assert [state["x"]["shape"] for state in called] == [[5], [5]]
    assert (called[1]["x"]["low"], called[1]["x"]["high"]) == (0, 2)  # read first, then as it was


def _parameters(function):
    return signatures.parameters_of(function)[1:]


def test_only_whole_words_are_small_numbers():
    assert kind_of("layer_norm_eps") == "float"
    assert kind_of("num_steps") == kind_of("irreps") == "int"


class Passing(nn.Module):
    """What its edges have is told by no layer alone: there are as many of them as of their ends."""

    def __init__(self, parts_of_edge_attr):
        super().__init__()
        self.parts_of_edge_attr = Parts(parts_of_edge_attr)
        self.fc = nn.Linear(8, 3)

    def forward(self, node_input, edge_src, edge_dst, edge_attr, edge_scalars):
        if torch.tensor(edge_attr.shape[-1:]).ne(self.parts_of_edge_attr.size).any():
            raise RuntimeError("the last dimension is wrong")
        messages = node_input[edge_src][:, :1] * self.fc(edge_scalars) * edge_attr.sum(1, keepdim=True)
        return node_input.new_zeros(len(node_input), 3).index_add(0, edge_dst, messages)


def test_all_that_edges_have_is_there_as_often_as_edges_are():
    found = synthesize(Passing, {}, 0.5).describe()
    assert (
        "edge_src: int64[4], edge_dst: int64[4], edge_attr: float32[4, 5], edge_scalars: float32[4, 8]"
        in found
    )
