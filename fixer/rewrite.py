"""Turns "replace this node", "insert after that statement", "delete it" into byte-span edits.

Rules name nodes of `ast`; the concrete syntax around them (comments, semicolons, one-line suites) is read off
a LibCST tree, which is parsed only here, and so only for files that get a fix.
"""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from fixer.edits import Edit, EditSet
from fixer.facts.file import File, Import, blocks
from fixer.facts.kinds import Symbol
from fixer.facts.project import Project
from fixer.source import Source


class CannotRewriteError(Exception):
    """A fix cannot be written into this file; the message says what is in the way."""


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


@dataclass(frozen=True)
class _Place:
    """A statement's concrete syntax."""

    small: cst.BaseSmallStatement | None
    """The simple statement itself, None for a compound one."""
    line: cst.SimpleStatementLine | cst.BaseCompoundStatement | None
    """The line or compound statement that owns comments; None in a one-line suite."""
    neighbours: int
    """How many simple statements share the line, this one included."""


class _Places(cst.CSTVisitor):
    """Finds the statements of a module by where they start, in UTF-8 bytes."""

    METADATA_DEPENDENCIES = (ByteSpanPositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, _Place] = {}

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Note statements; expressions hold none and are not entered."""
        if isinstance(node, (cst.SimpleStatementLine, cst.SimpleStatementSuite)):
            line = node if isinstance(node, cst.SimpleStatementLine) else None
            for small in node.body:
                self.found[self._start(small)] = _Place(small, line, len(node.body))
            return False
        if isinstance(node, cst.BaseCompoundStatement):
            self.found[self._start(node)] = _Place(None, node, 1)
        return not isinstance(node, cst.BaseExpression)

    def _start(self, node: cst.CSTNode) -> int:
        start: int = self.get_metadata(ByteSpanPositionProvider, node).start
        return start


class Editor:
    """Collects the edits of one file."""

    def __init__(self, file: File, project: Project) -> None:
        self.file = file
        self.source: Source = file.source
        self.project = project
        self._edits: set[Edit] = set()
        self._insertions: dict[int, list[str]] = {}
        self._deleted: list[tuple[ast.stmt, bool]] = []

    # What rules ask for

    def replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        """Replace a node by text; further lines of the text are indented like the node's statement."""
        start, end = self.source.span(node)
        self._edits.add(Edit(start, end, self._indented(text, self.indentation(self.file.statement(node)))))

    def replace_span(self, start: int, end: int, text: str) -> None:
        """Replace bytes `start` to `end` by text as it stands."""
        self._edits.add(Edit(start, end, text))

    def insert_before(self, statement: ast.stmt, code: str) -> None:
        """Insert lines of code before a statement (behind the comments above it)."""
        indent = self._own_line(statement)
        offset = self.line_start(statement)
        self._insert(offset, textwrap.indent(_clean(code), indent) + "\n")

    def insert_after(self, statement: ast.stmt, code: str) -> None:
        """Insert lines of code after a statement, in the same block."""
        indent = self._own_line(statement)
        self._insert_line_after(self.line_end(statement), textwrap.indent(_clean(code), indent))

    def insert_before_with_comments(self, statement: ast.stmt, code: str) -> None:
        """Insert lines of code above a statement and the comment block that belongs to it."""
        indent = self._own_line(statement)
        offset = self.above(statement)
        self._insert(offset, textwrap.indent(_clean(code), indent) + "\n\n")

    def append_method(self, node: ast.ClassDef, after: ast.stmt, code: str) -> None:
        """Insert a method, with a blank line above it, after a statement of a class body."""
        indent = self._own_line(after)
        if self.file.parents[after] is not node:
            raise CannotRewriteError(f"the body of class {node.name} is not a plain block")
        self._insert_line_after(self.line_end(after), "\n" + textwrap.indent(_clean(code), indent))

    def delete(self, statement: ast.stmt, *, comments: bool = False) -> None:
        """Delete a statement, with the comment block right above it if asked.

        A block that loses its last statement gets a `pass`.
        """
        self._deleted.append((statement, comments))

    def reference(self, name: str) -> str:
        """How to write ``torch.no_grad`` in this file; `import torch` is added where nothing provides it."""
        module, _, attribute = name.rpartition(".")
        for alias, target in self.file.imports.items():
            if target is None or target.level or alias in self.file.module_names:
                continue
            if target == Import(module, 0, attribute):
                return alias
            if target == Import(module) or (target.name and f"{target.module}.{target.name}" == module):
                return f"{alias}.{attribute}"
        top = module.split(".")[0]
        taken = top in self.file.module_names or top in self.file.functions or top in self.file.classes
        if taken or (top in self.file.imports and self.file.imports[top] != Import(top)):
            raise CannotRewriteError(f"the name `{top}` means something else in {self.file.path.name}")
        self._add_import(f"import {module}")
        return name

    def reference_to(self, symbol: Symbol) -> str:
        """How to write a class of the tree in this file; an import is added where it has none."""
        assert symbol.path is not None
        if symbol.path == self.file.path:
            return symbol.name
        for alias in self.file.imports:
            if self.project.resolve(self.file, alias) == symbol:
                return alias
        top, _, rest = symbol.name.partition(".")
        for node in self.file.tree.body:
            if isinstance(node, ast.Import):
                for alias_node in node.names:
                    written = alias_node.asname or alias_node.name
                    if self.project.resolve(self.file, f"{written}.{symbol.name}") == symbol:
                        return f"{written}.{symbol.name}"
        taken = {*self.file.imports, *self.file.classes, *self.file.functions, *self.file.module_names}
        if top in taken:
            raise CannotRewriteError(f"the name `{top}` means something else in {self.file.path.name}")
        module = self._module_name(symbol.path)
        self._add_import(f"from {module} import {top}")
        return f"{top}.{rest}" if rest else top

    def indentation(self, statement: ast.stmt) -> str:
        """The white space before a statement's line."""
        start = self.line_start(statement)
        line = self.source.slice(start, self.source.span(statement)[0])
        return line[: len(line) - len(line.lstrip(" \t"))]

    @cached_property
    def indent_unit(self) -> str:
        """One step of the file's own indentation."""
        return str(self._module.default_indent)

    def edits(self) -> tuple[Edit, ...]:
        """The edits collected so far, in file order."""
        insertions = {Edit(offset, offset, "".join(texts)) for offset, texts in self._insertions.items()}
        return tuple(sorted(self._edits | insertions | set(self._deletions())))

    def above(self, statement: ast.stmt) -> int:
        """First byte of the block of comment lines right above a statement, or of its own first line."""
        return self.source.offset(self._first_row(statement) - len(self.comments_above(statement)), 0)

    def comments_above(self, statement: ast.stmt) -> list[str]:
        """The block of comment lines right above a statement, without their indentation."""
        row = self._first_row(statement)
        indent = self.indentation(statement)
        found: list[str] = []
        while row > 1:
            line = self.source.line(row - 1)
            text = line.strip()
            if not text.startswith("#") or line[: len(line) - len(line.lstrip())] != indent:
                break
            found.append(text)
            row -= 1
        return found[::-1]

    def trailing_comment(self, statement: ast.stmt) -> str:
        """The comment behind a statement on its last line, or nothing."""
        rest = self.source.slice(self.source.span(statement)[1], self.line_end(statement)).strip()
        return rest if rest.startswith("#") else ""

    # Imports

    def _add_import(self, code: str) -> None:
        anchor: ast.stmt | None = None
        for position, node in enumerate(self.file.tree.body):
            is_docstring = (
                position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            )
            if is_docstring or isinstance(node, (ast.Import, ast.ImportFrom)):
                anchor = node
            elif not isinstance(node, ast.Try):
                break
        if anchor is not None:
            self._insert_line_after(self.line_end(anchor), code)
        else:
            offset = self._after_header()
            self._insert(offset, code + "\n")

    def _after_header(self) -> int:
        """Behind a shebang, a coding line and the comments at the top of a file without imports."""
        first = self.file.tree.body[0] if self.file.tree.body else None
        return self.line_start(first) if first is not None else len(self.source.data)

    def _module_name(self, path: Path) -> str:
        """How to import the module at `path`: in the style of an import that this file already has."""
        own_package = self.file.path.parent
        for node in ast.walk(self.file.tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            target = Import(node.module or "", node.level)
            known = self.project.module_path(self.file.path, target)
            if known == path:
                return "." * node.level + (node.module or "")
        for node in ast.walk(self.file.tree):
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                known = self.project.module_path(self.file.path, Import(node.module))
                if known is not None:
                    parts = node.module.split(".")
                    root = known.parent if known.name == "__init__.py" else known.with_suffix("")
                    for _ in parts:
                        root = root.parent
                    return _dotted_below(root, path)
        if (own_package / "__init__.py") in self.project.sources:
            level, folder = 1, own_package
            while not path.is_relative_to(folder):
                folder, level = folder.parent, level + 1
            return "." * level + _dotted_below(folder, path)
        return _dotted_below(own_package, path) if path.is_relative_to(own_package) else self._from_top(path)

    def _from_top(self, path: Path) -> str:
        top = path.parent
        while (top / "__init__.py") in self.project.sources:
            top = top.parent
        return _dotted_below(top, path)

    # Concrete syntax

    @cached_property
    def _module(self) -> cst.Module:
        try:
            return cst.parse_module(self.source.text)
        except cst.ParserSyntaxError as error:
            raise CannotRewriteError(f"LibCST cannot parse it ({error.message})") from None

    @cached_property
    def _places(self) -> dict[int, _Place]:
        visitor = _Places()
        MetadataWrapper(self._module, unsafe_skip_copy=True).visit(visitor)
        return visitor.found

    def _place(self, statement: ast.stmt) -> _Place:
        place = self._places.get(self.source.utf8_offset(self.source.span(statement)[0]))
        if place is None:
            raise CannotRewriteError(f"line {statement.lineno} of {self.file.path.name} cannot be located")
        return place

    def _own_line(self, statement: ast.stmt) -> str:
        """The indentation of a statement that has its line to itself."""
        place = self._place(statement)
        if place.line is None or place.neighbours > 1:
            raise CannotRewriteError(
                f"line {statement.lineno} of {self.file.path.name} holds several statements"
            )
        return self.indentation(statement)

    def _first_row(self, statement: ast.stmt) -> int:
        decorators = getattr(statement, "decorator_list", [])
        return min([statement.lineno, *(decorator.lineno for decorator in decorators)])

    def line_start(self, statement: ast.stmt) -> int:
        """First byte of a statement's first line, decorators included."""
        return self.source.offset(self._first_row(statement), 0)

    def line_end(self, statement: ast.stmt) -> int:
        """The end of a statement's last line, trailing comment included, before its newline."""
        assert statement.end_lineno is not None
        end = self.source.span(statement)[1]
        data = self.source.data
        while end < len(data) and data[end : end + 1] not in (b"\n", b"\r"):
            end += 1
        return end

    def _insert_line_after(self, offset: int, text: str) -> None:
        self._insert(offset, "\n" + text)

    def _insert(self, offset: int, text: str) -> None:
        """Insert text; what is inserted at one place stands in the order in which it was asked for."""
        if text not in self._insertions.setdefault(offset, []):
            self._insertions[offset].append(text)

    def _indented(self, text: str, indent: str) -> str:
        first, *rest = text.split("\n")
        return "\n".join([first, *(indent + line if line else line for line in rest)])

    # Deletion

    def _deletions(self) -> list[Edit]:
        doomed = {statement for statement, _ in self._deleted}
        edits = []
        for statement, comments in self._deleted:
            block = next(
                block
                for block in blocks(self.file.parents[statement])
                if any(item is statement for item in block)
            )
            emptied = all(item in doomed for item in block)
            if emptied and statement is block[0]:
                edits.append(self._emptied(statement, comments))
            else:
                edits.append(self._removed(statement, comments))
        return edits

    def _emptied(self, statement: ast.stmt, comments: bool) -> Edit:
        """The first statement of a block that loses all: `pass` takes its place."""
        start, end = self.source.span(statement)
        decorators = getattr(statement, "decorator_list", [])
        if decorators:
            start = self.line_start(statement) + len(self.indentation(statement))
        if comments:
            above = self.above(statement)
            if above != self.line_start(statement):
                return Edit(above, end, self.indentation(statement) + "pass")
        return Edit(start, end, "pass")

    def _removed(self, statement: ast.stmt, comments: bool) -> Edit:
        place = self._place(statement)
        if place.line is None or place.neighbours > 1:
            return self._removed_from_line(statement)
        start = self.above(statement) if comments else self.line_start(statement)
        end = self._behind_newline(self.line_end(statement))
        blank = self._blank_lines_above(start)
        if end == len(self.source.data) or isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            start = blank
        return Edit(start, end, "")

    def _removed_from_line(self, statement: ast.stmt) -> Edit:
        """One of several statements on a line: it goes with one semicolon."""
        start, end = self.source.span(statement)
        data = self.source.data
        rest = data[end : self.line_end(statement)]
        if rest.lstrip().startswith(b";"):
            end += rest.index(b";") + 1
            while data[end : end + 1] in (b" ", b"\t"):
                end += 1
            return Edit(start, end, "")
        before = data[:start].rstrip()
        return Edit(len(before.removesuffix(b";")), end, "")

    def _blank_lines_above(self, offset: int) -> int:
        row = self.source.location(offset)[0]
        while row > 1 and not self.source.line(row - 1).strip():
            row -= 1
        return self.source.offset(row, 0)

    def _behind_newline(self, offset: int) -> int:
        data = self.source.data
        if data[offset : offset + 2] == b"\r\n":
            return offset + 2
        return min(offset + 1, len(data))


def _clean(code: str) -> str:
    return textwrap.dedent(code).strip("\n")


def _dotted_below(root: Path, path: Path) -> str:
    relative = path.relative_to(root)
    parts = (
        relative.parent.parts if relative.name == "__init__.py" else (*relative.parent.parts, relative.stem)
    )
    return ".".join(parts)
