"""What is known about a subject before anything is guessed: sources, neighbours, the user's harness."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from . import overlay
from .frames import Message
from .marked import factories_for, is_file
from .mentions import mentioning


def resolve(path: str, name: str) -> Any:
    """Import a file and find a class or function in it by its qualified name."""
    found: Any = overlay.load(path, wanted=[name.split(".")[0]])
    for part in name.split("."):
        found = getattr(found, part)
    return found


def hints_for(job: Message, side: str, path: str, name: str) -> Message:
    """What `synthesis` is told about a class or function."""
    return {
        "sources": job["overlay"][side],
        "module_classes": _neighbours(path, name),
        "harness": harness_for(job["harness"], path, name),
        "marked": factories_for(job["marks"], path, name, _imported),
        "mentioning": mentioning(path, job["roots"]),
    }


def with_models(function: Callable[..., Any], path: str, name: str) -> Callable[..., Any]:
    """Annotate a function's bare parameters with the class of the file that has the attributes they need."""
    tree = definition(ast.parse(overlay.source_text(path)), name)
    signature = inspect.signature(function)
    parameters = []
    for parameter in signature.parameters.values():
        if parameter.annotation is parameter.empty and parameter.default is parameter.empty:
            needed = _attributes(tree, parameter.name) - set(dir(nn.Module))
            fitting = [cls for cls in _neighbours(path, name) if needed and needed <= _offered(cls)]
            parameter = parameter.replace(annotation=fitting[0]) if fitting else parameter
        parameters.append(parameter)
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return function


def _neighbours(path: str, name: str) -> list[type[nn.Module]]:
    """The models that a file names."""
    module = overlay.load(path, wanted=[name.split(".")[0]])
    return [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, nn.Module)]


def definition(tree: ast.AST, name: str) -> ast.AST:
    """The function or class of a qualified name; an empty module if the file builds it otherwise."""
    for part in name.split("."):
        inner = (node for node in ast.walk(tree) if getattr(node, "name", None) == part)
        tree = next(inner, ast.Module(body=[], type_ignores=[]))
    return tree


def _attributes(tree: ast.AST, owner: str) -> set[str]:
    """The attributes that are looked up on a name."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner
    }


def _offered(cls: type[nn.Module]) -> set[str]:
    """The attributes of a model: those of its class and those its constructors name."""
    names = set(dir(cls))
    for base in cls.__mro__:
        constructor = vars(base).get("__init__")
        if inspect.isfunction(constructor):
            names.update(constructor.__code__.co_names)
    return names


def harness_for(entries: list[Message], path: str, name: str) -> Message:
    """The user's harness for a class or function, with its factory imported; empty if there is none."""
    for entry in entries:
        place, _, target = entry["target"].rpartition(":")
        if target == name and is_file(place, path):
            given = {key: entry[key] for key in ("args", "kwargs", "inputs") if entry[key]}
            if entry["factory"] is not None:
                given["factory"] = _imported(entry["factory"])
            return given
    return {}


def _imported(reference: str) -> Any:
    place, _, name = reference.rpartition(":")
    if place.endswith(".py"):
        return resolve(place, name)
    return getattr(importlib.import_module(place), name)
