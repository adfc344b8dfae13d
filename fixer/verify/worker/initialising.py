"""Replaying statements that overwrite parameters of a finished model, and what the fix put behind them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from . import overlay
from .frames import Message
from .observe import reseed, restore
from .untraced import Untraced
from .wiring import Region, WiringError, place_of

if TYPE_CHECKING:
    from .bench import Bench

INITIALISATION = "initialisation"
AFTER = "first call after"
_SEED = 4000


def initialisations(job: Message, payload: Message, bench: Bench, settings: Message) -> Iterator[Initialised]:
    """The statements of one target that are to be replayed."""
    for index in payload["wirings"]:
        wiring = job["contract"]["wiring"][index]
        if wiring["kind"] == INITIALISATION:
            yield Initialised(wiring, payload, bench, settings)


def only_initialises(job: Message, wirings: list[int]) -> bool:
    """Whether a target is there for such statements alone, and has no optimizer."""
    kinds = {job["contract"]["wiring"][index]["kind"] for index in wirings}
    return kinds == {INITIALISATION}


class Initialised:
    """A model on which one such statement has been replayed."""

    def __init__(self, wiring: Message, payload: Message, bench: Bench, settings: Message) -> None:
        self.check = f"{AFTER} {place_of(wiring)}"
        self._side: str = payload["side"]
        self._bench = bench
        self._replayed: dict[str, bool] = settings.setdefault("replayed", {})
        scope = vars(overlay.load(wiring["path"]))
        with Untraced():
            self._region = Initialisation(wiring, self._side, scope, payload["stand_in"])

    def model(self, values: dict[str, Tensor] | None) -> tuple[nn.Module, nn.Module] | None:
        """A new model, and what its name stands for afterwards; None if there is nothing to be seen.

        With `values`, these take the place of those that the original statement has written, before the
        rest is run: what an initialisation draws is often in range already. An original that cannot be
        replayed is left out on both sides.
        """
        if self._side == "before":
            self._replayed.setdefault(self.check, True)
        module = self._bench.build()
        reseed(self._bench.seed + _SEED)
        namespace = self._region.namespace(module)
        if self._replayed[self.check]:
            try:
                self._region.overwrite(namespace)
            except Exception:
                if self._side != "before":
                    raise
                self._replayed[self.check] = False
        elif not self._region.kept:
            raise WiringError("a statement that cannot be replayed has been changed")
        if values is None and not self._replayed[self.check]:
            return None
        if values is not None:
            for held in (module, self._region.found(namespace, module)):
                restore(held, values)
        self._region.settle(namespace)
        return module, self._region.found(namespace, module)


class Initialisation(Region):
    """The text of one such region on one side: the original's statements, and those behind them."""

    def __init__(self, wiring: Message, side: str, globals_: dict[str, Any], stand_in: bool) -> None:
        super().__init__(wiring, side, globals_, stand_in)
        original = list(map(ast.dump, Region(wiring, "before", globals_, stand_in).statements))
        mine = list(map(ast.dump, self.statements))
        ends = [
            end for end in range(len(original), len(mine) + 1) if mine[end - len(original) : end] == original
        ]
        self.kept = bool(ends)
        """Whether the original's statements stand in the region as they were."""
        end = ends[-1] if ends else len(original)
        self._own, self._rest = self.compiled(self.statements[:end]), self.compiled(self.statements[end:])

    def overwrite(self, namespace: dict[str, Any]) -> None:
        """Run the original's statements, or what stands in their place."""
        exec(self._own, namespace)

    def settle(self, namespace: dict[str, Any]) -> None:
        """Run what comes behind them."""
        exec(self._rest, namespace)
