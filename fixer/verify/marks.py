"""Functions that a comment makes harnesses: ``# fixer: harness``, ``# fixer: harness for pkg.net:Gate``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fixer.source import Source, SourceError

_MARK = re.compile(r"#\s*fixer:\s*harness\b(?:\s+for\s+([^\s#]+))?")
_WORDS = (b"fixer:", b"harness")


@dataclass(frozen=True)
class Mark:
    """A function that builds a model for verification; which, is said or found out."""

    factory: str
    """``/abs/tests/factories.py:make_gate``"""
    target: str | None = None
    """What the comment says: ``pkg.net:Gate``, ``net.py:Gate`` or ``Gate``."""
    returns: tuple[str, ...] = ()
    """The names of classes in the annotation of what it returns."""
    names: tuple[str, ...] = ()
    """The names that its body reads: the class is mostly among them."""


def find_marks(sources: Mapping[Path, Source]) -> Iterator[Mark]:
    """The marked functions at the top of some files; the comment stands on the line of or above `def`."""
    for path in sorted(sources):
        source = sources[path]
        if not all(word in source.data for word in _WORDS):
            continue
        try:
            tree, lines = source.tree, source.text.splitlines()
        except SourceError:
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                said = "\n".join([*lines[max(first - 2, 0) : first - 1], *_header(node, lines)])
                found = _MARK.search(said)
                if found:
                    yield Mark(f"{path}:{node.name}", found[1], _classes(node), _names(node))


def _header(node: ast.FunctionDef, lines: list[str]) -> list[str]:
    """The lines of ``def ...:``, which ends at the latest on the line below its last part."""
    parts = [*ast.walk(node.args), *([node.returns] if node.returns else [])]
    last = max([node.lineno, *(getattr(part, "end_lineno", None) or 0 for part in parts)])
    below = lines[last : min(last + 1, node.body[0].lineno - 1)]
    return [*lines[node.lineno - 1 : last], *(line for line in below if not line.lstrip().startswith("#"))]


def _classes(node: ast.FunctionDef) -> tuple[str, ...]:
    """The last parts of the names in the annotation of what a function returns, also if it is a string."""
    returns = node.returns
    if isinstance(returns, ast.Constant) and isinstance(returns.value, str):
        try:
            returns = ast.parse(returns.value, mode="eval").body
        except SyntaxError:
            return ()
    return _last_parts(returns) if returns is not None else ()


def _names(node: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for statement in node.body for name in _last_parts(statement)))


def _last_parts(node: ast.AST) -> tuple[str, ...]:
    inner = ast.walk(node)
    found = (item.id if isinstance(item, ast.Name) else getattr(item, "attr", None) for item in inner)
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))
