"""What is known about a subject before anything is guessed: sources, neighbours, the user's harness."""

from __future__ import annotations

import importlib
import os
from typing import Any

from torch import nn

from . import overlay
from .frames import Message


def resolve(path: str, name: str) -> Any:
    """Import a file and find a class or function in it by its qualified name."""
    found: Any = overlay.load(path, wanted=[name.split(".")[0]])
    for part in name.split("."):
        found = getattr(found, part)
    return found


def hints_for(job: Message, side: str, path: str, name: str) -> Message:
    """What `synthesis` is told about a class or function."""
    module = overlay.load(path, wanted=[name.split(".")[0]])
    neighbours = [
        item for item in vars(module).values() if isinstance(item, type) and issubclass(item, nn.Module)
    ]
    return {
        "sources": job["overlay"][side],
        "module_classes": neighbours,
        "harness": harness_for(job["harness"], path, name),
    }


def harness_for(entries: list[Message], path: str, name: str) -> Message:
    """The user's harness for a class or function, with its factory imported; empty if there is none."""
    for entry in entries:
        place, _, target = entry["target"].rpartition(":")
        if target == name and _is_file(place, path):
            given = {key: entry[key] for key in ("args", "kwargs", "inputs") if entry[key]}
            if entry["factory"] is not None:
                given["factory"] = _imported(entry["factory"])
            return given
    return {}


def _is_file(place: str, path: str) -> bool:
    if place.endswith(".py"):
        return os.path.realpath(place) == os.path.realpath(path)
    return place == overlay.module_name(path)[0]


def _imported(reference: str) -> Any:
    place, _, name = reference.rpartition(":")
    if place.endswith(".py"):
        return resolve(place, name)
    return getattr(importlib.import_module(place), name)
