"""The files of a tree joined: modules, imports and inheritance are resolved across them.

Nothing is parsed before somebody asks about it; `mentioning` reads bytes only.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fixer.facts.file import File, Function, Import, decorator_name, dotted, methods, walk_function
from fixer.facts.kinds import ABSENT, UNKNOWN, Answer, Kind, Symbol, join
from fixer.facts.torch_facts import EXTERNAL_MODULES, canonical
from fixer.source import Source, SourceError

_T = TypeVar("_T")
_WORD = re.compile(rb"[\w\x80-\xff]+")

Slots = dict[str, Kind]
"""What each attribute of an object holds."""
Partial = dict[Function, list[Slots]]
"""What the slots hold where constructors call the object's own methods."""

if TYPE_CHECKING:
    from fixer.facts.flow import Flow


@dataclass(eq=False)
class Class:
    """A class of the tree with its bases resolved."""

    file: File
    node: ast.ClassDef
    symbol: Symbol
    bases: tuple[Symbol, ...]

    @cached_property
    def methods(self) -> dict[str, Function]:
        """The methods that the class itself defines."""
        return methods(self.node)


@dataclass
class _Running:
    """A flow, or the slots of a class, while it is being computed."""

    subject: ast.AST | Symbol
    flows: list[ast.AST] = field(default_factory=list)
    """The flows that were computed on the way."""
    asked_for: bool = False


@dataclass(eq=False)
class Project:
    """All files that questions may reach."""

    sources: Mapping[Path, Source]
    _files: dict[Path, File | None] = field(default_factory=dict)
    _classes: dict[Symbol, Class | None] = field(default_factory=dict)
    _flows: dict[ast.AST, Flow | None] = field(default_factory=dict)
    _symbols: dict[tuple[Path, str], Symbol | None] = field(default_factory=dict)
    caller_flows: dict[tuple[ast.AST, str], Flow] = field(default_factory=dict)
    """Cache of `fixer.facts.optimizers.flow_with_callers`."""
    _slots: dict[Symbol, Slots] = field(default_factory=dict)
    _partial: dict[Symbol, Partial] = field(default_factory=dict)
    _inherited: dict[Symbol, tuple[Slots, Partial]] = field(default_factory=dict)
    _keeping: dict[Function, bool] = field(default_factory=dict)
    _tokens: dict[bytes, set[int]] = field(default_factory=dict)
    _subclasses: dict[Symbol, list[Class]] = field(default_factory=dict)
    _answers: dict[Callable[[Project], Any], Any] = field(default_factory=dict)
    _running: list[_Running] = field(default_factory=list)
    """What is being computed, outermost first."""

    def once(self, question: Callable[[Project], _T]) -> _T:
        """The answer to a question about the whole tree, which is the same for every finding."""
        if question not in self._answers:
            self._answers[question] = question(self)
        answer: _T = self._answers[question]
        return answer

    # Files

    def file(self, path: Path) -> File | None:
        """The file at `path`, None where it is not in the tree or not valid Python."""
        if path not in self._files:
            source = self.sources.get(path)
            file = None
            if source is not None:
                try:
                    file = File(source)
                    _ = file.tree
                except SourceError:
                    file = None
            self._files[path] = file
        return self._files[path]

    def files_in(self, sources: Mapping[Path, Source]) -> dict[Path, File | None]:
        """What is known of the files that `sources` holds unchanged, for another project to start from."""
        known = {path: file for path, file in self._files.items() if path in self.sources}
        return {path: file for path, file in known.items() if sources.get(path) == self.sources[path]}

    def mentioning(self, *tokens: bytes) -> Iterator[File]:
        """The valid files whose bytes hold every one of `tokens`, names as whole words, in path order."""
        positions = set.intersection(*(self._holding(token) for token in tokens))
        for position in sorted(positions):
            file = self.file(self._paths[position])
            if file is not None:
                yield file

    def _holding(self, token: bytes) -> set[int]:
        """The positions in `_paths` of the files that hold a token."""
        if token not in self._tokens:
            if not _WORD.fullmatch(token):
                found = {at for at, path in enumerate(self._paths) if token in self.sources[path].data}
            else:
                found = self._words.get(token, set())
            self._tokens[token] = found
        return self._tokens[token]

    @cached_property
    def _paths(self) -> list[Path]:
        return sorted(self.sources)

    @cached_property
    def _words(self) -> dict[bytes, set[int]]:
        """Where each word of the tree stands: thousands of questions ask for one."""
        words: dict[bytes, set[int]] = {}
        for position, path in enumerate(self._paths):
            for word in set(_WORD.findall(self.sources[path].data)):
                words.setdefault(word, set()).add(position)
        return words

    @cached_property
    def _by_last_part(self) -> dict[str, list[tuple[tuple[str, ...], Path]]]:
        index: dict[str, list[tuple[tuple[str, ...], Path]]] = {}
        for path in self.sources:
            parts = path.parts[:-1] if path.name == "__init__.py" else (*path.parts[:-1], path.stem)
            if parts:
                index.setdefault(parts[-1], []).append((parts, path))
        return index

    def module_path(self, importer: Path, target: Import) -> Path | None:
        """The file of the tree that an import's module names, nearest to the importer; None if outside."""
        if target.level:
            folder = importer.parent
            for _ in range(target.level - 1):
                folder = folder.parent
            base = folder.joinpath(*target.module.split(".")) if target.module else folder
            for candidate in (base.with_name(base.name + ".py"), base / "__init__.py"):
                if candidate in self.sources:
                    return candidate
            return None
        wanted = tuple(target.module.split("."))
        candidates = [
            (parts, path)
            for parts, path in self._by_last_part.get(wanted[-1], ())
            if parts[-len(wanted) :] == wanted
        ]
        importer_parts = importer.parts

        def closeness(candidate: tuple[tuple[str, ...], Path]) -> tuple[int, int]:
            root = candidate[0][: -len(wanted)]
            shared = 0
            for mine, theirs in zip(root, importer_parts, strict=False):
                if mine != theirs:
                    break
                shared += 1
            return (shared - len(root), shared)

        reachable = [
            candidate for candidate in candidates if self._is_root(candidate[0][: -len(wanted)], importer)
        ]
        return max(reachable, key=closeness)[1] if reachable else None

    def _is_root(self, root: tuple[str, ...], importer: Path) -> bool:
        """Whether `root` may be on `sys.path` when `importer` runs.

        It may if it is a folder around the importer, or if it is no package itself (``src/``).
        """
        if importer.parts[: len(root)] == root:
            return True
        return Path(*root) / "__init__.py" not in self.sources

    # Names

    def resolve(self, file: File, node: ast.AST | str) -> Symbol | None:
        """The definition that a dotted expression of `file` names; None where that is not certain."""
        name = node if isinstance(node, str) else dotted(node)
        if name is None:
            return None
        key = (file.path, name)
        if key not in self._symbols:
            self._symbols[key] = self._resolve(file, name, set())
        return self._symbols[key]

    def imported_paths(self, file: File) -> set[Path]:
        """The files of the tree that a file imports, packages' `__init__.py` along the way left out."""
        found: set[Path] = set()
        modules = [
            Import(alias.name)
            for node in ast.walk(file.tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        ]
        for target in [*file.imports.values(), *file.star_imports, *modules]:
            if target is None:
                continue
            candidates = [Import(target.module, target.level)]
            if target.name is not None:
                module = ".".join(part for part in (target.module, target.name) if part)
                candidates.append(Import(module, target.level))
            for candidate in candidates:
                path = self.module_path(file.path, candidate) if candidate.module or candidate.level else None
                if path is not None:
                    found.add(path)
        return found

    def reaches(self, file: File, path: Path) -> bool:
        """Whether a file is at `path` or imports that one, directly or through others."""
        seen = {file.path}
        waiting = [file]
        while waiting:
            current = waiting.pop()
            if current.path == path:
                return True
            for imported in self.imported_paths(current):
                following = self.file(imported)
                if imported not in seen and following is not None:
                    seen.add(imported)
                    waiting.append(following)
        return False

    def _resolve(self, file: File, name: str, seen: set[tuple[Path, str]]) -> Symbol | None:
        """Look a name up; what `seen` holds was asked before on the way, in vain or without an answer yet."""
        if (file.path, name) in seen:
            return None
        seen.add((file.path, name))
        root, _, rest = name.partition(".")
        if name in file.classes or name in file.functions:
            return Symbol(name, file.path)
        if root in file.classes:
            return Symbol(name, file.path)
        if root in file.imports:
            target = file.imports[root]
            if target is None or root in file.module_names:
                return None  # two imports, or an import and an assignment, compete for the name
            return self._resolve_import(file, target, rest, seen)
        if root in file.module_names or root in file.functions:
            return None
        for star in file.star_imports:
            path = self.module_path(file.path, star)
            if path is None:
                if star.module == "torch.nn" and not star.level:
                    return Symbol(canonical(f"torch.nn.{name}"))
                continue
            module = self.file(path)
            found = self._resolve(module, name, seen) if module else None
            if found is not None and found.path is not None:
                return found
        return None

    def _resolve_import(
        self, file: File, target: Import, rest: str, seen: set[tuple[Path, str]]
    ) -> Symbol | None:
        if target.name is not None:
            # `from package import module` comes before `from module import name`.
            module_name = ".".join(part for part in (target.module, target.name) if part)
            path = self.module_path(file.path, Import(module_name, target.level))
            if path is None:
                path = (
                    self.module_path(file.path, Import(target.module, target.level))
                    if target.module or target.level
                    else None
                )
                rest = ".".join(part for part in (target.name, rest) if part)
        else:
            path, rest = self._deepest_module(file, target.module, rest)
        if path is None:
            if target.level:
                return None
            parts = [target.module, rest]
            return Symbol(canonical(".".join(part for part in parts if part)))
        module = self.file(path)
        if module is None or not rest:
            return None
        return self._resolve(module, rest, seen)

    def _deepest_module(self, file: File, module: str, rest: str) -> tuple[Path | None, str]:
        """For ``import a`` and ``a.b.C``: the file of ``a.b``, and ``C``."""
        names = rest.split(".") if rest else []
        for length in range(len(names), -1, -1):
            path = self.module_path(file.path, Import(".".join([module, *names[:length]])))
            if path is not None:
                return path, ".".join(names[length:])
        return None, rest

    # Classes

    def find_class(self, symbol: Symbol | None) -> Class | None:
        """The class of the tree that a symbol names."""
        if symbol is None or symbol.path is None:
            return None
        if symbol not in self._classes:
            file = self.file(symbol.path)
            node = file.classes.get(symbol.name) if file else None
            found = None
            if file is not None and node is not None:
                bases = tuple(self._base(file, base) for base in node.bases)
                found = Class(file, node, symbol, bases)
            self._classes[symbol] = found
        return self._classes[symbol]

    def _base(self, file: File, node: ast.expr) -> Symbol:
        if isinstance(node, ast.Subscript):  # Generic[T]
            node = node.value
        name = dotted(node)
        found = self.resolve(file, node)
        if found is None and name in vars(builtins) and name not in file.module_names:
            return Symbol("object" if name == "object" else f"builtins.{name}")
        return found or Symbol(f"?{ast.unparse(node)}")

    def class_at(self, file: File, node: ast.ClassDef) -> Class | None:
        """The class of a node; None for classes inside functions."""
        return self.find_class(file.symbol(node))

    def lineage(self, cls: Class) -> list[Class]:
        """The class and its ancestors within the tree, in method resolution order (depth first)."""
        found: list[Class] = []

        def visit(current: Class) -> None:
            if current in found:
                return
            found.append(current)
            for base in current.bases:
                parent = self.find_class(base)
                if parent is not None:
                    visit(parent)

        visit(cls)
        return found

    def outside_bases(self, cls: Class) -> set[str]:
        """Names of the ancestors that lie outside the tree; one that cannot be resolved starts with ``?``."""
        return {
            base.name
            for ancestor in self.lineage(cls)
            for base in ancestor.bases
            if self.find_class(base) is None
        } - {"object"}

    def is_module(self, symbol: Symbol | None) -> Answer:
        """Whether a class derives from `nn.Module`."""
        if symbol is None:
            return Answer.UNKNOWN
        cls = self.find_class(symbol)
        if cls is None:
            return _is_torch_module(symbol.name)
        outside = self.outside_bases(cls)
        answers = {_is_torch_module(name) for name in outside}
        if Answer.YES in answers:
            return Answer.YES
        return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.NO

    def derives(self, symbol: Symbol | None, ancestor: Symbol) -> bool:
        """Whether `symbol` certainly names `ancestor` or a class derived from it."""
        if symbol == ancestor:
            return True
        cls = self.find_class(symbol)
        return cls is not None and any(
            current.symbol == ancestor or ancestor in current.bases for current in self.lineage(cls)
        )

    def subclasses(self, cls: Class) -> list[Class]:
        """The classes of the tree derived from `cls`, itself left out.

        A file that derives from a class must write its name, if only to import it.
        """
        if cls.symbol in self._subclasses:
            return self._subclasses[cls.symbol]
        found: list[Class] = []
        waiting = [cls]
        while waiting:
            parent = waiting.pop()
            for file in self.mentioning(b"class ", parent.node.name.encode()):
                for node in file.classes.values():
                    child = self.class_at(file, node)
                    if child and child is not cls and child not in found and parent.symbol in child.bases:
                        found.append(child)
                        waiting.append(child)
        self._subclasses[cls.symbol] = found
        return found

    def method(self, cls: Class, name: str) -> tuple[Class, Function] | None:
        """The definition that ``self.name`` of an instance of `cls` finds in the tree."""
        for ancestor in self.lineage(cls):
            if name in ancestor.methods:
                return ancestor, ancestor.methods[name]
        return None

    def has_known_bases(self, cls: Class) -> bool:
        """Whether everything that an instance inherits is in sight: its bases are of the tree or torch's."""
        return all(is_known_base(name) for name in self.outside_bases(cls))

    def keeps_result(self, function: Function) -> bool:
        """Whether a call gives what the function returns: no generator, coroutine or unknown decorator."""
        if function not in self._keeping:
            self._keeping[function] = (
                isinstance(function, ast.FunctionDef)
                and {decorator_name(decorator) for decorator in function.decorator_list}
                <= _KEEPING_DECORATORS
                and not any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in walk_function(function))
            )
        return self._keeping[function]

    # Flows and slots; both ask the project, which caches their answers

    def flow(self, file: File, scope: ast.Module | Function) -> Flow | None:
        """The kinds inside a function or at module level; None while that very scope is being computed."""
        from fixer.facts.flow import Flow

        if scope not in self._flows:
            self._flows[scope] = None
            with self._run(scope):
                self._flows[scope] = Flow.of(self, file, scope)
            if self._running:
                self._running[-1].flows.append(scope)
        elif self._flows[scope] is None:
            self._asked_for_running(scope)
        return self._flows[scope]

    def class_slots(self, cls: Class) -> Mapping[str, Kind]:
        """What an instance's attributes hold once it is constructed; empty while that is being computed."""
        from fixer.facts.slots import add_class_level, compute_slots

        if cls.symbol not in self._slots:
            self._slots[cls.symbol] = {}
            with self._run(cls.symbol):
                self._slots[cls.symbol], self._partial[cls.symbol] = compute_slots(self, cls)
                add_class_level(self, cls, self._slots[cls.symbol])
        else:
            self._asked_for_running(cls.symbol)
        return self._slots[cls.symbol]

    @contextmanager
    def _run(self, subject: ast.AST | Symbol) -> Iterator[None]:
        """Compute a subject; flows that asked for it meanwhile did so in vain and are not kept."""
        running = _Running(subject)
        self._running.append(running)
        try:
            yield
        finally:
            self._running.pop()
            if running.asked_for:
                for scope in running.flows:
                    self._flows.pop(scope, None)
            elif self._running:
                self._running[-1].flows += running.flows

    def _asked_for_running(self, subject: ast.AST | Symbol) -> None:
        for running in self._running:
            if running.subject == subject:
                running.asked_for = True

    def slots_during(self, cls: Class, method: Function) -> Mapping[str, Kind]:
        """Attributes of which a method may see less than the whole object: a constructor calls it.

        Each with what it holds then, joined with what it holds in the end.
        """
        found: dict[str, Kind] = {}
        for heir in [cls, *self.subclasses(cls)]:
            slots = self.class_slots(heir)
            missing = ABSENT if self.has_known_bases(heir) else UNKNOWN
            for state in self._partial.get(heir.symbol, {}).get(method, ()):
                for name, kind in slots.items():
                    found[name] = join((found.get(name, kind), kind, state.get(name, missing)))
        return found

    def inherited_slots(self, cls: Class) -> Mapping[str, Kind]:
        """What the attributes of an instance hold before the class's own constructor goes on."""
        return self.inherited(cls)[0]

    def inherited(self, cls: Class) -> tuple[Slots, Partial]:
        """The same, with what the slots held where those constructors called the object's methods."""
        from fixer.facts.slots import compute_inherited

        if cls.symbol not in self._inherited:
            self._inherited[cls.symbol] = {}, {}
            self._inherited[cls.symbol] = compute_inherited(self, cls)
        return self._inherited[cls.symbol]


def is_known_base(name: str) -> bool:
    """Whether a class outside the tree is known to add no attributes of its own and to meddle with none."""
    return name.startswith(_PLAIN_BASES) or name in EXTERNAL_MODULES


def _is_torch_module(name: str) -> Answer:
    last = name.rpartition(".")[2]
    if name in ("torch.nn.Module", *EXTERNAL_MODULES) or (
        name.startswith("torch.nn.") and last[:1].isupper() and last not in _NO_MODULES_OF_NN
    ):
        return Answer.YES
    if name.startswith("?"):
        return Answer.UNKNOWN
    return Answer.NO if name.split(".")[0] in _NEVER_MODULES else Answer.UNKNOWN


_KEEPING_DECORATORS = frozenset(
    "no_grad enable_grad inference_mode ignore unused export script_method staticmethod classmethod override "
    "final".split()
)
"""Decorators that leave a function's result as it is."""
_NO_MODULES_OF_NN = frozenset({"Parameter", "Buffer", "UninitializedParameter", "UninitializedBuffer"})
_PLAIN_BASES = ("torch.nn.", "abc.", "typing.", "typing_extensions.", "collections.abc.")
_NEVER_MODULES = frozenset(
    {"abc", "builtins", "typing", "typing_extensions", "enum", "dataclasses", "collections", "torch"}
)
