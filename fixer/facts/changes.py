"""Whether what a projection is computed from stays what it was when the module was built.

A projection in `forward` follows a new bound or mask at once; one that runs after a step follows it late.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from fixer.facts.file import File, Function, dotted, self_name
from fixer.facts.instances import Instances
from fixer.facts.kinds import Answer
from fixer.facts.project import Class, Project
from fixer.facts.projections import Projecting
from fixer.facts.updates import is_in_place, reached_from, written_attributes


def changed_later(project: Project, cls: Class, methods: Iterable[Projecting]) -> str | None:
    """What the projections read and other code changes after construction, and where, as a clause."""
    instances = Instances(project, cls)
    reads: set[str] = set()
    runs: set[Function] = set()
    for method in methods:
        reads |= _reads(cls.file, method)
        runs.add(method.function)
    for name in sorted(reads):
        place = _change_in_family(instances, name, runs) or _change_elsewhere(instances, name)
        if place is not None:
            return f"`{name}` is changed in {place}, which the projection follows only after the next step"
    return None


def absent_at_first(project: Project, cls: Class, methods: Iterable[Projecting]) -> str | None:
    """An attribute that the projections read and that only subclasses, or other methods, give an object."""
    if not project.has_known_bases(cls):
        return None
    present = {*project.class_slots(cls)}
    for relative in project.lineage(cls):
        present |= {*relative.methods, *_class_level(relative.node)}
    for method in methods:
        own = self_name(method.function)
        reads = _reads(cls.file, method, of=own)
        if reads - present:
            return min(reads - present)
    return None


def _class_level(node: ast.ClassDef) -> Iterator[str]:
    """The names that the body of a class binds or annotates."""
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


def _reads(file: File, method: Projecting, of: str | None = None) -> set[str]:
    """The attributes of plain names (or of one) that the projections read, the parameters' own left out."""
    written = {
        part
        for update, _ in method.updates
        for part in ast.walk(update.parameter)
        if isinstance(part, ast.Attribute)
    }
    targets = {ast.unparse(part) for part in written}
    nodes: list[ast.AST] = [update.statement for update, _ in method.updates]
    nodes += [frame.head for unit in method.units for frame in unit.frames]
    nodes += [
        part.test for unit in method.units for part in ast.walk(unit.statement) if isinstance(part, ast.If)
    ]
    nodes += [support.value for support in method.support]
    nodes += [method.call] if method.call is not None else []
    found = set()
    for part in (part for node in nodes for part in ast.walk(node)):
        if not isinstance(part, ast.Attribute) or not isinstance(part.value, ast.Name):
            continue
        parent = file.parents[part]
        called = isinstance(parent, ast.Call) and parent.func is part
        imported = part.value.id in file.imports
        if of not in (None, part.value.id):
            continue
        if not (called or imported or part.attr in ("data", "training") or ast.unparse(part) in targets):
            found.add(part.attr)
    return found


def _change_in_family(instances: Instances, name: str, runs: set[Function]) -> str | None:
    """A method that changes an attribute of its object, other than while that is constructed."""
    project = instances.project
    constructing = {
        reached.function
        for heir in instances.heirs
        for reached in reached_from(project, heir, "__init__").values()
    }
    for owner in instances.family:
        for method in owner.methods.values():
            if method in runs or not (name in written_attributes([method]) or _registers(method, name)):
                continue
            if method in constructing and not _is_called_elsewhere(project, method, constructing):
                continue
            return f"`{method.name}`"
    return None


def _registers(method: Function, name: str) -> bool:
    """``self.register_buffer("mask", mask)``."""
    return any(
        isinstance(node, ast.Call)
        and (dotted(node.func) or "").rpartition(".")[2] in ("register_buffer", "setattr", "__setattr__")
        and any(isinstance(argument, ast.Constant) and argument.value == name for argument in node.args)
        for node in ast.walk(method)
    )


def _is_called_elsewhere(project: Project, method: Function, callers: set[Function]) -> bool:
    """Whether anything but some functions mentions a method, which its name alone is enough for."""
    if method.name == "__init__":
        return False
    return any(
        isinstance(node, ast.Attribute) and node.attr == method.name and file.function(node) not in callers
        for file in project.mentioning(method.name.encode())
        for node in ast.walk(file.tree)
    )


def _change_elsewhere(instances: Instances, name: str) -> str | None:
    """A line outside of the class's family that changes an attribute of what may be an instance."""
    family = {cls.node for cls in instances.family}
    for file in instances.project.mentioning(name.encode()):
        for node in _changed(file, name):
            inside = any(ancestor in family for ancestor in file.ancestors(node))
            owner = dotted(node.value)
            constructs = getattr(file.function(node), "name", "") == "__init__" and owner == "self"
            if not inside and not constructs and instances.holds(file, node.value, name) is not Answer.NO:
                return f"line {node.lineno} of {file.path.name}"
    return None


def _changed(file: File, name: str) -> Iterator[ast.Attribute]:
    """The attributes of a name that a file assigns, or changes in place (``m.mask.data[0] = 1``)."""
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Attribute) or node.attr != name:
            continue
        outer: ast.expr = node
        while True:
            parent = file.parents[outer]
            if isinstance(getattr(outer, "ctx", None), (ast.Store, ast.Del)):
                yield node
            elif isinstance(parent, (ast.Attribute, ast.Subscript)) and parent.value is outer:
                in_place = isinstance(parent, ast.Attribute) and is_in_place(parent.attr)
                if in_place and isinstance(file.parents[parent], ast.Call):
                    yield node
                    break
                outer = parent
                continue
            break
