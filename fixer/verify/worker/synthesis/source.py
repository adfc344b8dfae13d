"""Reads the source of classes and functions: where a name is used, and how."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import tokenize
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Use(NamedTuple):
    """One place that reads a value: its node and the nodes around it, innermost first."""

    node: ast.expr
    parents: tuple[ast.AST, ...]


_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


@functools.lru_cache(maxsize=256)
def parse(text: str) -> ast.Module | None:
    """Parse a file's text, or return None if it is not Python of this interpreter."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def blocks(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements in the blocks of a node, handlers and cases included; no expression has any."""
    for name in _BLOCKS:
        inner = getattr(node, name, None)
        if isinstance(inner, list):
            yield from inner


@functools.lru_cache(maxsize=256)
def _definitions(tree: ast.Module) -> dict[str, list[ast.AST]]:
    found: dict[str, list[ast.AST]] = {}

    def visit(owner: ast.AST, prefix: str) -> None:
        for child in blocks(owner):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found.setdefault(prefix + child.name, []).append(child)
                local = "" if isinstance(child, ast.ClassDef) else "<locals>."
                visit(child, f"{prefix}{child.name}.{local}")
            else:
                visit(child, prefix)

    visit(tree, "")
    return found


class Sources:
    """The texts that classes were loaded from; those given come before what the disk holds by now."""

    def __init__(self, hints: dict[str, Any], subject: Any = None) -> None:
        self._texts: dict[str, str | None] = dict(hints.get("sources") or {})
        self._search = hints.get("mentioning")
        if isinstance(hints.get("source"), str):
            for name in _files_of(subject):
                self._texts.setdefault(name, hints["source"])

    def text(self, filename: str) -> str | None:
        """Return the text of a file, or None if it cannot be read."""
        if filename not in self._texts:
            try:
                with tokenize.open(filename) as stream:
                    self._texts[filename] = stream.read()
            except (OSError, SyntaxError, UnicodeDecodeError):
                self._texts[filename] = None
        return self._texts[filename]

    def tree(self, filename: str) -> ast.Module | None:
        """Return the syntax tree of a file, or None."""
        text = self.text(filename)
        return None if text is None else parse(text)

    def text_of(self, cls: type) -> str | None:
        """Return the text of the file that a class was defined in."""
        own = getattr(sys.modules.get(cls.__module__), "__file__", None)
        names = sorted(name for name in _files_of(cls) if own is None or name == own)
        found = names[0] if names else own  # the methods of a dataclass come from nowhere
        return self.text(found) if found is not None else None

    def module_of(self, cls: type) -> ast.Module | None:
        """Return the syntax tree of the file that a class was defined in."""
        text = self.text_of(cls)
        return None if text is None else parse(text)

    def mentioning(self, cls: type) -> Iterator[tuple[str, ast.Module]]:
        """Yield the other files of the tree that build the class, with their names."""
        own = _files_of(cls)
        for filename, text in self._search(cls.__name__) if self._search is not None else ():
            tree = parse(text) if filename not in own else None
            if tree is not None:
                yield filename, tree

    def function(self, function: Callable[..., Any]) -> FunctionNode | None:
        """Return the definition of a function or method, or None if its source is not at hand."""
        plain = inspect.unwrap(getattr(function, "__func__", function))
        code = getattr(plain, "__code__", None)
        return (
            None
            if code is None
            else self.definition(code.co_filename, plain.__qualname__, code.co_firstlineno)
        )

    def definition(self, filename: str, qualname: str, line: int) -> FunctionNode | None:
        """Return the function of that name which starts nearest to the line."""
        tree = self.tree(filename)
        found = [] if tree is None else _definitions(tree).get(qualname, [])
        functions = [node for node in found if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        return min(functions, key=lambda node: abs(node.lineno - line), default=None)

    def statement(self, filename: str, line: int) -> ast.stmt | None:
        """Return the innermost statement that covers a line."""
        return next(iter(reversed(self._around(filename, line))), None)

    def enclosing(self, filename: str, line: int) -> FunctionNode | None:
        """Return the innermost function around a line."""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        return next(
            (node for node in reversed(self._around(filename, line)) if isinstance(node, functions)), None
        )

    def guard(self, filename: str, line: int) -> ast.expr | None:
        """Return the test of the assert at a line, or of the nearest `if` around it."""
        guards = (ast.Assert, ast.If)
        found = next(
            (node for node in reversed(self._around(filename, line)) if isinstance(node, guards)), None
        )
        return found.test if found is not None else None

    def _around(self, filename: str, line: int) -> list[ast.stmt]:
        tree = self.tree(filename)
        return [] if tree is None else _statements_around(tree, line)


@functools.lru_cache(maxsize=4096)
def _statements_around(tree: ast.Module, line: int) -> list[ast.stmt]:
    """Return the statements that cover a line, outermost first."""
    found: list[ast.stmt] = []
    node: ast.AST | None = tree
    while node is not None:
        if isinstance(node, ast.stmt):
            found.append(node)
        inner = (
            child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, ast.ExceptHandler))
        )
        around = [
            child for child in inner if _first_line(child) <= line <= (child.end_lineno or child.lineno)
        ]
        node = around[-1] if around else None
    return found


def _first_line(node: ast.stmt | ast.ExceptHandler) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(item.lineno for item in decorators)])


def is_stub(function: FunctionNode) -> bool:
    """Whether a function does nothing but raise, its docstring aside."""
    body = _statements(function)
    return len(body) == 1 and isinstance(body[0], ast.Raise)


def is_empty(function: FunctionNode) -> bool:
    """Whether a function has nothing but a docstring, ``pass`` or ``...``."""
    return all(isinstance(item, ast.Pass) for item in _statements(function))


def _statements(function: FunctionNode) -> list[ast.stmt]:
    """Return the body of a function without its docstring and other constants."""
    return [
        item
        for item in function.body
        if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
    ]


def returns_nothing(function: FunctionNode) -> bool:
    """Whether no statement of a function gives its caller a value."""
    giving = (node for node in ast.walk(function) if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)))
    return not any(not isinstance(node, ast.Return) or node.value is not None for node in giving)


def _files_of(subject: Any) -> set[str]:
    functions = (
        [value for value in vars(subject).values() if inspect.isfunction(value)]
        if inspect.isclass(subject)
        else [subject]
    )
    plain = [inspect.unwrap(getattr(function, "__func__", function)) for function in functions]
    return {function.__code__.co_filename for function in plain if hasattr(function, "__code__")}


def dotted(node: ast.AST) -> str | None:
    """Return ``self.config.width`` for a chain of names, attributes and constant string keys, else None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    if isinstance(node, ast.Subscript):
        owner, key = dotted(node.value), constant(node.slice)
        return f"{owner}.{key}" if owner is not None and isinstance(key, str) else None
    return None


def constant(node: ast.AST | None) -> Any:
    """Return the value of a constant node, or None (also of the node that Python 3.8 puts around a key)."""
    inner = getattr(node, "value", None) if type(node).__name__ == "Index" else node
    return inner.value if isinstance(inner, ast.Constant) else None


def aliases(function: ast.AST, name: str) -> set[str]:
    """Return the names that hold the value of `name` after plain assignments (``self.dim = dim``)."""
    known = {name}
    for values, _, targets, _ in _assignments(function):
        if not known.isdisjoint(values):
            known.update(targets)
    return known


def derived(function: ast.AST, name: str) -> set[str]:
    """Return the names whose values were computed from `name`."""
    known = {name}
    for _, used, _, changed in _assignments(function):
        if not known.isdisjoint(used):
            known.update(changed)
    return known - {"self"}


@functools.lru_cache(maxsize=1024)
def _assignments(function: ast.AST) -> list[tuple[set[str], set[str], set[str], set[str]]]:
    """Return what each assignment takes over, all that it reads, its targets, and all that stands in them."""
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            values = node.value.values if isinstance(node.value, ast.BoolOp) else [node.value]
            inner = [item for target in node.targets for item in ast.walk(target)]
            groups = (values, ast.walk(node.value), node.targets, inner)
            paths = [{path for path in map(dotted, group) if path is not None} for group in groups]
            found.append((paths[0], paths[1], paths[2], paths[3]))
    return found


def uses(function: ast.AST, names: set[str]) -> Iterator[Use]:
    """Yield every place that reads one of the names, in source order."""
    reads = _reads(function)
    found = [place for name in names for place in reads.get(name, ())]
    yield from (use for _, use in sorted(found, key=lambda place: place[0]))


@functools.lru_cache(maxsize=1024)
def _reads(function: ast.AST) -> dict[str, list[tuple[int, Use]]]:
    """Return where each dotted name is read, numbered in source order."""
    found: dict[str, list[tuple[int, Use]]] = {}
    stack: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(function, ())]
    order = 0
    while stack:
        node, parents = stack.pop()
        order += 1
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            path = dotted(node)
            if path is not None:
                found.setdefault(path, []).append((order, Use(node, parents)))
        stack.extend((child, (node, *parents)) for child in reversed(list(ast.iter_child_nodes(node))))
    return found


def entries(node: ast.AST, key: str) -> Iterator[Use]:
    """Yield every place that reads an entry of that name off something: ``x.key`` or ``x["key"]``."""
    stack: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(node, ())]
    while stack:
        inner, parents = stack.pop()
        is_entry = (isinstance(inner, ast.Attribute) and inner.attr == key) or (
            isinstance(inner, ast.Subscript) and constant(inner.slice) == key
        )
        if is_entry and isinstance(inner, ast.expr):
            yield Use(inner, parents)
        stack.extend((child, (inner, *parents)) for child in reversed(list(ast.iter_child_nodes(inner))))


def is_record(node: ast.AST, key: str, scope: dict[str, Any]) -> bool:
    """Whether an entry of that name is asked for entries by name itself: ``x["key"]["inner"]``."""
    for outer in ast.walk(node):
        inner = outer.value if isinstance(outer, ast.Subscript) else None
        if isinstance(outer, ast.Subscript) and isinstance(inner, ast.Subscript):
            variable = inner.slice.id if isinstance(inner.slice, ast.Name) else ""
            is_asked = key in (constant(inner.slice), scope.get(variable))
            if is_asked and isinstance(constant(outer.slice), str):
                return True
    return False


def attributes(function: ast.AST, names: set[str]) -> set[str]:
    """Return the attributes that a function reads off one of the names."""
    return {
        parent.attr
        for use in uses(function, names)
        for parent in use.parents[:1]
        if isinstance(parent, ast.Attribute)
    }


def strings_in(node: ast.AST) -> list[str]:
    """Return the string constants below a node, in order."""
    return [
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]


def evaluate(node: ast.AST, scope: dict[str, Any]) -> Any:
    """Evaluate a chain of names and attributes or a constant; raise if the expression is more."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return scope[node.id]
    if isinstance(node, ast.Attribute):
        return getattr(evaluate(node.value, scope), node.attr)
    raise ValueError(ast.dump(node))
