"""Reads how others use a class: the arguments of the calls that build it and call it, wherever they stand.

Docstrings come first, then the class's own file, then the other files of the tree that name the class.
"""

from __future__ import annotations

import ast
import doctest
import functools
import inspect
import itertools
import math
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Union

from . import signatures, source, specs
from .expressions import Scope, arguments, imported_names, live_names
from .recipe import globals_of
from .sessions import lived

if TYPE_CHECKING:
    from .source import Sources
    from .specs import Spec, State

_MAX_CALLS = 5
_MAX_SHAPES = 12
_MAX_OBJECTS = 3
_CONFIGURATION = re.compile("cfg|config|setting|params|hparams|arch")
_MAX_RANK = 5
_MAX_STEPS = 4
_LARGE = 1 << 20
_SIDE = 32
"""What sides become where an input has more than so many numbers."""


class _Site(NamedTuple):
    """A call, with the names that its arguments may use."""

    node: ast.Call
    scope: Scope


def constructions(
    cls: type, parameters: list[inspect.Parameter], sources: Sources, elsewhere: bool = True
) -> Iterator[State]:
    """Yield the arguments with which the class is built somewhere, as far as they can be read.

    Without `elsewhere` only docstrings and the class's own file are read.
    """
    own = signatures.parameters_of(signatures.constructor(cls))
    any_name = any(item.kind is item.VAR_KEYWORD for item in own)
    found = (
        state
        for sites in (_places if elsewhere else _places_nearby)(cls, sources)
        for state in sorted(
            (_bound(site, parameters, any_name) for site in sites if _callee(site) == cls.__name__),
            key=_weight,
        )
    )
    return itertools.islice(_distinct(filter(None, found)), _MAX_CALLS)


def _distinct(found: Iterator[State]) -> Iterator[State]:
    """Yield what has not been yielded before: examples are read, and run."""
    seen: list[State] = []
    for state in found:
        if state not in seen:
            seen.append(state)
            yield state


def _weight(state: State) -> int:
    """The order of magnitude of all numbers: of the variants that a file builds, small ones are as good."""
    values = (leaf.get("value") for name in state for _, leaf in specs.leaves(state[name], (name,)))
    return sum(abs(value) for value in values if type(value) is int).bit_length()


def calls(
    cls: type, parameters: list[inspect.Parameter], sources: Sources, elsewhere: bool | None = None
) -> Iterator[State]:
    """Yield the inputs that instances of the class are called with, all of them known.

    `elsewhere` asks only for other files, which takes longer, or only for docstrings and the class's file.
    """
    places = {None: _places, True: _places_elsewhere, False: _places_nearby}[elsewhere]
    found = (
        _bound(site, parameters)
        for sites in places(cls, sources)
        for site in sites
        if _is_instance(site, cls.__name__)
    )
    complete = (state for state in found if any(map(specs.is_tensor, state.values())))
    smaller = (other for state in complete for other in _smaller(state))
    return itertools.islice(_distinct(smaller), _MAX_CALLS)


def _smaller(state: State) -> Iterator[State]:
    """Yield the inputs with less in them, then as they are: what was built may hold the size of a batch."""
    small = _small_batch(state)
    yield from _with_small_sides(small)
    yield small
    if small != state:
        yield state


def instances(cls: type, sources: Sources) -> Iterator[Spec]:
    """Yield the objects of a class (a configuration, say) that are made somewhere."""
    found = constructions(cls, signatures.constructor_parameters(cls), sources)
    return (specs.new(cls, state) for state in itertools.islice(found, _MAX_OBJECTS))


def equally_named(cls: type, parameters: list[inspect.Parameter], sources: Sources) -> Iterator[State]:
    """Yield what the class's file gives to required arguments of the same names, whoever takes them."""
    required = {parameter.name for parameter in parameters if signatures.is_required(parameter)}
    tree = sources.module_of(cls)
    values: dict[str, dict[str, Spec]] = {name: {} for name in required}
    scope = None if tree is None else Scope(tree, live=globals_of(cls))
    for node, inside in () if tree is None or scope is None else _nodes(tree, scope):
        for name, value in _named_values(node):
            spec = inside.read(value) if name in values else None
            if spec is not None and not specs.is_none(spec):
                values[name].setdefault(specs.text_of(spec), spec)
    for place in range(_MAX_OBJECTS):
        state = {name: list(found.values())[place] for name, found in values.items() if place < len(found)}
        if state:
            yield state


def _named_values(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the keyword arguments of a call, or the defaults of a function's parameters."""
    if isinstance(node, ast.Call):
        yield from ((item.arg, item.value) for item in node.keywords if item.arg is not None)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from ((name, default) for name, default in arguments(node).items() if default is not None)


def tables(cls: type, name: str) -> Iterator[Spec]:
    """Yield the dicts at the top of the class's file that a configuration of that name may come from."""
    word = _CONFIGURATION.search(name.lower())
    held = list(globals_of(cls).items()) if word else []
    found = [value for key, value in held if isinstance(value, dict) and _CONFIGURATION.search(key.lower())]
    entries = [entry for table in found for entry in (*itertools.islice(table.values(), _MAX_OBJECTS), table)]
    described = (specs.spec_of(entry) for entry in entries if isinstance(entry, (dict, list, tuple)))
    return itertools.islice((spec for spec in described if spec is not None), _MAX_CALLS)


def shapes(cls: type, sources: Sources) -> Iterator[list[int]]:
    """Yield the shapes of the random tensors that those who use the class make."""
    made = (
        site.scope.read(site.node)
        for sites in _places(cls, sources)
        for site in sites
        if _callee(site) in ("randn", "rand", "zeros", "ones", "Tensor")
    )
    found = (
        spec["shape"] for spec in made if spec and specs.is_tensor(spec) and len(spec["shape"]) <= _MAX_RANK
    )
    seen = ([min(shape[0], 2), *shape[1:]] if len(shape) > 1 else shape for shape in found)
    return itertools.islice(seen, _MAX_SHAPES)


def _callee(site: _Site) -> str:
    return (source.dotted(site.node.func) or "").rsplit(".", 1)[-1]


def _is_instance(site: _Site, class_name: str) -> bool:
    """Whether what is called was built from the class: at once, by a function, or into a name."""
    value: ast.expr | None = site.node.func
    scope = site.scope
    for _ in range(_MAX_STEPS):
        if isinstance(value, ast.Call):
            if (source.dotted(value.func) or "").rsplit(".", 1)[-1] == class_name:
                return True
            made = _made_by(value.func, scope)
            if made is not None:
                value, scope = made
            else:
                value = (
                    value.func.value if isinstance(value.func, ast.Attribute) else None
                )  # ``Net().eval()``
        elif value is not None:
            assigned = scope.assigned(value)
            fixture = _made_by(value, scope) if assigned is None else None
            value, scope = fixture or (assigned, scope)
    return False


def _made_by(name: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
    """What a function of the file gives, called or named as an argument, as tests name their fixtures."""
    last = (source.dotted(name) or "").rpartition(".")[2]
    if last not in _giving(scope.tree):
        return None
    value, around = _giving(scope.tree)[last]
    inner = Scope(scope.tree, live=scope.live)
    for definition in around:
        inner = inner.inside(definition)
    whole = inner.assigned(value) if isinstance(value, ast.Name) else value
    return (whole.elts[0] if isinstance(whole, ast.Tuple) and whole.elts else value), inner


_Definition = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef]


@functools.lru_cache(maxsize=256)
def _giving(tree: ast.Module) -> dict[str, tuple[ast.expr, tuple[_Definition, ...]]]:
    """Return what each function of a file gives, by its name, with the definitions around it and its own."""
    found: dict[str, tuple[ast.expr, tuple[_Definition, ...]]] = {}
    stack: list[tuple[ast.AST, tuple[_Definition, ...]]] = [(tree, ())]
    while stack:
        node, around = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            around = (*around, node)
        given = getattr(node, "value", None)
        if isinstance(node, (ast.Return, ast.Yield)) and isinstance(given, ast.expr):
            for definition in around:
                if not isinstance(definition, ast.ClassDef):
                    found.setdefault(definition.name, (given, around[: around.index(definition) + 1]))
        stack.extend((child, around) for child in reversed(list(ast.iter_child_nodes(node))))
    return found


def _small_batch(state: State) -> State:
    """Return the inputs with at most two in the batch, if that is what their first axes are."""
    tensors = [spec for spec in state.values() if specs.is_tensor(spec) and spec["shape"]]
    batch = tensors[0]["shape"][0] if tensors else 0
    if all(len(spec["shape"]) == 1 for spec in tensors):
        return state  # features of one sample
    if batch <= 2 or any(spec["shape"][0] != batch for spec in tensors):
        return state
    return {
        name: {**spec, "shape": [2, *spec["shape"][1:]]} if specs.is_tensor(spec) and spec["shape"] else spec
        for name, spec in state.items()
    }


def _with_small_sides(state: State) -> Iterator[State]:
    """Yield the inputs with smaller images or volumes, if they are large: what takes those takes most."""
    large = [
        name
        for name, spec in state.items()
        if specs.is_tensor(spec) and len(spec["shape"]) > 3 and math.prod(spec["shape"]) > _LARGE
    ]
    if large:
        yield {
            name: {**spec, "shape": [*spec["shape"][:2], *(min(side, _SIDE) for side in spec["shape"][2:])]}
            if name in large
            else spec
            for name, spec in state.items()
        }


def _places(cls: type, sources: Sources) -> Iterator[list[_Site]]:
    """Yield the calls of each text that may use the class, nearest text first."""
    yield from _places_nearby(cls, sources)
    yield from _places_elsewhere(cls, sources)


def _places_nearby(cls: type, sources: Sources) -> Iterator[list[_Site]]:
    for text in _docstrings(cls):
        for example in _examples(text):
            tree = source.parse(example)
            if tree is not None:
                yield _sites(tree, Scope(tree, live={**globals_of(cls), **imported_names(tree)}))
    own = sources.module_of(cls)
    if own is not None:
        # Examples stand outside of the class, mostly at the end of the file.
        others = [item for item in own.body if getattr(item, "name", None) != cls.__name__]
        scope = Scope(own, live=globals_of(cls))
        yield [site for item in reversed(others) for site in _sites(item, scope)]
    yield _lived(cls)


@functools.lru_cache(maxsize=8)
def _lived(cls: type) -> list[_Site]:
    """Return the calls in docstrings that name the class, with the values that running them gives."""
    found: list[_Site] = []
    for example in (item for text in _docstrings(cls) for item in _examples(text)):
        tree = source.parse(example) if f"{cls.__name__}(" in example else None
        if tree is not None:
            live = {**globals_of(cls), **imported_names(tree), cls.__name__: cls}
            for statement, scope in lived(tree, live):
                found += _sites(statement, scope)
    return found


def _docstrings(cls: type) -> list[str]:
    """Return the texts that may show how a class is used: its own, those of its methods, its file's."""
    methods = [vars(cls).get(name) for name in ("__init__", "__new__", "forward")]
    owners = [cls, *(getattr(item, "__func__", item) for item in methods), sys.modules.get(cls.__module__)]
    found = [getattr(owner, "__doc__", None) for owner in owners]
    return [text for text in found if isinstance(text, str)]


def _places_elsewhere(cls: type, sources: Sources) -> Iterator[list[_Site]]:
    for filename, tree in sources.mentioning(cls):
        yield _sites_of_file(filename, tree, len(sys.modules))


@functools.lru_cache(maxsize=128)
def _sites_of_file(filename: str, tree: ast.Module, _loaded: int) -> list[_Site]:
    """Return all calls of a file; what its names mean depends on what is loaded."""
    return _sites(tree, Scope(tree, live=live_names(filename, tree)))


def forget() -> None:
    """Look up again what the names of a file stand for."""
    _sites_of_file.cache_clear()


def _sites(tree: ast.AST, scope: Scope) -> list[_Site]:
    """Return all calls below a node with their scopes."""
    return [_Site(node, inside) for node, inside in _nodes(tree, scope) if isinstance(node, ast.Call)]


def _nodes(tree: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    """Yield all nodes below one with their scopes, in source order."""
    stack = [(tree, scope)]
    while stack:
        node, inside = stack.pop()
        yield node, inside
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inside = inside.inside(node)
        stack.extend((child, inside) for child in reversed(list(ast.iter_child_nodes(node))))


_FENCED = re.compile(r"```(?:python|py)?\n(.*?)```", re.DOTALL)
_HEADING = re.compile(r"::\s*$|code-block::|^\s*(example|usage)s?\s*:?\s*$", re.IGNORECASE)


def _indented(text: str) -> Iterator[str]:
    """Yield the blocks below ``::``, ``.. code-block:: python`` or a heading that says it is an example."""
    lines = inspect.cleandoc(text).splitlines()
    for place, line in enumerate(lines):
        if _HEADING.search(line):
            depth = len(line) - len(line.lstrip())
            inside = itertools.takewhile(
                lambda below, depth=depth: not below.strip() or below[: depth + 1].isspace(),  # type: ignore[misc]
                lines[place + 1 :],
            )
            options = itertools.dropwhile(lambda below: re.match(r"\s*(:\w+:|$)", below), inside)
            block = textwrap.dedent("\n".join(options))
            if block and ">>>" not in block:
                yield block


def _examples(text: str) -> list[str]:
    """Return the code in a docstring: sessions as one text, so that later lines know earlier names."""
    try:
        session = "".join(example.source for example in doctest.DocTestParser().get_examples(text))
    except ValueError:  # the text only looks like a session
        session = ""
    return [example for example in (session, *_FENCED.findall(text), *_indented(text)) if example]


def _bound(site: _Site, parameters: list[inspect.Parameter], takes_any_name: bool = False) -> State:
    """Return what a call gives to each parameter, as far as that can be read."""
    names = [parameter.name for parameter in parameters if not signatures.is_variadic(parameter)]
    plain = list(itertools.takewhile(lambda item: not isinstance(item, ast.Starred), site.node.args))
    given: dict[str, Spec | None] = {name: site.scope.read(item) for name, item in zip(names, plain)}
    place = signatures.place_of_variadic(parameters)
    if place is not None and plain[place:]:
        several = [site.scope.read(item) for item in plain[place:]]
        given = {name: given[name] for name in names[:place] if name in given}
        known = [item for item in several if item is not None]
        whole = len(known) == len(site.node.args) - place
        given[parameters[place].name] = specs.sequence("tuple", known) if whole else None
    by_name = site.scope.keywords(site.node).items()
    given.update((name, spec) for name, spec in by_name if name in names or takes_any_name)
    return {name: spec for name, spec in given.items() if spec is not None}
