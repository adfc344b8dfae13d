"""The parts that arguments of training functions play: model, optimizer, loss, loader, logger..."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import names, shapes, specs
from .kinds import of_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .arguments import Context
    from .specs import Spec


def in_role(name: str, context: Context) -> Iterator[Spec]:
    """Yield what an argument of that name usually is in a function; nothing if the name is not telling."""
    role = next((role for pattern, role in _ROLES if re.search(pattern, name.lower())), None)
    if role is not None:
        yield from role(name, context)


def _optimizer(_name: str, _context: Context) -> list[Spec]:
    parameters: list[Spec] = [{"kind": "parameters"}]
    rate = {"lr": specs.literal(0.01)}
    return [specs.new(cls, rate, parameters) for cls in (torch.optim.SGD, torch.optim.Adam)]


def _loss(_name: str, _context: Context) -> list[Spec]:
    return [specs.new(cls) for cls in (nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss)]


def _loader(_name: str, _context: Context) -> list[Spec]:
    data = specs.tensor(shapes.plain(2))
    label = specs.tensor([names.BATCH], "int64", 0, 2)
    image = shapes.signal(3, 2)
    batches = (specs.sequence("tuple", [data, label]), specs.sequence("tuple", [image, label]), data)
    return [{"kind": "batches", "items": [batch]} for batch in batches]


def _model(name: str, context: Context) -> list[Spec]:
    own = [context.instance(cls) for cls in context.module_classes[:3] if not context.is_deep]
    return [*of_kind("module", name, context), *own]


def _anything(_name: str, _context: Context) -> list[Spec]:
    return [specs.helper("Anything")]


def _of(kind: str) -> Any:
    return lambda name, context: of_kind(kind, name, context)


_ROLES = (
    (r"optim|^opt$", _optimizer),
    (r"criterion|loss_f|^loss$|objective", _loss),
    (r"loader|dataset|batches|^data$|iterator|_iter$", _loader),
    (r"writer|logger|progress|p?bar$|tqdm|callback|scheduler|scaler|meter|tracker", _anything),
    (
        r"model|^net$|_net$|network|^module$|^layer$|generator|discriminator|encoder|decoder|backbone|critic|actor|policy|teacher|student|target_net|online|^m$",
        _model,
    ),
    (r"device", _of("device")),
    (r"^args$|config|cfg|hparams|^params$|^flags$", _of("namespace")),
    (
        r"epochs?$|^step$|_steps?$|n_iter|^iter$|interval|freq$|batch_size|_size$|^dim$|num_|^n$|^k$",
        _of("int"),
    ),
    (
        r"^lr$|learning_rate|alpha|beta|gamma|lambda|eps|momentum|decay|clip|max_norm|margin|temperature",
        _of("float"),
    ),
    (r"^is_|^use_|^with_|verbose|train(ing)?$|return_", _of("bool")),
)
