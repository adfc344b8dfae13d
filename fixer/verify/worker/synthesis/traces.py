"""What a failed call leaves in a module: sizes that it remembers would make the next call fail as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKS = 12
"""After how many failed calls the module is looked at: one that has remembered nothing so far will not."""


class Traces:
    """Watches a module for what failed calls leave in it: lazy parameters, states, caches."""

    def __init__(self, owner: Any) -> None:
        """Functions and other objects are not watched."""
        self._module = owner if isinstance(owner, nn.Module) else None
        self.found = self._module is not None and any(map(nn.parameter.is_lazy, self._module.parameters()))
        """Whether each call needs a module of its own."""
        self._looks = 0 if self._module is None or self.found else _LOOKS
        self._clean = list(_remembered(self._module)) if self._looks and self._module is not None else []

    def look(self) -> None:
        """Look for sizes that were not there before the first call."""
        if self._looks and not self.found and self._module is not None:
            self._looks -= 1
            self.found = list(_remembered(self._module)) != self._clean


def _remembered(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The kinds and the shapes of what a module and those inside hold beside parameters."""
    for inner in module.modules():
        for name, value in vars(inner).items():
            if name in ("_parameters", "_modules"):
                continue
            if isinstance(value, (dict, list)):
                items = value.values() if isinstance(value, dict) else value
                yield name, [_kind(item) for item in items]
            else:
                yield name, _kind(value)


def _kind(value: Any) -> Any:
    return value.shape if isinstance(value, Tensor) else type(value)
