"""What is asked of verification, and how it is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from fixer.contract import Contract
from fixer.edits import EditSet
from fixer.source import Source
from fixer.verify.marks import Mark


@dataclass(frozen=True)
class Job:
    """One fix to verify, written as edits."""

    contract: Contract
    sources: Mapping[Path, Source]
    """The current text of every file that differs from disk or is touched by the edits."""
    before: EditSet
    """Edits relative to `sources` that are taken as applied on both sides; often none."""
    after: EditSet
    """`before` and the edits of the fix."""


Lines = list[int]
"""First and last line, from 1, both included."""


@dataclass(frozen=True)
class Revision:
    """A change of some files, whoever made it: both texts of each are given."""

    contract: Contract
    texts: Mapping[Path, tuple[Source | None, Source | None]]
    """What each file held before and holds after; None where it was not there, or no longer is."""
    reach: tuple[Mapping[Path, list[list[Lines]]], Mapping[Path, list[list[Lines]]]]
    """For each side and file, what has to run: of each list, some lines of one entry at least."""
    names: tuple[str, str]
    """What the two sides are called in words."""


@dataclass(frozen=True)
class HarnessConfig:
    """How to build and call one target: an entry of ``[[tool.fixer.verify.harness]]``."""

    target: str
    """``/abs/net.py:Gate`` or ``pkg.net:Gate``."""
    factory: str | None = None
    """A function that returns the module, ``(module, args)`` or ``(module, args, kwargs)``."""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None
    inputs: tuple[Mapping[str, Any], ...] | None = None

    @classmethod
    def parse(cls, table: Mapping[str, Any], base: Path) -> HarnessConfig:
        """Read an entry of a file in the folder `base`; raise `ValueError` with what is wrong with it."""
        unknown = table.keys() - {"target", "factory", "args", "kwargs", "inputs"}
        if unknown:
            raise ValueError(f"unknown key {min(unknown)!r}; use target, factory, args, kwargs, inputs")
        if "factory" in table and table.keys() & {"args", "kwargs"}:
            raise ValueError("give either `factory`, or `args` and `kwargs`")
        if not _is_list(table.get("args", []), object):
            raise ValueError("`args` must be an array")
        if not isinstance(table.get("kwargs", {}), Mapping):
            raise ValueError("`kwargs` must be a table")
        if not _is_list(table.get("inputs", []), Mapping):
            raise ValueError("`inputs` must be an array of tables such as {shape = [2, 3]}")
        return cls(
            target=_reference(table.get("target"), "target", base),
            factory=_reference(table["factory"], "factory", base) if "factory" in table else None,
            args=tuple(table.get("args", ())),
            kwargs=table.get("kwargs"),
            inputs=tuple(table["inputs"]) if "inputs" in table else None,
        )


class Device(str, Enum):
    """Where models run while they are compared."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class VerifySettings:
    """How verification runs; `[tool.fixer.verify]` and the command line over it."""

    python: Path | None = None
    """The interpreter that has the target's torch; found by `interpreter.find` if not given."""
    steps: int = 6
    """Training steps that the two sides are compared over."""
    seeds: int = 2
    """How many differently initialised models and inputs the forward pass is compared on."""
    seed: int = 0
    """The first of the seeds, which everything random depends on."""
    device: Device = Device.CPU
    timeout: float = 30.0
    """Seconds of wall time per fix."""
    memory: int = 8 << 30
    """Bytes that a process of the target may take beside torch itself."""
    at_once: int = 1
    """How many fixes are run at the same time, each side of each in one process and one thread."""
    harnesses: tuple[HarnessConfig, ...] = ()
    marks: tuple[Mark, ...] = ()
    """Functions of the project that are harnesses by their own word."""
    roots: tuple[Path, ...] = ()
    """Folders to import from, beside those that are found."""
    cache: Path | None = None
    """The folder in which verdicts are kept from run to run; None to keep none."""


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _reference(value: Any, key: str, base: Path) -> str:
    """Check ``file-or-module:name`` and make a file absolute."""
    place, separator, name = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not separator or not place or not name:
        raise ValueError(f'`{key}` must be a string like "pkg/net.py:Gate"')
    return f"{(base / place).absolute() if place.endswith('.py') else place}:{name}"
