"""What is slow the first time, done once in the process that all others are forked from.

No backward pass: it would start threads, which a fork does not carry over.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io

import torch
from torch import Tensor, nn

from . import intact, kernel, oracles, overlay, reuse, surroundings, synthesis
from .observe import Recorder, note_structure, projected_loss


class _Sample(nn.Module):
    """Asks for arguments that take a few attempts to find."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.last = nn.Linear(4, size)

    def forward(self, image: Tensor, other: Tensor) -> Tensor:
        """Return something that depends on both."""
        scores: Tensor = self.last(self.first(image).mean((2, 3)))
        return scores @ other


def warm_up() -> None:
    """Compile expressions, import modules and fill caches."""
    with contextlib.suppress(ImportError):
        importlib.import_module("numpy.random")  # seeding imports it
    oracles.prepare()
    overlay.prepare()  # what is imported from here on is the target's
    kernel.prepare()
    intact.known()
    reuse.known()
    surroundings.has_tensorboard()
    recipe = synthesis.synthesize(_Sample, {}, 1.0)
    sample = synthesis.build(_Sample, synthesis.Recipe.from_json(recipe.to_json()))
    args, kwargs = synthesis.make_inputs(recipe, 0)
    outputs = synthesis.flatten_tensors(synthesis.call(sample, args, kwargs))
    recorder = Recorder()
    note_structure(recorder, "structure", sample)
    recorder.note("output", "loss", projected_loss(outputs, 0))
    torch.save(sample, io.BytesIO())
    copy.deepcopy(sample)
