"""Importing the target's files from memory: texts laid over what is on disk.

The path in a frame or in ``__file__`` is spelled as in the request, so that lines can be told by it.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import itertools
import linecache
import os
import re
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import CodeType, FrameType, ModuleType
from typing import Any, Collection, Iterator, Mapping, Sequence

from . import homes, places, slicing
from .untraced import Untraced


class _State:
    """What this process imports from memory; a stage child installs it once."""

    def __init__(
        self, texts: Mapping[str, str | None], roots: list[str], siblings: Collection[str] = ()
    ) -> None:
        real = {places.real(path): (path, text) for path, text in texts.items()}
        self.texts = {name: (path, text) for name, (path, text) in real.items() if text is not None}
        self.absent = real.keys() - self.texts.keys()
        moving = [name for name in real if name in self.absent or not os.path.exists(name)]
        self.moving = {os.path.splitext(part)[0] for name in moving for part in name.split(os.sep)}
        """Parts of the names of files that only disk or only this side has: most imports need no more."""
        self.roots = roots
        self.siblings = {places.real(folder) for folder in siblings}
        self.loaded: dict[str, ModuleType] = {}
        self.slices: dict[str, tuple[bool | None, tuple[str, ...]]] = {}
        self.hosts: dict[str, tuple[str, Collection[int]]] = {}

    def knows(self, real: str) -> bool:
        """Whether the file is imported in our way rather than in Python's own."""
        return real in self.texts or real in self.slices or real in self.hosts

    def moves(self, path: str) -> bool:
        """Whether a file is there on disk and not on this side, or the other way round."""
        real = places.real(path)
        return real in self.absent or (real in self.texts and not os.path.exists(real))


class _Imported:
    """The modules of the process that this one was forked from; to look at one copies its pages."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._last = ""
        for name, module in list(sys.modules.items()):
            origin = getattr(module, "__dict__", {}).get("__file__")  # not a lazy attribute
            if isinstance(origin, str):
                self._names.setdefault(os.path.basename(origin), []).append(name)
            self._last = name

    def since(self) -> list[str]:
        """The modules that came later, the last one first."""
        # To list all of them would write to every name, and copy the thousand pages that they are on.
        return list(itertools.takewhile(lambda name: name != self._last, reversed(sys.modules)))

    def candidates(self, file_name: str) -> Iterator[str]:
        """The modules that may come from a file of this name."""
        yield from self.since()
        yield from self._names.get(file_name, ())


_RELATIVE = re.compile(r"\bfrom[\s\\]*\.")
_OWN = re.compile(r"^from \.(\w+) import", re.MULTILINE)
_state = _State({}, [])
_imported = _Imported()
_ready = False


def prepare() -> None:
    """Put our loader in front of Python's own, in the process that all others are forked from.

    In a fork this would copy every page that Python's knowledge of the import path lies on.
    """
    global _imported, _ready
    _imported = _Imported()
    sys.path_hooks.insert(0, _finder)
    sys.path_importer_cache.clear()
    sys.meta_path += [_Above(), _Beside()]
    PathFinder.find_spec("_fixer_nowhere")  # each folder of the path is listed for it
    _ready = True


def install(texts: Mapping[str, str | None], roots: list[str], siblings: list[str]) -> None:
    """Lay `texts` (by path) over the tree; `roots` go before the import path.

    What lies in one of the folders `siblings` can be imported by its neighbours there, if it is nowhere else.
    A text of None stands for a file that this side does not have, whatever lies on disk.
    """
    global _state
    if not _ready:
        prepare()
    _state = _State(texts, roots, siblings)
    sys.path[:0] = [root for root in roots if root not in sys.path]
    for path, text in texts.items():
        if text is not None:
            # No modification time: `linecache` then never looks at the file on disk.
            linecache.cache[path] = (len(text), None, text.splitlines(True), path)


def imported() -> list[str]:
    """The modules that this process has imported itself, the last one first."""
    return _imported.since()


def exists(path: str) -> bool:
    """Whether this side has the file."""
    real = places.real(path)
    return real in _state.texts or (real not in _state.absent and os.path.isfile(path))


def _holds_texts(folder: str) -> bool:
    """Whether any file below a folder, which need not be on disk, is laid over."""
    inside = os.path.join(places.real(folder), "")
    return any(real.startswith(inside) for real in _state.texts)


def _finder(folder: str) -> FileFinder:
    """The finder for one entry of an import path; as a path hook, it refuses what is no folder."""
    if not os.path.isdir(folder or os.curdir) and not _holds_texts(folder):
        raise ImportError("only folders are supported", path=folder)
    return _Finder(
        folder,
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (_Loader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )


class _Finder(FileFinder):
    """Python's own finder, but for files that are in memory and not on disk, or the other way round."""

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        name = fullname.rpartition(".")[2]
        if name not in _state.moving:
            return super().find_spec(fullname, target)
        base = os.path.join(self.path, name)
        package, module = os.path.join(base, "__init__.py"), base + ".py"
        if not (_state.moves(package) or _state.moves(module)):
            return super().find_spec(fullname, target) or _namespace(fullname, base)
        if exists(package):
            return _spec(fullname, package, [base])
        if exists(module):
            return _spec(fullname, module)
        return _namespace(fullname, base)


def _namespace(name: str, folder: str) -> ModuleSpec | None:
    """The portion of a namespace package that a folder without `__init__.py` is on this side."""
    if not os.path.isdir(folder) and not _holds_texts(folder):
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [folder]
    return spec


class _Above(MetaPathFinder):
    """Finds packages without ``__init__.py`` that the texts lie in: nothing marks where their top is."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - importlib passes it
    ) -> ModuleSpec | None:
        for file, _ in _state.texts.values() if path is None else ():
            above, folder = os.path.split(os.path.dirname(os.path.abspath(file)))
            while folder:
                if folder == fullname:
                    return PathFinder.find_spec(fullname, [above])
                above, folder = os.path.split(above)
        return None


class _Beside(MetaPathFinder):
    """Finds the neighbours of a script that lies in a package: running it puts its folder on the import path.

    They are there for the files of that folder, and for what those import by such bare names. For everybody
    else they are not: whoever asks whether an optional library is installed must not get the module of the
    same name that adapts a package to it.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - importlib passes it
    ) -> ModuleSpec | None:
        importer, name = _importer() if path is None and _state.siblings else ("", "")
        for folder in _state.siblings if importer else ():
            inside = os.path.splitext(os.path.relpath(importer, folder))[0].split(os.sep)
            if len(inside) == 1 or ".".join(inside) in (name, f"{name}.__init__"):
                spec = PathFinder.find_spec(fullname, [folder])
                is_other = spec is not None and (spec.origin is None or places.real(spec.origin) != importer)
                if spec is not None and is_other and not _is_part_only(spec.origin):
                    return spec
        return None


def _is_part_only(origin: str | None) -> bool:
    """Whether a neighbour says ``from ..other import``, which it cannot where a bare name has imported it."""
    if origin is None or not origin.endswith(".py"):
        return False
    folder, file_name = os.path.split(origin)
    if file_name != "__init__.py":
        return _relative_level(origin) > 0
    first = [os.path.join(folder, f"{name}.py") for name in _OWN.findall(source_text(origin))]
    return any(_relative_level(path) > 1 for path in (origin, *filter(exists, first)))


_IMPORTLIB = os.path.dirname(importlib.__file__)


def _importer() -> tuple[str, str]:
    """The file whose code is importing something, and the name of its module; empty if there is none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(("<frozen ", _IMPORTLIB)) and name != __file__:
            return places.real(name), str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    return "", ""


class _Loader(SourceFileLoader):
    """Python's own loader, but for files that are laid over, sliced, or loaded under another name already."""

    def __init__(self, fullname: str, path: str) -> None:
        self._real = places.real(path)
        super().__init__(fullname, _state.texts[self._real][0] if self._real in _state.texts else path)

    def get_data(self, path: str) -> bytes:
        if places.real(path) in _state.texts:
            return source_text(path).encode()
        return super().get_data(path)

    def get_source(self, fullname: str) -> str | None:
        if self._real in _state.texts:
            return source_text(self._real)
        return super().get_source(fullname)

    def get_code(self, fullname: str) -> CodeType | None:
        if not _state.knows(self._real):
            return super().get_code(fullname)
        with Untraced():
            slices = _state.slices.get(self._real, (None, ()))
            if self._real not in _state.hosts:
                return _code(source_text(self.path), self.path, *slices)
            tree = _hosting().hosted(_tree(source_text(self.path), *slices), *_state.hosts[self._real])
            return compile(tree, self.path, "exec", dont_inherit=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002 - importlib passes it
        # One file is one module, whatever name it is imported by: else its classes would exist twice.
        return _state.loaded.get(self._real)

    def exec_module(self, module: ModuleType) -> None:
        if self._real in _state.loaded:
            module.__spec__ = _spec(module.__name__, self.path)
            return
        if _state.knows(self._real):
            _state.loaded[self._real] = module
        if self._real in _state.hosts:
            vars(module)[_hosting().LEFT_OUT] = _hosting().left_out
        try:
            super().exec_module(module)
        except BaseException:
            _state.loaded.pop(self._real, None)
            raise


@functools.lru_cache(maxsize=64)
def _code(text: str, path: str, sliced: bool | None, wanted: tuple[str, ...]) -> CodeType:
    """A file, compiled; the sides of a fix have many in common."""
    return compile(_tree(text, sliced, wanted), path, "exec", dont_inherit=True)


def _tree(text: str, sliced: bool | None, wanted: tuple[str, ...]) -> ast.Module:
    """A file that would run a training script, if `sliced` leaves that open: its definitions."""
    tree = ast.parse(text)
    if sliced or (sliced is None and slicing.runs_a_script(tree)):
        return slicing.definitions(tree, wanted)
    return tree


def _hosting() -> Any:
    """It needs torch, which the refusal to work without torch must not."""
    from . import hosting

    return hosting


def _spec(name: str, path: str, inside: list[str] | None = None) -> ModuleSpec:
    """The spec of a file, a package if modules are looked for inside of folders."""
    loader = _Loader(name, path)
    spec = importlib.util.spec_from_file_location(
        name, path, loader=loader, submodule_search_locations=inside
    )
    assert spec is not None
    return spec


def source_text(path: str) -> str:
    """A file's text on this side: from the overlay, else from disk."""
    real = places.real(path)
    if real in _state.texts:
        return _state.texts[real][1]
    if real in _state.absent:
        raise FileNotFoundError(f"{path} does not exist on this side")
    with open(real, "rb") as file:
        return importlib.util.decode_source(file.read())


def host(path: str, class_name: str, kept: Collection[int]) -> None:
    """Let the constructor of a class do without the statements that fail, but for those on `kept` lines."""
    _state.hosts[places.real(path)] = (class_name, kept)


def load(path: str, sliced: bool | None = None, wanted: Collection[str] = ()) -> ModuleType:
    """Import a file under the name its package gives it, or else under its stem.

    A file that would run a training script when imported is sliced to its definitions; `sliced` forces it or
    forbids it. `wanted` names the functions whose globals a slice has to keep, beside those of its classes.
    """
    try:
        return _load(path, sliced, wanted)
    except Exception as error:
        if not homes.move(error):
            raise
    return _load(path, sliced, wanted)


def _load(path: str, sliced: bool | None, wanted: Collection[str]) -> ModuleType:
    real = places.real(path)
    if real in _state.loaded:
        return _state.loaded[real]
    imported = _imported_from(real)
    if imported is not None:
        return imported
    _state.slices[real] = (sliced, tuple(wanted))
    package, stem, top = module_name(path)
    name = f"{package}.{stem}" if package else stem
    if top not in sys.path:
        sys.path.insert(0, top)
    if "." not in stem and name not in sys.modules and name not in sys.builtin_module_names:
        module = _import_around(name)
        if places.real(module.__file__ or "") == real:
            return module
    return _load_by_location(package, stem, path)


def _import_around(name: str) -> ModuleType:
    """Import a module; where that runs in a circle, what closes the circle is imported first.

    Whose modules import each other works for those who begin with the right one.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError) as error:
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        closes = None if last is None else last.tb_frame.f_globals.get("__name__")
        if "partially initialized module" not in str(error) or closes in (None, name):
            raise
        try:
            importlib.import_module(str(closes))
            return importlib.import_module(name)
        except Exception:  # what the first attempt says is what the user would see
            raise error from None


def _imported_from(real: str) -> ModuleType | None:
    """The module that a plain import has made of a file, if there was one."""
    file_name = os.path.basename(real)
    for name in _imported.candidates(file_name):
        module = sys.modules.get(name)
        origin = getattr(module, "__dict__", {}).get("__file__")  # not a lazy attribute
        if not isinstance(origin, str) or not origin.endswith(file_name) or name == "__main__":
            continue
        if places.real(origin) == real:
            return module
    return None


def _load_by_location(package: str, stem: str, path: str) -> ModuleType:
    """Import a file whose name is taken by another module, or is none that can be imported."""
    name = "_fixer_" + stem.replace(".", "_")
    if package:
        importlib.import_module(package)
        name = f"{package}.{name}"
    spec = _spec(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        assert spec.loader is not None
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def module_name(path: str) -> tuple[str, str, str]:
    """A file's package, its name in there, and the folder that has to be on the import path for it."""
    folder, file_name = os.path.split(os.path.abspath(path))
    stem = os.path.splitext(file_name)[0]
    packages: list[str] = []
    while exists(os.path.join(folder, "__init__.py")):
        folder, package = os.path.split(folder)
        packages.insert(0, package)
    level = 0 if packages else _relative_level(path)
    if level:
        # A package without `__init__.py`: its top is not marked, so the nearest root that will do is it.
        lowest = folder
        for _ in range(level):
            lowest = os.path.dirname(lowest)
        roots = [root for root in _state.roots if os.path.join(lowest, "").startswith(os.path.join(root, ""))]
        top = max(roots, key=len, default=lowest)
        return ".".join(os.path.relpath(folder, top).split(os.sep)), stem, top
    if stem == "__init__" and packages:
        stem = packages.pop()
    return ".".join(packages), stem, folder


def _relative_level(path: str) -> int:
    """How many packages a file goes up in its relative imports."""
    text = source_text(path)
    if not _RELATIVE.search(text):
        return 0
    tree = ast.parse(text)
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


def run_as_main(path: str) -> dict[str, Any]:
    """Execute a file as ``python FILE`` would and return its namespace."""
    module = ModuleType("__main__")
    module.__file__ = path
    module.__package__, _, top = module_name(path)
    sys.modules["__main__"] = module
    sys.argv[:] = [path]
    for entry in (top, os.path.dirname(path)):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    exec(compile(source_text(path), path, "exec", dont_inherit=True), module.__dict__)
    return module.__dict__
