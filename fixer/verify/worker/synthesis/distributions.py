"""Distributions among the arguments: what annotations and messages ask for, made by what they declare."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import distributions

from . import names, signatures, specs

if TYPE_CHECKING:
    from .case import Case
    from .specs import Path, Spec, State

_MOST = 3
_METHODS = (
    "log_prob|r?sample|i?cdf|entropy|stddev|variance|base_dist|has_rsample|event_shape|batch_shape|perplexity"
)
_ASKED = re.compile(rf"object has no attribute '({_METHODS})'|No KL\(p \|\| q\) is implemented")
_WORD = re.compile(r"\b[A-Z]\w+")


def of_class(cls: type) -> Iterator[Spec]:
    """Yield distributions of a class: itself if it can be made, else some that are below it."""
    if cls is distributions.Distribution:
        yield _made(distributions.Normal)
    elif not inspect.isabstract(cls) and specs.is_importable(cls):
        yield _made(cls)
    else:
        below = filter(specs.is_importable, signatures.subclasses(cls))
        yield from map(_made, itertools.islice(below, _MOST))


def _made(cls: Any) -> Spec:
    """Describe a distribution: what it cannot do without, and one of several that say the same (`logits`)."""
    found: dict[str, Spec] = {}
    constraints = _constraints(cls)
    parameters = signatures.constructor_parameters(cls)
    for item in filter(signatures.is_required, parameters):
        alike = (known for known in constraints if item.name in known)
        found[item.name] = _tensor(constraints.get(next(alike, "")))
    either = [item.name for item in parameters if item.default is None and item.name in constraints]
    if either and either[0] not in found:
        found[either[0]] = _tensor(constraints[either[0]])
    return specs.new(cls, found)


def _constraints(cls: Any) -> dict[str, Any]:
    declared = getattr(cls, "arg_constraints", None)
    return declared if isinstance(declared, dict) else {}


def _tensor(constraint: Any) -> Spec:
    """Describe a tensor that a constraint allows; most numbers are positive, so are most sizes."""
    text = str(constraint or "").lower()
    shape = [names.BATCH, names.WIDTH]
    if getattr(constraint, "event_dim", 0) == 2:
        square = specs.tensor([*shape, names.WIDTH])
        return {**square, "definite": True}
    if "integer" in text:
        return specs.tensor(shape, "int64", 2, 5)
    if "interval" in text or "simplex" in text:
        return specs.tensor(shape, low=0.1, high=0.9)
    if "greater" in text or "positive" in text:
        return specs.tensor(shape, low=0.5, high=1.5)
    return specs.tensor(shape)


def wanted(case: Case) -> Iterator[State]:
    """An input, or all, should have been a distribution: the message or a method that is missing says so."""
    kinds = [] if case.failure.is_in_argument else list(_named_in(case))
    if _ASKED.search(case.message):
        kinds.append(_made(distributions.Normal))
    for spec in kinds[:_MOST]:
        places = _places(case)
        for path in places[:_MOST]:
            yield specs.replaced(case.state, path, spec)
        together = case.state
        for path in places:
            together = specs.replaced(together, path, spec)
        if len(places) > 1:
            yield together


def _places(case: Case) -> list[Path]:
    """Return the inputs that may be distributions, likeliest first."""
    kinds = ("tensor", "namespace", "helper", "literal", "list", "tuple")
    return [(name,) for name in case.blamed if case.state[name]["kind"] in kinds]


def _named_in(case: Case) -> Iterator[Spec]:
    """Yield distributions of the classes that a message names: ``expects a MultivariateNormal``."""
    if not isinstance(case.failure.error, (TypeError, ValueError, RuntimeError, AssertionError)):
        return
    words = list(dict.fromkeys(_WORD.findall(case.failure.message)))
    if not words:
        return
    classes = {cls.__name__: cls for cls in signatures.subclasses(distributions.Distribution)}
    for word in words:
        if word in classes:
            yield from of_class(classes[word])
