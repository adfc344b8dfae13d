"""Turns "replace this node", "insert after that statement", "delete it" into byte-span edits.

Rules name nodes of `ast`; the concrete syntax around them (comments, semicolons, one-line suites) comes from
`fixer.rewrite.layout`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from fixer.edits import Edit, EditSet
from fixer.facts.file import File, blocks
from fixer.facts.kinds import Symbol
from fixer.facts.project import Project
from fixer.rewrite.layout import CannotRewriteError, Layout, indented
from fixer.rewrite.naming import Reference, of_library, of_symbol

__all__ = ["CannotRewriteError", "Editor", "Rewrite"]

_INNERMOST = -1_000_000
"""Sorts what belongs to an expression before what follows its line."""


class Rewrite:
    """The edits of one fix, in however many files."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._editors: dict[Path, Editor] = {}

    def file(self, file: File) -> Editor:
        """The editor of a file."""
        if file.path not in self._editors:
            self._editors[file.path] = Editor(file, self.project)
        return self._editors[file.path]

    def edits(self) -> EditSet:
        """Everything that was asked for so far."""
        found = {path: editor.edits() for path, editor in self._editors.items()}
        return EditSet({path: edits for path, edits in found.items() if edits})


class Editor(Layout):
    """Collects the edits of one file."""

    def __init__(self, file: File, project: Project) -> None:
        super().__init__(file)
        self.project = project
        self._edits: set[Edit] = set()
        self._insertions: dict[int, dict[str, int]] = {}
        self._anchors: set[ast.stmt] = set()
        self._replaced: set[ast.stmt] = set()
        self._deleted: dict[ast.stmt, bool] = {}

    # What rules ask for

    def replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        """Replace a node by text; further lines of the text are indented like the node's statement.

        A statement goes with its decorators; the comments around it stay.
        """
        statement = self.file.statement(node)
        if node is statement and (self.is_elif(statement) or not _is_simple(text)):
            self.own_line(statement)  # behind a semicolon or a colon there is room for one statement only
        start, end = self.source.span(node)
        if node is statement:
            start = self.start(statement)
            self._replaced.add(statement)
        indent = self.indentation(statement)
        self._edits.add(Edit(start, end, indented(text, indent).removeprefix(indent)))

    def replace_span(self, start: int, end: int, text: str) -> None:
        """Replace bytes `start` to `end` by text as it stands."""
        if start == end:
            self._insert(start, text, _INNERMOST)
        else:
            self._edits.add(Edit(start, end, text))

    def insert_before(self, statement: ast.stmt, code: str) -> None:
        """Insert lines of code before a statement (behind the comments above it)."""
        self._insert(self.line_start(statement), self._block_of(code, statement) + "\n")

    def insert_after(self, statement: ast.stmt, code: str) -> None:
        """Insert lines of code after a statement, in the same block."""
        depth = len(self.own_line(statement).expandtabs())
        self._insert(self.block_end(statement), "\n" + self._block_of(code, statement), -depth)

    def insert_before_with_comments(self, statement: ast.stmt, code: str) -> None:
        """Insert lines of code above a statement and the comment block that belongs to it."""
        self._insert(self.above(statement), self._block_of(code, statement) + "\n\n", -1)

    def append_method(self, node: ast.ClassDef, after: ast.stmt, code: str) -> None:
        """Insert a method, with a blank line above it, after a statement of a class body."""
        if self.file.parents[after] is not node:
            raise CannotRewriteError(f"the body of class {node.name} is not a plain block")
        depth = len(self.own_line(after).expandtabs())
        self._insert(self.block_end(after), "\n\n" + self._block_of(code, after), -depth)

    def delete(self, statement: ast.stmt, *, comments: bool = False) -> None:
        """Delete a statement, with the comment block right above it if asked.

        A block that loses its last statement gets a `pass`.
        """
        self._deleted[statement] = comments

    def reference(self, name: str) -> str:
        """How to write ``torch.no_grad`` in this file; `import torch` is added where nothing provides it."""
        return self._imported(of_library(self.file, name))

    def reference_to(self, symbol: Symbol) -> str:
        """How to write a class of the tree in this file; an import is added where it has none."""
        return self._imported(of_symbol(self.project, self.file, symbol))

    def edits(self) -> tuple[Edit, ...]:
        """The edits collected so far, in file order; raises where two of them claim the same place."""
        gone = self._replaced | self._deleted.keys()
        for anchor in self._anchors:
            if not gone.isdisjoint(self.file.ancestors(anchor)):
                raise self._changed_twice(anchor.lineno)
        insertions = {
            Edit(offset, offset, "".join(sorted(texts, key=texts.__getitem__)))
            for offset, texts in self._insertions.items()
        }
        found = sorted(self._edits | insertions | set(self._deletions()))
        for one, other in pairwise(found):
            if one.end > other.start:
                raise self._changed_twice(self.source.location(other.start)[0])
        return tuple(found)

    def _changed_twice(self, row: int) -> CannotRewriteError:
        return CannotRewriteError(f"line {row} of {self.file.path.name} would be changed twice")

    # Insertion

    def _block_of(self, code: str, statement: ast.stmt) -> str:
        self._anchors.add(statement)
        return indented(code.strip("\n"), self.own_line(statement))

    def _insert(self, offset: int, text: str, order: int = 0) -> None:
        """Insert text; at one place the deepest comes first, and equals in the order they were asked for."""
        self._insertions.setdefault(offset, {}).setdefault(text, order)

    def _imported(self, reference: Reference) -> str:
        if reference.needs:
            self._add_import(reference.needs)
        return reference.text

    def _add_import(self, code: str) -> None:
        """Add an import behind those that open the file, or behind its docstring, or above its code."""
        body = self.file.tree.body
        anchor: ast.stmt | None = None
        for position, node in enumerate(body):
            is_docstring = (
                position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            )
            if is_docstring or isinstance(node, (ast.Import, ast.ImportFrom)):
                anchor = node
            elif not isinstance(node, ast.Try):
                break
        if anchor is not None:
            gap = "\n" if isinstance(anchor, ast.Expr) else ""
            self._insert(self.line_end(anchor), f"\n{gap}{code}")
        elif body:
            self._insert(self.line_start(body[0]), f"{code}\n")
        else:
            data = self.source.data
            newline = "" if data.endswith((b"\n", b"\r")) or data == self.source.bom else "\n"
            self._insert(len(data), f"{newline}{code}\n")

    # Deletion

    def _deletions(self) -> Iterator[Edit]:
        """The edits that delete statements; those inside another that goes need none."""
        outermost = {
            statement: comments
            for statement, comments in self._deleted.items()
            if self._deleted.keys().isdisjoint(self.file.ancestors(statement))
        }
        done: set[ast.stmt] = set()
        for statement in outermost:
            if statement in done:
                continue
            block = self._block(statement)
            survivors = [item for item in block if item not in outermost]
            if not survivors and not self.is_elif(statement):
                survivors = block[:1]
                yield self._emptied(block[0], outermost[block[0]])
                done.add(block[0])
            if statement in survivors:
                continue
            mates = self.line_mates(statement, block)
            if self.is_suite(statement) or not set(mates).isdisjoint(survivors):
                yield from self._removed_from_line(mates, survivors)
            else:
                yield self._removed(mates, comments=any(outermost[mate] for mate in mates))
            done.update(mates)

    def _block(self, statement: ast.stmt) -> list[ast.stmt]:
        around = blocks(self.file.parents[statement])
        return next(block for block in around if any(item is statement for item in block))

    def _emptied(self, statement: ast.stmt, comments: bool) -> Edit:
        """The first statement of a block that loses all: `pass` takes its place."""
        end = self.source.span(statement)[1]
        if comments and self.comments_above(statement):
            return Edit(self.above(statement), end, self.indentation(statement) + "pass")
        return Edit(self.start(statement), end, "pass")

    def _removed(self, mates: list[ast.stmt], *, comments: bool) -> Edit:
        """All the statements of a line go, and the line with them."""
        first, last = mates[0], mates[-1]
        start = self.above(first) if comments else self.line_start(first)
        end = self.behind_newline(self.line_end(last))
        if end == len(self.source.data) or isinstance(first, (ast.FunctionDef, ast.AsyncFunctionDef)):
            start = self.blank_lines_above(start)
        return Edit(start, end, "")

    def _removed_from_line(self, mates: list[ast.stmt], survivors: list[ast.stmt]) -> Iterator[Edit]:
        """Some of the statements of a line go, each with one semicolon."""
        ends = [self.source.span(mate) for mate in mates]
        first = next(position for position, mate in enumerate(mates) if mate in survivors)
        for position, mate in enumerate(mates):
            if mate in survivors:
                continue
            if position < first:
                yield Edit(ends[position][0], ends[position + 1][0], "")
            else:
                yield Edit(ends[position - 1][1], ends[position][1], "")


def _is_simple(text: str) -> bool:
    """Whether text is one simple statement, as may stand behind a colon."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    return len(body) == 1 and not hasattr(body[0], "body")
