"""Deletes a method with its comments and with what is stored only for it."""

from __future__ import annotations

import ast

from fixer.facts import File, Function, Project
from fixer.rewrite import CannotRewriteError, Editor, Rewrite

from ._gradients import comment_speaks_of_gradients, is_comment
from ._instances import Instances
from ._leftovers import Removal, is_pure, leftovers


def delete_method(rewrite: Rewrite, instances: Instances, method: Function) -> list[str]:
    """Write the edits; returns the attributes that go along."""
    editor = rewrite.file(instances.cls.file)
    editor.delete(method, comments=True)
    _remove_comments_behind(editor, method)
    stored = leftovers(instances, method)
    _remove(rewrite, instances.project, [removal for found in stored.values() for removal in found])
    return list(stored)


def _remove_comments_behind(editor: Editor, method: Function) -> None:
    """Remove the comments at the end of a method's body, which end the method only for people."""
    source = editor.source
    assert method.end_lineno is not None
    start = last = method.end_lineno + 1
    rows = source.location(len(source.data))[0]
    for row in range(start, rows + 1):
        line = source.line(row)
        if is_comment(editor.file, row) and len(line) - len(line.lstrip()) > method.col_offset:
            last = row + 1
        elif line.strip():
            break
    if last > start:
        end = source.offset(last, 0) if last <= rows else len(source.data)
        editor.replace_span(source.offset(start, 0), end, "")


def _remove(rewrite: Rewrite, project: Project, removals: list[Removal]) -> None:
    doomed: dict[ast.stmt, File] = {}
    for removal in removals:
        if removal.whole or _loses_all_targets(project, removal, removals):
            doomed[removal.statement] = removal.file
        else:
            _drop_target(rewrite.file(removal.file), removal)
    for statement, file in _with_emptied_guards(project, doomed).items():
        rewrite.file(file).delete(statement, comments=comment_speaks_of_gradients(file, statement))


def _loses_all_targets(project: Project, removal: Removal, removals: list[Removal]) -> bool:
    """Whether nothing is left of ``self.a = self.b = x``."""
    statement = removal.statement
    going = [other.target for other in removals if other.statement is statement]
    return (
        isinstance(statement, ast.Assign)
        and len(going) == len(statement.targets)
        and is_pure(project, removal.file, statement.value)
    )


def _drop_target(editor: Editor, removal: Removal) -> None:
    """``out = self.out = f(x)`` loses `self.out`."""
    assert isinstance(removal.statement, ast.Assign)
    parts = [*removal.statement.targets, removal.statement.value]
    following = parts[parts.index(removal.target) + 1]
    start, end = editor.source.span(removal.target)
    next_start = editor.source.span(following)[0]
    if editor.source.slice(end, next_start).strip() != "=":
        raise CannotRewriteError(f"line {removal.statement.lineno} is written in an unusual way")
    editor.replace_span(start, next_start, "")


def _with_emptied_guards(project: Project, doomed: dict[ast.stmt, File]) -> dict[ast.stmt, File]:
    """The statements to delete; an `if` without `else` of which nothing is left goes as a whole."""
    result = dict(doomed)
    for statement, file in doomed.items():
        guard = file.parents[statement]
        while (
            isinstance(guard, ast.If)
            and not guard.orelse
            and file.source.segment(guard).startswith("if")  # `elif` belongs to what is above it
            and all(item in result for item in guard.body)
            and is_pure(project, file, guard.test)
        ):
            for item in guard.body:
                del result[item]
            result[guard] = file
            guard = file.parents[guard]
    return result
