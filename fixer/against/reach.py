"""Which lines a run has to reach before it says anything about a change."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

from fixer.against.classes import Side
from fixer.facts.file import Function
from fixer.facts.units import Unit, plain

Span = list[int]
Reach = dict[Path, list[list[Span]]]
"""For each file, what has to run: of each list of spans, some line of one at least."""
Functions = dict[tuple[Path, str], Function]


def reach(side: Side, other: Side, own: Collection[Unit], others: Collection[Unit]) -> Reach:
    """What has to run of the units `own`, so that every difference from the `others` has its effect.

    Of each run of changed statements one, of a function with another signature any. A function that the other
    side does not have under any name shows through its callers, whose code differs. What is no function, a
    constant say, has its effect where it is named.
    """
    mine, theirs = _functions(side, own), _functions(other, others)
    partners = _partners(mine, theirs)
    names = _changed_names(side, other, own, others)
    found: Reach = {}
    for key, function in mine.items():
        partner = partners.get(key)
        statements = list(_own_statements(function))
        wanted: list[list[ast.stmt]] = []
        if partner is not None and plain(function) != plain(partner):
            wanted += _hunks(statements, list(_own_statements(partner)))
            if _signature(function) != _signature(partner):
                wanted.append([statement for _, statement in statements])
        if any(_names(part, names) for part in _around(function)):
            wanted.append([statement for _, statement in statements])
        elif partner is not None:
            naming = [s for _, s in statements if any(_names(part, names) for part in _header(s))]
            wanted += [naming] if naming else []
        spans = [_spans(group) for group in wanted]
        if any(spans):
            found.setdefault(key[0], []).extend(span for span in spans if span)
    return found


def _functions(side: Side, units: Collection[Unit]) -> Functions:
    """The functions of some units, with those nested in them, by file and qualified name."""
    found: Functions = {}

    def visit(path: Path, node: ast.AST, names: tuple[str, ...]) -> None:
        if isinstance(node, (ast.ClassDef, Function)):
            names = (*names, node.name)
            if not isinstance(node, ast.ClassDef):
                found[path, ".".join(names)] = node
        for child in ast.iter_child_nodes(node):
            visit(path, child, names)

    for unit in sorted(units):
        for statement in side.units.statements(unit.path).get(unit.name, ()):
            visit(unit.path, statement, ())
    return found


def _partners(mine: Functions, theirs: Functions) -> Functions:
    """Each function's counterpart: at the same place, else the only one left of its whole or last name."""
    found = {key: theirs[key] for key in mine if key in theirs}
    for whole in (True, False):
        left = [key for key in mine if key not in found]
        taken = {id(function) for function in found.values()}
        free = [key for key, function in theirs.items() if id(function) not in taken]
        for key in left:
            alike = [other for other in free if _name(other, whole) == _name(key, whole)]
            if len(alike) == 1:
                found[key] = theirs[alike[0]]
    return found


def _name(key: tuple[Path, str], whole: bool) -> str:
    return key[1] if whole else key[1].rpartition(".")[2]


def _hunks(one: list[tuple[int, ast.stmt]], two: list[tuple[int, ast.stmt]]) -> list[list[ast.stmt]]:
    """The runs of statements of the first function that the second does not have there."""
    first, second = ([repr((depth, *map(plain, _header(s)))) for depth, s in side] for side in (one, two))
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    changed = [(start, end) for tag, start, end, *_ in matcher.get_opcodes() if tag != "equal"]
    return [[statement for _, statement in one[start:end]] for start, end in changed]


def _changed_names(
    side: Side, other: Side, own: Collection[Unit], others: Collection[Unit]
) -> frozenset[str]:
    """The names that stand for something else than on the other side, and are no functions or classes."""
    mine, theirs = dict(_plain_names(side, own)), dict(_plain_names(other, others))
    return frozenset(name for name, text in mine.items() if theirs.get(name, "") != text)


def _plain_names(side: Side, units: Iterable[Unit]) -> Iterator[tuple[str, str]]:
    """Names that assignments and imports bind, at the top of files and in classes, with what to."""
    texts: dict[str, list[str]] = {}
    for unit in sorted(units):
        statements = side.units.statements(unit.path).get(unit.name, [])
        if unit.name and not statements:
            texts.setdefault(unit.name, []).append(side.units.text(unit))
        for statement in statements:
            if isinstance(statement, ast.ClassDef):
                for name, inner in _class_level(statement):
                    texts.setdefault(name, []).append(plain(inner))
            elif unit.name and not isinstance(statement, Function):
                texts.setdefault(unit.name, []).append(plain(statement))
    yield from ((name, "\n".join(sorted(found))) for name, found in texts.items())


def _class_level(node: ast.ClassDef) -> Iterator[tuple[str, ast.stmt]]:
    for statement in node.body:
        if isinstance(statement, ast.ClassDef):
            yield from _class_level(statement)
        elif not isinstance(statement, Function):
            for target in ast.walk(statement):
                if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                    yield target.id, statement


def _own_statements(function: Function) -> Iterator[tuple[int, ast.stmt]]:
    """The statements of a function with how deep they lie, without those of nested functions."""

    def visit(body: Iterable[ast.AST], depth: int) -> Iterator[tuple[int, ast.stmt]]:
        for node in body:
            if isinstance(node, ast.stmt):
                if not _silent(node):
                    yield depth, node
                if isinstance(node, (Function, ast.ClassDef)):
                    continue
            yield from visit(ast.iter_child_nodes(node), depth + isinstance(node, ast.stmt))

    yield from visit(function.body, 0)


def _silent(node: ast.stmt) -> bool:
    """Whether Python has no line event for the statement."""
    if isinstance(node, (ast.Pass, ast.Global, ast.Nonlocal)):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _header(node: ast.stmt) -> list[ast.AST]:
    """What of a statement belongs to itself, not to the block under it."""
    if not hasattr(node, "body"):
        return [node]
    if isinstance(node, (Function, ast.ClassDef)):
        return [ast.Constant(node.name), *_around(node)] if isinstance(node, Function) else [*node.bases]
    kind: ast.AST = ast.Constant(type(node).__name__)
    inner = [
        child for child in ast.iter_child_nodes(node) if not isinstance(child, (ast.stmt, ast.excepthandler))
    ]
    return [kind, *(child for child in inner if not isinstance(child, ast.match_case))]


def _around(function: Function) -> list[ast.AST]:
    """What a function's definition evaluates: decorators and defaults; annotations do nothing."""
    defaults = [*function.args.defaults, *function.args.kw_defaults]
    return [*function.decorator_list, *(default for default in defaults if default is not None)]


def _signature(function: Function) -> list[str]:
    arguments = function.args
    named = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    return [*(item.arg if item else "" for item in named), *map(plain, _around(function))]


def _names(node: ast.AST, names: frozenset[str]) -> bool:
    """Whether code names any of them, by itself or as an attribute."""
    return any(
        (isinstance(inner, ast.Name) and inner.id in names)
        or (isinstance(inner, ast.Attribute) and inner.attr in names)
        for inner in ast.walk(node)
    )


def _spans(statements: list[ast.stmt]) -> list[Span]:
    """The lines of statements; conditions count only where there is nothing else."""
    simple = [statement for statement in statements if not hasattr(statement, "body")]
    return [_span(statement) for statement in simple or statements]


def _span(node: ast.stmt) -> Span:
    """The lines of a statement without those of the block under it."""
    body = getattr(node, "body", None)
    last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno
    return [node.lineno, max(node.lineno, last or node.lineno)]
