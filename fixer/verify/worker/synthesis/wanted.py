"""Which kinds of values would do instead of one that was refused: what the guard or the message says."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from . import source

if TYPE_CHECKING:
    from .probing import Failure
    from .source import Sources

_CALLED = ("class", "callable", "module")
# The kinds that would do, and what an error says about an argument that should be one of them.
_SAID = (
    (("tuple",), r"(must|needs to|should) be (a )?tuple"),
    (("modules",), r"extend should be called with an iterable"),
    (
        ("list", "modules", "namespace"),
        r"is not (iterable|subscriptable)|has no len|cannot unpack|after \* must",
    ),
    (("list", "modules", "namespace"), r"(must|needs to|should) be (a )?(list|sequence|iterable)"),
    (_CALLED, r"is not callable"),
    (("class", "module"), r"not a Module subclass"),
    (("module",), r"not a Module|must be .*Module|[Uu]nsupported (layer|module)|(layer|module)s? of type"),
    (("tensor",), r"has no attribute '(shape|size|dim|clone|detach|dtype)'|argument .* must be Tensor"),
    (("array",), r"has no attribute '(astype|tolist)'|expected np.ndarray"),
    (("str",), r"has no attribute '(lower|split|startswith|upper)'"),
    (("module",), r"has no attribute '(parameters|modules|eval|train|state_dict|forward|weight|inverse)'"),
    (("module",), r"has no attribute '(log_prob|sample)'"),
    (("namespace", "module", "list"), r"'\w+' object has no attribute"),
    (
        ("namespace",),
        r"argument after \*\* must be a mapping|must be integers( or slices)?, not '?str",
    ),
    (("tensor", "int"), r"between instances of '(Tensor|list|tuple)' and"),
    (
        ("int", "float", "list"),
        r"interpreted as an integer|must be (an? )?int|invalid combination of arguments",
    ),
    (
        ("int", "float", "list"),
        r"unsupported operand|not supported between|must be real number|tuple of ints",
    ),
    (("int", "float", "list"), r"multiply sequence|int\(\) argument|can only concatenate"),
)


def kinds(failure: Failure, sources: Sources) -> list[str]:
    """Return the kinds that a failure asks for, likeliest first."""
    said = next((kinds for kinds, pattern in _SAID if re.search(pattern, failure.message)), ())
    if said == _CALLED and all(frame.function != "__init__" for frame in failure.own_frames[-1:]):
        said = said[::-1]  # what `forward` calls is seldom a class
    return list(dict.fromkeys([*_guarded(failure, sources), *_listed(failure, sources), *said]))


def _listed(failure: Failure, sources: Sources) -> list[str]:
    """Return what a failing line wants that makes a ``ModuleList`` or a ``Sequential`` of something."""
    frame = next(iter(reversed(failure.own_frames)), None)
    statement = sources.statement(frame.filename, frame.line) if frame is not None else None
    if statement is None or "Module subclass" not in failure.message:
        return []
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    makers = {(source.dotted(node.func) or "").rpartition(".")[2] for node in calls}
    return ["modules"] if makers & {"ModuleList", "Sequential"} else []


_KIND_OF_TYPE = {
    "tuple": "tuple",
    "list": "list",
    "int": "int",
    "float": "float",
    "str": "str",
    "bool": "bool",
    "dict": "namespace",
    "Module": "module",
    "Tensor": "tensor",
    "Sequence": "list",
}


def _guarded(failure: Failure, sources: Sources) -> list[str]:
    """Return the kinds that a failing ``assert isinstance(...)`` (or the `if` around a raise) allows."""
    frame = next(iter(reversed(failure.own_frames)), None)
    guard = sources.guard(frame.filename, frame.line) if frame is not None else None
    if guard is None or not isinstance(failure.error, (AssertionError, TypeError, ValueError)):
        return []
    calls = (node for node in ast.walk(guard) if isinstance(node, ast.Call))
    tests = [node for node in calls if source.dotted(node.func) == "isinstance" and len(node.args) == 2]
    types = (source.dotted(item) for test in tests for item in ast.walk(test.args[1]))
    return [
        _KIND_OF_TYPE[last]
        for last in (path.rsplit(".", 1)[-1] for path in types if path)
        if last in _KIND_OF_TYPE
    ]
