"""Pairs of inputs that losses take: what a model predicted, and what it should have been."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import names, specs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .specs import Spec, State

_PREDICTED = re.compile(
    r"pred|logit|^inputs?$|^outputs?$|_hat$|prob|score|^est|^x$|^y$|^img1$|^a$|fake|student|reconstr"
)
_WANTED = re.compile(r"target|label|^gt|_gt$|ground|true|^y$|teacher|^ref|real|^img2$|^b$")
_CLASSES = 4


def pairs(best: State) -> Iterator[State]:
    """Yield inputs for two required arguments whose names say that one is held against the other."""
    wanted = next((name for name in reversed(best) if _WANTED.search(name.lower())), None)
    predicted = next((name for name in best if name != wanted and _PREDICTED.search(name.lower())), None)
    if wanted is None or predicted is None:
        return
    for prediction, target in _pairs():
        yield {**best, predicted: prediction, wanted: target}


def _pairs() -> Iterator[tuple[Spec, Spec]]:
    image = [names.SIDE, names.SIDE]
    for shape in ([], image, [names.LENGTH]):
        classes = specs.tensor([names.BATCH, *shape], "int64", 0, _CLASSES)
        yield specs.tensor([names.BATCH, _CLASSES, *shape]), classes
    for shape in (
        [names.BATCH, 1, *image],
        [names.BATCH, 3, *image],
        [names.BATCH, names.LENGTH, names.WIDTH],
    ):
        share = specs.tensor(shape, "float32", 0, 1)
        yield share, share
