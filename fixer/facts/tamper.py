"""Code that takes a Parameter out of its slot, seen by its syntax anywhere in a scope."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fixer.facts.file import File, dotted

EVERY = "*"
"""Stands for every attribute: the code names its slot by a value that is not literal."""

SLOT_CHANGERS = frozenset(
    "delattr weight_norm spectral_norm remove_weight_norm remove_spectral_norm "
    "register_parametrization remove_parametrizations orthogonal l1_unstructured random_unstructured "
    "ln_structured random_structured identity custom_from_mask global_unstructured __setattr__ __delattr__ "
    "make_functional make_functional_with_buffers".split()
)
"""Functions and methods that delete a slot or put something else than a Parameter into it."""

_BY_NAME = frozenset({"delattr", "__setattr__", "__delattr__"})
_READING = frozenset({"items", "keys", "values", "get"})


def tampered(file: File, scope: ast.AST) -> frozenset[str]:
    """Names of the attributes whose slots the code in `scope` may change, nested functions included."""
    return frozenset(name for node in ast.walk(scope) for name in _names(file, node))


def _names(file: File, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Delete(targets=targets):
            yield from (target.attr for target in targets if isinstance(target, ast.Attribute))
        case ast.Call(func=function, args=arguments):
            last = (dotted(function) or "").rpartition(".")[2]
            if last in SLOT_CHANGERS:
                literal = [a.value for a in arguments if isinstance(a, ast.Constant)]
                named = [value for value in literal if isinstance(value, str)]
                yield from named or ([EVERY] if last in _BY_NAME or len(arguments) > 1 else ["weight"])
        case ast.Attribute(attr="_parameters"):
            yield from _dictionary(file.parents[node])


def _dictionary(use: ast.AST) -> Iterator[str]:
    """What a use of `_parameters` may change; reading is harmless."""
    match use:
        case ast.Subscript(slice=key, ctx=ast.Store() | ast.Del()):
            yield key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else EVERY
        case ast.Subscript() | ast.Compare() | ast.For() | ast.comprehension():
            return
        case ast.Attribute(attr=method) if method in _READING:
            return
        case _:
            yield EVERY
