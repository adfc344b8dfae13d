"""What a class stores only for a method that goes: ``self.x = x`` in `forward`, and its placeholder.

An attribute goes as a whole or stays as a whole: everything that writes it must be removable without a
trace, and nothing else in the tree may read it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from fixer.facts import Answer, Class, File, Function, Project, dotted, is_parameter
from fixer.facts.instances import Instances, enclosing_self, in_body_of
from fixer.facts.kinds import UNKNOWN, ModuleKind, is_tensor_like, options
from fixer.facts.torch_facts import torch_facts

_CONSTRUCTORS = ("__init__", "reset_parameters")
_STATE_METHODS = frozenset(
    "__getattr__ __getattribute__ __setattr__ __delattr__ __getstate__ __setstate__ __reduce__ __reduce_ex__ "
    "__deepcopy__ __copy__ __dir__".split()
)
_ACCESSORS = ("delattr", "getattr", "hasattr", "setattr")
_BY_NAME = (b"attr(", b"attrgetter", b"__dict__", b"vars(")
_RANDOM = frozenset(
    "alpha_dropout bernoulli binomial dropout dropout1d dropout2d dropout3d feature_alpha_dropout "
    "feature_dropout gumbel_softmax multinomial normal poisson rand rand_like randint randint_like randn "
    "randn_like randperm rrelu rrelu_".split()
)
_PURE_METHODS = frozenset("dim get_device item nelement numel size tolist type".split())
_PURE_BUILTINS = frozenset("abs bool float int len max min range str sum tuple list".split())
_PURE_NODES = (
    *(ast.Name, ast.Constant, ast.Subscript, ast.Slice, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare),
    *(ast.IfExp, ast.Tuple, ast.List, ast.Dict, ast.Attribute, ast.Call, ast.keyword),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)


@dataclass(frozen=True)
class Removal:
    """One write of an attribute that goes."""

    file: File
    statement: ast.Assign | ast.AnnAssign
    target: ast.Attribute
    whole: bool
    """Whether the statement goes, or only this one of its targets (``out = self.out = f(x)``)."""
    value: ast.expr | None = None
    """What goes along with a target in ``self.x, self.y = x, y``."""


def leftovers(instances: Instances, method: Function) -> dict[str, list[Removal]]:
    """The attributes that only `method` reads, with all their writes; those that only these read, too."""
    found: dict[str, list[Removal]] = {}
    if _exposes_attributes(instances.family):
        return found
    stored = {
        node.attr
        for cls in instances.family
        for node in ast.walk(cls.node)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    gone: set[ast.AST] = set(ast.walk(method))
    names = [name for name in _loaded(method) if name in stored]
    for name in names:
        removals = _writes(instances, name, gone)
        if not removals:
            continue
        found[name] = removals
        for removal in removals:
            if removal.whole:
                gone.update(ast.walk(removal.statement))
                fresh = [other for other in _loaded(removal.statement) if other in stored]
                names += [other for other in fresh if other not in names]
    return found


def _loaded(node: ast.AST) -> list[str]:
    """The attributes of plain names that a piece of code reads, each once."""
    return list(
        dict.fromkeys(
            part.attr
            for part in ast.walk(node)
            if isinstance(part, ast.Attribute)
            and isinstance(part.ctx, ast.Load)
            and isinstance(part.value, ast.Name)
        )
    )


def _exposes_attributes(family: Iterable[Class]) -> bool:
    """Whether a class hands out its attributes under names that cannot be followed."""
    for cls in family:
        if not _STATE_METHODS.isdisjoint(cls.methods) or any(
            "dataclass" in ast.unparse(decorator) or "attr" in ast.unparse(decorator)
            for decorator in cls.node.decorator_list
        ):
            return True
        for node in ast.walk(cls.node):
            if isinstance(node, ast.Attribute) and node.attr == "__dict__":
                return True
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                literal = len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
                if node.func.id == "vars" or (node.func.id in _ACCESSORS and not literal):
                    return True
    return False


def _writes(instances: Instances, name: str, gone: set[ast.AST]) -> list[Removal] | None:
    """Every write of an attribute, None if something else reads it or a write has to stay."""
    removals: list[Removal] = []
    for file in instances.project.mentioning(name.encode()):
        by_name = instances.mentioned_in(file) or any(word in file.source.data for word in _BY_NAME)
        for node in ast.walk(file.tree):
            if node in gone:
                continue
            if isinstance(node, ast.Constant) and node.value == name and by_name:
                return None
            if _names_member(node, name) and in_body_of(file, node, instances.family):
                return None
            if not isinstance(node, ast.Attribute) or node.attr != name:
                continue
            if instances.holds(file, node.value, name) is Answer.NO:
                continue
            removal = _removal(instances, file, node) if isinstance(node.ctx, ast.Store) else None
            if removal is None:
                return None
            removals.append(removal)
    return removals if any(not _is_placeholder(removal) for removal in removals) else None


def _names_member(node: ast.AST, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name) or (
        isinstance(node, Function) and node.name == name
    )


def _is_placeholder(removal: Removal) -> bool:
    function = removal.file.function(removal.statement)
    return function is not None and function.name in _CONSTRUCTORS


def _removal(instances: Instances, file: File, target: ast.Attribute) -> Removal | None:
    """How one write of ``self.name`` can go, None if it has to stay."""
    statement = file.statement(target)
    function = file.function(target)
    cls = file.class_of(function) if function else None
    if cls is None or function is None or not isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return None
    if function.args.args[:1] == [] or dotted(target.value) != function.args.args[0].arg:
        return None
    value = _paired(statement, target)
    if value is None:
        return None
    if function.name in _CONSTRUCTORS:
        if not _is_constant(value) or _targets(statement) != [target]:
            return None
        return Removal(file, statement, target, whole=True)
    flow = instances.project.flow(file, function)
    kind = flow.kind(value) if flow else UNKNOWN
    if is_parameter(kind) is Answer.YES or any(isinstance(option, ModuleKind) for option in options(kind)):
        return None  # storing it registers it
    if isinstance(value, ast.Attribute) and kind == UNKNOWN:
        return None  # may be a parameter or a layer, which storing registers
    paired = value is not statement.value
    if len(_targets(statement)) > 1 and not paired:
        return Removal(file, statement, target, whole=False)
    methods = {name for relative in instances.family for name in relative.methods}
    touched = {node.attr for node in ast.walk(value) if isinstance(node, ast.Attribute)}
    if methods & touched or not is_pure(instances.project, file, value):
        return None
    return Removal(file, statement, target, whole=not paired, value=value if paired else None)


def _paired(statement: ast.Assign | ast.AnnAssign, target: ast.Attribute) -> ast.expr | None:
    """What a target gets: the value, or its part where a tuple is assigned to a tuple on one line."""
    match statement:
        case ast.AnnAssign(target=only, value=value) if only is target:
            return value
        case ast.Assign(targets=targets, value=value) if target in targets:
            return value
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if (
            target in targets
            and len(targets) == len(values)
            and statement.lineno == statement.end_lineno
            and not any(isinstance(part, ast.Starred) for part in [*targets, *values])
        ):
            return values[targets.index(target)]
    return None


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, (ast.List, ast.Tuple)):
        return not node.elts
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Dict) and not node.keys)


def is_pure(project: Project, file: File, node: ast.expr) -> bool:
    """Whether evaluating an expression leaves no trace: no side effect, no random draw, no layer called."""
    return all(
        isinstance(part, _PURE_NODES)
        and not (isinstance(part, ast.Call) and not _pure_call(project, file, part))
        for part in ast.walk(node)
    )


def _pure_call(project: Project, file: File, call: ast.Call) -> bool:
    facts = torch_facts()
    symbol = project.resolve(file, call.func)
    name = symbol.name if symbol else dotted(call.func) or ""
    module, _, function = name.rpartition(".")
    last = call.func.attr if isinstance(call.func, ast.Attribute) else function
    if last in _RANDOM or last.endswith("_") or any(keyword.arg == "out" for keyword in call.keywords):
        return False
    if symbol is not None:
        if symbol.path is not None:
            return False
        return (module == "torch" and function in facts.functions) or (
            module == "torch.nn.functional" and function in facts.functional
        )
    if isinstance(call.func, ast.Name):
        return call.func.id in _PURE_BUILTINS
    known = last in facts.methods or last in _PURE_METHODS
    return known and not _on_unknown_member(project, file, call.func)


def _on_unknown_member(project: Project, file: File, function: ast.expr) -> bool:
    """Whether a method of `self`, or of a member that may be a layer, is called: ``self.norm(x)``."""
    receiver = function.value if isinstance(function, ast.Attribute) else function
    root = receiver
    while isinstance(root, (ast.Attribute, ast.Subscript)):
        root = root.value
    if enclosing_self(file, root) is None:
        return False
    flow = project.flow(file, file.function(function) or file.tree)
    kind = flow.kind(receiver) if flow else UNKNOWN
    return kind == UNKNOWN or not is_tensor_like(kind)
