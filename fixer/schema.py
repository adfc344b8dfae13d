"""Checks and converts the tables of a configuration file, one reader a kind of value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)i?B", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

Reader = Callable[[Any, Path], Any]
"""Checks and converts a value of a file that lies in the given folder; a `ValueError` says what is wrong."""


def table(readers: Mapping[str, Reader]) -> Callable[[Any, Path], dict[str, Any]]:
    """A table with these keys and no others; the result has underscores for hyphens."""

    def read(value: Any, folder: Path) -> dict[str, Any]:
        result = {}
        for key, item in mapping(value, folder).items():
            if key not in readers:
                raise ValueError(f"unknown key {key!r}; {nearest(key, readers)}")
            result[key.replace("-", "_")] = _read(key, readers[key], item, folder)
        return result

    return read


def each(reader: Reader) -> Callable[[Any, Path], dict[str, Any]]:
    """A table with any keys and such values."""

    def read(value: Any, folder: Path) -> dict[str, Any]:
        return {key: _read(key, reader, item, folder) for key, item in mapping(value, folder).items()}

    return read


def _read(key: str, reader: Reader, value: Any, folder: Path) -> Any:
    """Put the key before what is wrong with its value."""
    try:
        return reader(value, folder)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def mapping(value: Any, _: Path) -> Mapping[str, Any]:
    """A table."""
    if not isinstance(value, dict):
        raise ValueError("must be a table")
    return value


def boolean(value: Any, _: Path) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def positive_integer(value: Any, _: Path) -> int:
    """A whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("must be a whole number from 1")
    return value


def seconds(value: Any, _: Path) -> float:
    """A length of time."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError("must be a number of seconds above 0")
    return float(value)


def memory(value: Any, _: Path) -> int:
    """A size in bytes, written with a unit."""
    size = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if size is None:
        raise ValueError('must be a size such as "8 GB"')
    return int(float(size[1]) * _UNITS[size[2].upper()])


def text(value: Any, _: Path) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a string that is not empty")
    return value


def texts(value: Any, _: Path) -> tuple[str, ...]:
    """An array of strings."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be an array of strings")
    return tuple(value)


def path(value: Any, folder: Path) -> Path:
    """A path, relative to the file's folder."""
    try:
        return folder / Path(text(value, folder)).expanduser()
    except RuntimeError:
        raise ValueError(f"{value!r} names the home folder of an unknown user") from None


def paths(value: Any, folder: Path) -> tuple[Path, ...]:
    """An array of paths, relative to the file's folder."""
    return tuple(path(item, folder) for item in texts(value, folder))


def choice(kind: type[Enum]) -> Reader:
    """One of the values of an enumeration."""

    def read(value: Any, _: Path) -> Enum:
        try:
            return kind(value)
        except ValueError:
            options = [str(member.value) for member in kind]
            raise ValueError(f"unknown value {value!r}; {nearest(str(value), options)}") from None

    return read


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """What to write for an unknown word: the most similar known ones, else `otherwise`, else all."""
    options = sorted(known)
    similar = [repr(option) for option in get_close_matches(word, options)]
    if similar:
        return f"did you mean {' or '.join(similar)}?"
    return otherwise or f"use one of {', '.join(map(repr, options))}"
