"""Which lines of the changed files really run, and what the watched statement does when it runs."""

from __future__ import annotations

import ast
import os
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import libraries
from .frames import Message
from .observe import first_line
from .synthesis.source import blocks
from .untraced import waiting

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    Range = tuple[int, int]
    Reach = list[Range]
    from .watch import Watch

_OPTIMIZED = 0x1  # set for functions, not for modules and class bodies


class Tracer:
    """Collects the lines that run inside functions of some files.

    Lines of module and class bodies run at import whatever the harness does, so they prove nothing.
    Once all that is `wanted` of the files, and what is `beside` it, has been seen, nothing more is traced:
    Python 3.11 takes three times as long for code of which only the calls are traced.
    """

    def __init__(
        self,
        paths: Iterable[str],
        watchers: Sequence[Watch] = (),
        wanted: Mapping[str, Sequence[Reach]] | None = None,
        beside: Mapping[str, Sequence[Reach]] = types.MappingProxyType({}),
    ) -> None:
        self.lines: dict[str, set[int]] = {os.path.realpath(path): set() for path in paths}
        self._wanted = None if wanted is None else _placed(wanted)
        self._beside = _placed(beside)
        self._is_done = False
        self.raised: list[Message] = []
        """Each exception that passed through the files, with the innermost of their frames."""
        self._known: dict[str, set[int] | None] = {}
        self._skips_libraries = not any(map(libraries.is_fixed, self.lines))
        self._watchers = watchers
        self._torchs: set[str] = set()
        """Torch's own modules: most calls are theirs, and nothing in them is asked for."""

    def __enter__(self) -> Tracer:
        self._previous = sys.gettrace()
        if not self._is_done:
            sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._previous)

    def waiting(self) -> AbstractContextManager[None]:
        """Only trace what is `Traced` inside."""
        return waiting(self._call)

    def forget(self) -> None:
        """Drop the lines seen so far, and what the watchers saw; not what was raised."""
        for lines in self.lines.values():
            lines.clear()
        for watcher in self._watchers:
            watcher.forget()
        self._is_done = self._has_all()

    def raised_in(self, changed: Message) -> list[Message]:
        """The exceptions that began in the changed lines of the files."""
        ranges = {os.path.realpath(path): lines for path, lines in changed.items()}
        return [
            raised
            for raised in self.raised
            for path, line, _ in raised["frames"]
            if any(first <= line <= last for first, last in ranges.get(os.path.realpath(path), ()))
        ]

    def reached_all(self) -> bool:
        """Whether all that has to run has run."""
        return self._has_reached(self._wanted or {})

    def _has_reached(self, wanted: Mapping[str, Sequence[Reach]]) -> bool:
        return not any(missed(reach, self.lines.get(path, ())) for path, reach in wanted.items())

    def executed(self) -> dict[str, list[int]]:
        """The lines seen, as plain data."""
        return {path: sorted(lines) for path, lines in self.lines.items()}

    def _call(self, frame: Any, *_: object) -> Any:
        if self._is_done:
            sys.settrace(None)
            return None
        module = frame.f_globals.get("__name__")
        if type(module) is str and module in self._torchs:
            return None
        code = frame.f_code  # each look at it is an audit event
        name = code.co_filename
        if name not in self._known:
            real = name if self._skips_libraries and libraries.is_fixed(name) else os.path.realpath(name)
            self._known[name] = self.lines.get(real)
        seen = self._known[name]
        if seen is None:
            if type(module) is str and module.startswith("torch.") and name.startswith(libraries.TORCH):
                self._torchs.add(module)
            return None
        in_function = bool(code.co_flags & _OPTIMIZED)
        watchers = self._watchers

        def local(frame: Any, event: str, value: Any) -> Any:
            news = event == "line" and in_function and frame.f_lineno not in seen
            if news:
                seen.add(frame.f_lineno)
            if event == "exception" and in_function:
                self._note_raised(frame, value)
            if event in ("line", "return"):
                for watcher in watchers:
                    watcher(frame, event)
            if (news or watchers) and self._has_all():
                self._is_done = True
                sys.settrace(None)
                return None
            return local

        return local

    def _has_all(self) -> bool:
        """Whether nothing that could be seen still matters."""
        if self._wanted is None or not all(watcher.has_enough for watcher in self._watchers):
            return False
        return self._has_reached(self._wanted) and self._has_reached(self._beside)

    def _note_raised(self, frame: Any, raised: Any) -> None:
        kind, error, _ = raised
        message = first_line(error) if isinstance(error, BaseException) else str(error)
        here = [frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name]
        for known in self.raised:
            if known["type"] == kind.__name__ and known["message"] == message:
                return
        self.raised.append({"type": kind.__name__, "message": message, "frames": [here]})


def _placed(reach: Mapping[str, Sequence[Reach]]) -> dict[str, Sequence[Reach]]:
    return {os.path.realpath(path): lines for path, lines in reach.items()}


def required(
    text: str,
    ranges: Sequence[Sequence[int]],
    other: str,
    replayed: Sequence[Sequence[int]] = (),
    method: str | None = None,
) -> list[Reach]:
    """What a harness has to reach: for each changed range and function, the lines of the changed statements.

    One statement of each has to run; a condition counts only where nothing else changed. Left out are
    functions that the `other` text does not have (whoever calls them shows in other checks), and the lines
    that are `replayed`, executed on their own. So are calls of the `method` that the fix is about.
    """
    there = {name for name, _ in _functions(ast.parse(other))}
    wanted: list[Reach] = []
    for name, function in _functions(ast.parse(text)):
        if name not in there:
            continue
        for changed in ranges:
            spans = [(s, _header(s)) for s in _own_statements(function) if _touches(_header(s), changed)]
            spans = [(s, span) for s, span in spans if not any(_within(span, r) for r in replayed)]
            spans = [(s, span) for s, span in spans if method is None or not _only_calls(s, method)]
            simple = [span for statement, span in spans if not hasattr(statement, "body")]
            if spans:
                wanted.append(simple or [span for _, span in spans])
    return wanted


def missed(wanted: Iterable[Reach], executed: Iterable[int]) -> list[int]:
    """The first line of each of them of which no statement ran."""
    lines = executed if isinstance(executed, set) else set(executed)
    return [
        spans[0][0]
        for spans in wanted
        if not any(lines.intersection(range(first, last + 1)) for first, last in spans)
    ]


def _functions(tree: ast.Module) -> list[tuple[str, Any]]:
    """Every function with its qualified name."""
    found: list[tuple[str, Any]] = []

    def visit(node: ast.AST, names: list[str]) -> None:
        for child in blocks(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append((".".join([*names, child.name]), child))
            inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            visit(child, [*names, child.name] if inner else names)  # type: ignore[attr-defined]

    visit(tree, [])
    return found


def _own_statements(function: Any) -> list[ast.stmt]:
    """The statements of a function that do something when it is called, not those of nested functions."""
    found: list[ast.stmt] = []

    def visit(body: Iterable[ast.AST]) -> None:
        for node in body:
            if isinstance(node, ast.stmt):
                if not _silent(node):
                    found.append(node)
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    continue
            visit(blocks(node))

    visit(function.body)
    return found


def _silent(node: ast.stmt) -> bool:
    """Whether Python has no line event for the statement: a docstring, `pass`, `global`."""
    if isinstance(node, (ast.Pass, ast.Global, ast.Nonlocal)):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _header(node: ast.stmt) -> Range:
    """The lines of a statement without those of the block under it."""
    body = getattr(node, "body", None)
    last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno
    return node.lineno, max(node.lineno, last or node.lineno)


def _only_calls(statement: ast.stmt, method: str) -> bool:
    """Whether a statement, or all that a loop or branch holds, calls a method and does nothing else."""
    body = getattr(statement, "body", None)
    if body is not None:
        return not getattr(statement, "orelse", []) and all(_only_calls(inner, method) for inner in body)
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == method


def _within(span: Range, other: Sequence[int]) -> bool:
    return other[0] <= span[0] and span[1] <= other[1]


def _touches(span: Range, other: Sequence[int]) -> bool:
    return other[0] <= span[1] and span[0] <= other[1]
