"""Sides and shapes that a model needs: those it was built with, those its messages name."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fixer.verify.worker import clock
from fixer.verify.worker.synthesis import (
    Recipe,
    build,
    call,
    flatten_tensors,
    make_inputs,
    probing,
    shapes,
    specs,
    synthesize,
)
from fixer.verify.worker.synthesis.mismatch import template
from fixer.verify.worker.synthesis.repair_sides import often_halved

BUDGET = 20.0
"""Much more than any needs: what takes part in a crowd must not fail."""


class Recordings(nn.Module):
    """Takes exactly as many sensors and moments as it was built for."""

    def __init__(self, window: int = 130, n_sensors: int = 9):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, (n_sensors, 1))
        self.pool = nn.AvgPool2d((1, 11))
        self.fc = nn.Linear(4 * (window // 11), 3)

    def forward(self, x):
        return self.fc(self.pool(self.conv(x)).flatten(1))


class SpellsItOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(17 * 19, 3)

    def forward(self, x):
        if x.dim() != 4 or list(x.shape[1:]) != [1, 17, 19]:
            raise ValueError(f"Expected shape: ['B', '1', '17', '19']. Actual shape: {list(x.shape)}")
        return self.fc(x.flatten(1))


class LongKernel(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(1, 4, (1, 61))
        self.high = nn.Conv2d(4, 4, (1, 23))

    def forward(self, x):
        return self.high(self.wide(x).transpose(2, 3))


class OneSignal(nn.Module):
    """Rows of one column, seen twice: no more columns give as many features."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(1, 16, (50, 1), stride=(6, 1)), nn.MaxPool2d((32, 1)))
        self.coarse = nn.Sequential(nn.Conv2d(1, 16, (400, 1), stride=(50, 1)), nn.MaxPool2d((8, 1)))
        self.fc = nn.Linear(16 * (13 + 6), 2)

    def forward(self, x):
        return self.fc(torch.cat([self.fine(x).flatten(1), self.coarse(x).flatten(1)], 1))


class Pooled(nn.Module):
    """Halves an image five times and takes a pool of seven by seven of what is left."""

    calls = 0

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=2, padding=1) for _ in range(5)))
        self.pool = nn.AvgPool2d(7, stride=1)

    def forward(self, image):
        type(self).calls += 1
        return self.pool(self.stem(image))


class Strided(Pooled):
    """The same with a pool of which nothing is left: no message tells how large it is."""

    calls = 0

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(7)


class Hourglass(nn.Module):
    """Halves an image five times, doubles it as often, and adds the two on the way up."""

    calls = 0

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(3, 3, 3, stride=2, padding=1) for _ in range(5))
        self.up = nn.ModuleList(nn.ConvTranspose2d(3, 3, 2, stride=2) for _ in range(5))

    def forward(self, image):
        type(self).calls += 1
        sides = [image]
        for layer in self.down:
            sides.append(layer(sides[-1]))
        image = sides.pop()
        for layer in self.up:
            image = layer(image) + sides.pop()
        return image


class Widening(nn.Module):
    """Adds its input to four times as many channels as it works with, whatever else it is given."""

    def __init__(self, inplanes, planes, stride=1, shortcut=None):
        super().__init__()
        self.narrow = nn.Conv2d(inplanes, planes, 1)
        self.middle = nn.Conv2d(planes, planes, 3, stride=stride, padding=1)
        self.wide = nn.Conv2d(planes, 4 * planes, 1)
        self.shortcut = shortcut

    def forward(self, x):
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return self.wide(self.middle(self.narrow(x)).relu()) + shortcut


class Upsampler(nn.Module):
    """As it is built at the end of its file it is too large; its kernels and its factors go together."""

    def __init__(self, channels, kernel_sizes, factors):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ConvTranspose1d(channels, channels, kernel, factor, padding=(kernel - factor) // 2)
            for kernel, factor in zip(kernel_sizes, factors, strict=True)
        )

    def forward(self, x):
        for layer in self.layers:
            if layer.padding[0] < 0 or layer.kernel_size[0] != 2 * layer.stride[0]:
                raise RuntimeError("kernels are twice their factors")
            x = layer(x)
        return x


def upsampler():
    return Upsampler(1024, [16, 16, 4], [8, 8, 2])


@pytest.mark.parametrize("cls", [Upsampler, Recordings, SpellsItOut, LongKernel, OneSignal])
def test_sides_are_found(cls):
    found = Recipe.from_json(json.loads(json.dumps(synthesize(cls, {}, BUDGET).to_json())))
    module = build(cls, found)
    args, kwargs = make_inputs(found, 1)
    outputs = flatten_tensors(call(module, args, kwargs))
    assert torch.stack([output.sum() for _, output in outputs]).sum().requires_grad


@pytest.mark.parametrize(
    ("layer", "sides"),
    [
        (nn.Conv2d(3, 4, (1, 51), dilation=(1, 2)), [16, 204]),
        (nn.AvgPool2d((1, 40)), [16, 80]),
        (nn.MaxPool2d(20), [40, 40]),
        (nn.AdaptiveAvgPool2d((3, 60)), [16, 16]),
        (nn.Upsample(scale_factor=2), None),
        (nn.Conv1d(3, 4, 999), [16]),
    ],
)
def test_the_input_of_a_layer_leaves_room_for_its_kernel(layer, sides):
    spec = shapes.expected(layer)
    assert (None if spec is None else spec["shape"][2:]) == sides


def test_sides_leave_room_for_a_long_kernel_at_once():
    class Wide(nn.Module):
        calls = 0

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, (1, 51), dilation=(1, 2))

        def forward(self, x):
            type(self).calls += 1
            return self.conv(x)

    assert synthesize(Wide, {}, BUDGET).inputs.args
    assert Wide.calls == 2  # as it is found, and for other values


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("expected x with shape [T, N, C, H, W], but got torch.Size([2, 32])", [None] * 5),
        ("Expected shape: ['B', '1', '32', '32'] Actual shape: [2, 1]", [None, 1, 32, 32]),
        ("Invalid pred shape, we expect BxNxHxW. Got: torch.Size([2, 32])", [None] * 4),
        ("Input size must have a shape of (*, 3, H, W). Got torch.Size([1])", [None, 3, None, None]),
        ("input should be (batch, seq_len, features)", [None] * 3),
        ("Expected shape: ['1', 'C', 'H', 'W'] Actual shape: [2, 1]", [1, None, None, None]),
        ("Input images must be 224x224 (config.image_size). Got: (2, 3)", [None, None, 224, 224]),
        ("all must have 3 channels, and dimensions (channels, height, width)", [3, None, None]),
        ("mode should be one of ['mean', 'sum']", []),
        ("must be one of (int, float, bool)", []),
        ("expects (input, target)", []),
    ],
)
def test_shapes_in_letters_are_read(message, wanted):
    assert template(message) == wanted


def test_widths_that_go_together_are_found_before_anything_else_is_built():
    found = synthesize(Widening, {}, BUDGET)
    given = {name: spec["value"] for name, spec in found.construct.args}
    assert given.keys() == {"inplanes", "planes"}
    assert given["inplanes"] == 4 * given["planes"]


@pytest.mark.parametrize(
    ("cls", "shape", "calls"),
    [
        (Pooled, "1, 3, 224, 224", 4),  # one such image is enough: networks for them are slow
        (Strided, "1, 3, 224, 224", 5),
        (Hourglass, "2, 3, 32, 32", 3),
    ],
)
def test_images_soon_are_large_enough(cls, shape, calls):
    assert synthesize(cls, {}, BUDGET).describe().endswith(f"forward(image: float32[{shape}])")
    assert cls.calls == calls


class Slow(Pooled):
    """Takes a good part of the time that there is for each of its calls."""

    def __init__(self, width: int = 4):
        super().__init__()
        self.width = width

    def forward(self, image):
        for _ in range(400):
            clock.now()
        return super().forward(image)


def test_what_takes_long_to_call_is_called_more_often_before_it_is_built_in_another_way():
    assert synthesize(Slow, {}, 3.0).describe() == "Slow(); forward(image: float32[1, 3, 224, 224])"


class Volume(nn.Module):
    """Is shown to be called with a volume that takes far too long.

    Example:
        >>> net = Volume()
        >>> net(torch.randn(1, 1, 160, 192, 224))
    """

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 2, 3)

    def forward(self, x):
        assert min(x.shape[2:]) > 20, "too small to see anything"
        return self.conv(x)


def test_large_volumes_of_examples_are_made_small():
    assert synthesize(Volume, {}, BUDGET).describe() == "Volume(); forward(x: float32[1, 1, 32, 32, 32])"


def check(word):
    words = [f"{speed}-{2**3}" for speed in ("fast", "slow")]
    if not any(word == known for known in words):
        raise ValueError(f"unknown mode {word}, it must be one of {', '.join(words)}")


class Modes(nn.Module):
    """Says which words it takes; there are other arguments that might be wrong."""

    built = 0

    def __init__(self, mode, width=8, depth=2, activation="relu"):
        super().__init__()
        type(self).built += 1
        check(mode)
        self.fc = nn.Linear(width, depth)

    def forward(self, x):
        return self.fc(x)


def test_words_that_a_message_lists_are_tried_at_once():
    assert synthesize(Modes, {}, BUDGET).describe().startswith("Modes(mode='fast-8')")
    assert Modes.built == 3  # what was guessed, what was listed, and once more for other values


class SlowOnceMore(nn.Module):
    """Works, and leaves no time to see whether it would do so again."""

    calls = 0

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        type(self).calls += 1
        x = self.fc(x)
        for _ in range(4000 if type(self).calls > 1 else 0):
            clock.now()
        if type(self).calls > 1:
            raise probing._OutOfTimeError("it ran out of time")
        return x


def test_a_call_that_worked_counts_if_there_is_no_time_for_another():
    assert synthesize(SlowOnceMore, {}, 2.0).describe() == "SlowOnceMore(); forward(x: float32[2, 8])"


@pytest.mark.parametrize(("owner", "sides"), [(nn.Conv2d(3, 3, 3), [32, 64]), (nn.MSELoss(), [])])
def test_only_what_has_kernels_is_taken_to_halve_its_input(owner, sides):
    state = {"x": specs.tensor([2, 3, 16, 16])}
    message = "The size of tensor a (4) must match the size of tensor b (2) at non-singleton dimension 3"
    suspects = [(("x",), state["x"])]
    case = SimpleNamespace(
        message=message, probe=SimpleNamespace(owner=owner), suspects=suspects, state=state
    )
    assert [changed["x"]["shape"] for changed in often_halved(case)] == [[2, 3, side, side] for side in sides]
