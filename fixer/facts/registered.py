"""Is the attribute that a statement assigns certainly the slot of a registered Parameter?

The flow knows what an attribute holds. An assignment raises only if it also reaches `nn.Module.__setattr__`
and finds the name among the module's parameters; this asks for everything that can come in between.
"""

from __future__ import annotations

import ast

from fixer.facts.file import File, Function
from fixer.facts.flow import Flow
from fixer.facts.kinds import Answer, ModuleKind, is_parameter, options, without_none
from fixer.facts.project import Class, Project, is_known_base
from fixer.facts.tamper import EVERY, tampered
from fixer.facts.torch_facts import WRAPPERS


def registered_parameter(
    flow: Flow, target: ast.AST, owner: ast.expr, name: str, *, filled: bool = False
) -> Answer:
    """Whether `target`, which assigns attribute `name` of `owner`, assigns a registered Parameter's slot.

    `target` is the attribute of an assignment or the call of `setattr`; `filled` says that the slot does not
    hold None where the statement gets as far as the assignment.
    """
    replaced = flow.replaced_by(target)
    held = is_parameter(without_none(replaced) if filled else replaced)
    if held is not Answer.YES:
        return held
    owners = options(flow.kind(owner))
    if not all(isinstance(kind, ModuleKind) for kind in owners):
        return Answer.UNKNOWN
    if _is_named({name, EVERY}, flow.file, _scope(flow.file, target)):
        return Answer.UNKNOWN
    certain = all(_is_plain_slot(flow.project, kind, name) for kind in owners if isinstance(kind, ModuleKind))
    return Answer.YES if certain else Answer.UNKNOWN


def _scope(file: File, node: ast.AST) -> ast.AST:
    """The outermost class or function around a node, else the file."""
    outer = [a for a in file.ancestors(node) if isinstance(a, (ast.ClassDef, Function))]
    return outer[-1] if outer else file.tree


def _is_named(names: set[str], file: File, scope: ast.AST) -> bool:
    return not names.isdisjoint(tampered(file, scope))


def _is_plain_slot(project: Project, owner: ModuleKind, name: str) -> bool:
    """Whether no class that the owner may have puts something between an assignment and the slot."""
    if owner.cls.name in WRAPPERS:
        return False
    cls = project.find_class(owner.cls)
    if cls is None:
        return is_known_base(owner.cls.name)
    heirs = [] if owner.exact else project.subclasses(cls)
    return _leaves_slot(project, cls, name) and all(
        _leaves_slot(project, heir, name)
        and is_parameter(project.class_slots(heir).get(name, owner)) is Answer.YES
        for heir in heirs
    )


def _leaves_slot(project: Project, cls: Class, name: str) -> bool:
    lineage = project.lineage(cls)
    return project.has_known_bases(cls) and not any(
        "__setattr__" in ancestor.methods
        or name in ancestor.methods
        or _is_named({name, EVERY}, ancestor.file, ancestor.node)
        for ancestor in lineage
    )
