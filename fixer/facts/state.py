"""Which state of its object, or of the program, a method changes that other code reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fixer.facts import Answer, Function, dotted
from fixer.facts.instances import Instances

_MUTATORS = frozenset(
    "add append appendleft clear discard extend insert pop popitem popleft remove reverse setdefault sort "
    "update".split()
)


def changed_state(instances: Instances, method: Function) -> str | None:
    """What a method changes that others read, as code to show; None if it changes nothing of the kind."""
    own = set(ast.walk(method))
    for written, attribute in _changes(instances, method):
        if attribute is None or _is_read(instances, attribute, own):
            return f"`{written}`"
    return None


def _changes(instances: Instances, method: Function) -> Iterator[tuple[str, str | None]]:
    """Each change as written, with the attribute of the object that it concerns; None for anything else."""
    arguments = [argument.arg for argument in ast.walk(method.args) if isinstance(argument, ast.arg)]
    own = (method.args.posonlyargs or method.args.args)[0].arg
    names = (node for node in ast.walk(method) if isinstance(node, ast.Name))
    local = {*arguments, *(name.id for name in names if isinstance(name.ctx, ast.Store))} - {own}
    methods = {name for cls in instances.family for name in cls.methods}
    for node in ast.walk(method):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            yield ", ".join(node.names), None
        target = _changed(node, own)
        path = dotted(target) if target is not None else None
        if path is None:
            continue
        root, _, rest = path.partition(".")
        attribute = rest.partition(".")[0]
        if root == own and attribute:
            yield path, None if attribute in methods else attribute
        elif root not in local and root not in instances.cls.file.imports:
            yield path, None


def _changed(node: ast.AST, own: str) -> ast.expr | None:
    """The object or path that a node writes to."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return node
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return _container(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        in_place = node.func.attr.endswith("_") and not node.func.attr.endswith("__")
        if in_place or node.func.attr in _MUTATORS:
            return _container(node.func.value)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = node.value.func  # its result is thrown away: it is called for what it does
        if isinstance(called, ast.Attribute) and (dotted(called) or "").startswith(f"{own}."):
            return called if isinstance(called.value, ast.Name) else called.value
    return None


def _container(node: ast.expr) -> ast.expr:
    while isinstance(node, (ast.Subscript, ast.Call)):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    return node


def _is_read(instances: Instances, attribute: str, own: set[ast.AST]) -> bool:
    for file in instances.project.mentioning(attribute.encode()):
        for node in ast.walk(file.tree):
            if node in own:
                continue
            if isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.ctx, ast.Load):
                if instances.holds(file, node.value, attribute) is not Answer.NO:
                    return True
            elif isinstance(node, ast.Constant) and node.value == attribute and instances.mentioned_in(file):
                return True
    return False
