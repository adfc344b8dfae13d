"""A host for code whose class cannot be built here: its constructor without the statements that fail.

What such a statement would have stored is stood for by a module that returns what it is given. Nothing that
the fix touches is left out, and lines stay where they are.
"""

from __future__ import annotations

import ast
from typing import Any, Collection, Iterator

from torch import nn

LEFT_OUT = "_fixer_left_out"
"""The global function that a host calls, and the attribute in which it keeps what was left out."""
_ERROR = "_fixer_error"
_BLOCKS = ("body", "orelse", "finalbody")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class StandIn(nn.Module):
    """Returns what it is given."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the first argument."""
        return args[0] if args else next(iter(kwargs.values()), None)


def left_out(host: Any, line: int, names: Collection[str], error: Exception) -> None:
    """Note on a host that a statement failed, and give it something for what would have been stored."""
    vars(host).setdefault(LEFT_OUT, {})[line] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    for name in names:
        if not hasattr(host, name):
            setattr(host, name, StandIn())


def hosted(tree: ast.Module, class_name: str, kept: Collection[int]) -> ast.Module:
    """Let the constructors of a class and its bases in the file go on past failures, but for `kept` lines."""
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    waiting, seen = [class_name.rpartition(".")[2]], set()
    while waiting:
        cls = classes.get(waiting.pop())
        if cls is None or cls.name in seen:
            continue
        seen.add(cls.name)
        waiting += [base.id for base in cls.bases if isinstance(base, ast.Name)]
        for method in cls.body:
            if isinstance(method, ast.FunctionDef) and method.name == "__init__" and method.args.args:
                method.body = list(_lenient(method.body, method.args.args[0].arg, kept))
    return ast.fix_missing_locations(tree)


def _lenient(body: Collection[ast.stmt], host: str, kept: Collection[int]) -> Iterator[ast.stmt]:
    for statement in body:
        for name in _BLOCKS:
            if getattr(statement, name, None) and not isinstance(statement, _DEFINITIONS):
                setattr(statement, name, list(_lenient(getattr(statement, name), host, kept)))
        yield statement if _must_run(statement, kept) else _attempt(statement, host)


def _must_run(statement: ast.stmt, kept: Collection[int]) -> bool:
    """Whether a statement is examined, calls a base's constructor, or guards against bad arguments."""
    if any(statement.lineno <= line <= (statement.end_lineno or statement.lineno) for line in kept):
        return True
    if isinstance(statement, (ast.Return, ast.Pass, ast.Break, ast.Continue, *_DEFINITIONS)):
        return True
    return any(
        isinstance(part, (ast.Raise, ast.Assert))
        or (isinstance(part, ast.Attribute) and part.attr == "__init__")
        for part in ast.walk(statement)
    )


def _attempt(statement: ast.stmt, host: str) -> ast.stmt:
    """``try: STATEMENT`` and, where that raises, ``_fixer_left_out(self, LINE, NAMES, error)``."""
    stored = [
        ast.Constant(part.attr)
        for part in ast.walk(statement)
        if isinstance(part, ast.Attribute)
        and isinstance(part.ctx, ast.Store)
        and isinstance(part.value, ast.Name)
        and part.value.id == host
    ]
    note = ast.Call(
        func=ast.Name(LEFT_OUT, ast.Load()),
        args=[
            ast.Name(host, ast.Load()),
            ast.Constant(statement.lineno),
            ast.Tuple(list(stored), ast.Load()),
            ast.Name(_ERROR, ast.Load()),
        ],
        keywords=[],
    )
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), _ERROR, [ast.Expr(note)])
    return ast.copy_location(ast.Try([statement], [handler], [], []), statement)
