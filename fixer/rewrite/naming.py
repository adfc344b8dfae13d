"""How to write a definition in a file: by a name that the file has, or by one that it has to import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fixer.facts.file import File, Function, Import
from fixer.facts.kinds import Symbol
from fixer.facts.project import Project
from fixer.rewrite.layout import CannotImportError, CannotRewriteError


class Reference(NamedTuple):
    """An expression, and the import that it needs, if any."""

    text: str
    needs: str | None = None


def of_library(file: File, name: str) -> Reference:
    """How to write ``torch.no_grad``."""
    module, _, attribute = name.rpartition(".")
    for alias in _early_names(file):
        target = file.imports[alias]
        if target is None or target.level:
            continue
        if target == Import(module, 0, attribute):
            return Reference(alias)
        if target == Import(module) or (target.name and f"{target.module}.{target.name}" == module):
            return Reference(f"{alias}.{attribute}")
    top = module.split(".")[0]
    if top in _own_names(file) or file.imports.get(top, Import(top)) != Import(top):
        raise CannotRewriteError(f"the name `{top}` means something else in {file.path.name}")
    return Reference(name, f"import {module}")


def of_symbol(project: Project, file: File, symbol: Symbol) -> Reference:
    """How to write a class of the tree."""
    assert symbol.path is not None
    if symbol.path == file.path:
        return Reference(symbol.name)
    for alias in _early_names(file):
        if project.resolve(file, alias) == symbol:
            return Reference(alias)
    for node in _early_imports(file):
        for written in [alias.asname or alias.name for alias in node.names]:
            name = f"{written}.{symbol.name}"
            if isinstance(node, ast.Import) and project.resolve(file, name) == symbol:
                return Reference(name)
    module = _module_name(project, file, symbol.path)
    name = module.lstrip(".")
    if not all(part.isidentifier() for part in name.split(".") if part):
        raise CannotImportError(f"{symbol.path.name} cannot be imported under the name `{module}`")
    if project.module_path(file.path, Import(name, len(module) - len(name))) != symbol.path:
        raise CannotImportError(f"`{module}` would be another module in {file.path.name}")
    home = project.file(symbol.path)
    if home is not None and project.reaches(home, file.path):
        raise CannotImportError(
            f"{symbol.path.name} imports {file.path.name}, which cannot import it in turn"
        )
    top, _, rest = symbol.name.partition(".")
    alias = _free_name(file, top, name)
    needs = f"from {module} import {top}" + (f" as {alias}" if alias != top else "")
    return Reference(f"{alias}.{rest}" if rest else alias, needs)


def _free_name(file: File, name: str, module: str) -> str:
    """A name that the file does not use: the definition's own, or one that says where it comes from."""
    home = "".join(part.capitalize() for part in module.rpartition(".")[2].split("_"))
    taken = {*_own_names(file), *file.imports}
    for candidate in (name, f"{home}{name}"):
        if candidate not in taken:
            return candidate
    raise CannotImportError(f"the names `{name}` and `{home}{name}` mean something else in {file.path.name}")


def _early_names(file: File) -> Iterator[str]:
    """The names that imports bind for the whole file, before anything of its own is defined."""
    for node in _early_imports(file):
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            if name in file.imports and name not in file.module_names:
                yield name


def _early_imports(file: File) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run whatever happens (or the file does not), before its classes and functions."""
    waiting = list(file.tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, (ast.ClassDef, Function)):
            return
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.Try):
            waiting = [*node.body, *waiting]


def _own_names(file: File) -> set[str]:
    return {*file.classes, *file.functions, *file.module_names}


def _module_name(project: Project, file: File, path: Path) -> str:
    """How to import the module at `path`: in the style of an import that the file already has."""
    imports = [node for node in ast.walk(file.tree) if isinstance(node, ast.ImportFrom)]
    for node in imports:
        if project.module_path(file.path, Import(node.module or "", node.level)) == path:
            return "." * node.level + (node.module or "")
    for node in imports:
        known = project.module_path(file.path, Import(node.module)) if node.module else None
        if known is not None and node.module and not node.level:
            root = known.parent if known.name == "__init__.py" else known.with_suffix("")
            for _ in node.module.split("."):
                root = root.parent
            if path.is_relative_to(root):
                return _dotted_below(root, path)
    folder = file.path.parent
    reach = max((node.level for node in imports), default=0)  # folders may be packages without `__init__.py`
    if reach or folder / "__init__.py" in project.sources:
        level = 1
        while not path.is_relative_to(folder) and (
            level < reach or folder.parent / "__init__.py" in project.sources
        ):
            folder, level = folder.parent, level + 1
        if path.is_relative_to(folder):
            return "." * level + _dotted_below(folder, path)
    for root in _roots_in_use(project, file):
        if path.is_relative_to(root):
            return _dotted_below(root, path)
    if path.is_relative_to(folder):
        return _dotted_below(folder, path)
    top = path.parent
    while top / "__init__.py" in project.sources:
        top = top.parent
    if not file.path.is_relative_to(top):
        raise CannotImportError(f"nothing shows how {file.path.name} could import {path.name}")
    return _dotted_below(top, path)


def _roots_in_use(project: Project, file: File) -> Iterator[Path]:
    """The folders from which other files of the tree import a file: ``from pkg.train import main``."""
    for other in project.mentioning(file.path.stem.encode(), b"import"):
        if other is file:
            continue
        for node in ast.walk(other.tree):
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                if project.module_path(other.path, Import(name)) == file.path:
                    yield file.path.parents[name.count(".")]


def _dotted_below(root: Path, path: Path) -> str:
    relative = path.relative_to(root).with_suffix("")
    parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
    return ".".join(parts)
