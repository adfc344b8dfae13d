"""Finds the rules, ours and third parties' alike, through the entry-point group ``fixer.codemods``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from fixer.rule import Rule

GROUP = "fixer.codemods"


class CatalogueError(Exception):
    """A plug-in cannot be used; the message names it."""


def load_rules() -> tuple[type[Rule], ...]:
    """Every rule that an installed distribution offers, sorted by code.

    An entry point names a package, a module or a `Rule` subclass. Raises `CatalogueError` where one cannot be
    imported or two rules share a code or a name.
    """
    found: dict[str, type[Rule]] = {}
    names: dict[str, type[Rule]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        for rule in _rules_of(entry):
            for taken in (found.get(rule.code), names.get(rule.name)):
                if taken is not None and taken is not rule:
                    raise CatalogueError(
                        f"{_origin(entry)} defines {rule.code} {rule.name}, which {taken.__module__} "
                        "defines too; uninstall one of them"
                    )
            found[rule.code] = names[rule.name] = rule
    return tuple(found[code] for code in sorted(found))


def _rules_of(entry: EntryPoint) -> Iterator[type[Rule]]:
    try:
        loaded = entry.load()
        modules = list(_modules(loaded)) if isinstance(loaded, ModuleType) else []
    except Exception as error:  # whatever a plug-in raises on import
        reason = str(error).partition("\n")[0]
        raise CatalogueError(
            f"{_origin(entry)} cannot be loaded ({reason}); reinstall or uninstall it"
        ) from error
    if not isinstance(loaded, ModuleType):
        if not (inspect.isclass(loaded) and issubclass(loaded, Rule)):
            raise CatalogueError(f"{_origin(entry)} names no rule: {entry.value} is not a subclass of Rule")
        yield loaded
        return
    for module in modules:
        for value in vars(module).values():
            is_rule = inspect.isclass(value) and issubclass(value, Rule) and not inspect.isabstract(value)
            if is_rule and value.__module__ == module.__name__:
                yield value


def _modules(module: ModuleType) -> Iterator[ModuleType]:
    yield module
    if hasattr(module, "__path__"):
        for info in pkgutil.walk_packages(module.__path__, module.__name__ + "."):
            yield importlib.import_module(info.name)


def _origin(entry: EntryPoint) -> str:
    return f"the rule package {entry.dist.name if entry.dist else entry.value}"
