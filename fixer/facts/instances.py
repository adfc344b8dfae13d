"""Whether an expression may be an instance of a class, and who may call one of its methods."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from fixer.facts import Answer, Class, File, Function, Project, Symbol, dotted
from fixer.facts.file import walk_function
from fixer.facts.kinds import (
    ClassKind,
    FunctionKind,
    Kind,
    ModuleKind,
    NoneKind,
    OptimizerKind,
    ParameterKind,
    Plain,
    SequenceKind,
    TensorKind,
    options,
)
from fixer.facts.torch_facts import WRAPPERS, torch_facts

NEVER_INSTANCES = (TensorKind, ParameterKind, Plain, NoneKind, OptimizerKind, SequenceKind)
_TENSOR_METHODS = frozenset("detach item mean numpy squeeze sum tolist unsqueeze view".split())
_TENSOR_ATTRIBUTES = frozenset("grad grad_fn is_leaf requires_grad retain_grad".split()) | _TENSOR_METHODS
_SCALERS = frozenset(("scale", "scale_loss"))
"""What mixed-precision helpers name the method that returns the scaled loss."""
_MODULE_ATTRIBUTES = frozenset("eval forward modules parameters state_dict train zero_grad".split())
_BY_NAME = frozenset("attrgetter getattr methodcaller setattr".split())


class Reach(IntEnum):
    """How likely it is that a reference reaches a method."""

    NEVER = 0
    POSSIBLE = 1
    LIKELY = 2


@dataclass(frozen=True)
class Reference:
    """A place that may call a method."""

    file: File
    node: ast.expr
    reach: Reach


class Instances:
    """Knows the instances of a class: its own, its subclasses', and what a variable typed as a base holds."""

    def __init__(self, project: Project, cls: Class) -> None:
        self.project = project
        self.cls = cls

    @cached_property
    def heirs(self) -> list[Class]:
        """The class and its subclasses."""
        return [self.cls, *self.project.subclasses(self.cls)]

    @cached_property
    def family(self) -> list[Class]:
        """The heirs and all their ancestors in the tree: a method of any of these may run on an instance."""
        found: dict[Symbol, Class] = {}
        for heir in self.heirs:
            found.update((ancestor.symbol, ancestor) for ancestor in self.project.lineage(heir))
        return list(found.values())

    @cached_property
    def _symbols(self) -> frozenset[Symbol]:
        return frozenset(cls.symbol for cls in self.family)

    def mentioned_in(self, file: File) -> bool:
        """Whether a file names the class or a subclass."""
        return any(heir.node.name.encode() in file.source.data for heir in self.heirs)

    def holds(self, file: File, node: ast.expr, attribute: str) -> Answer:
        """Whether an expression, of which `attribute` is taken, is an instance."""
        if isinstance(node, ast.Call) and dotted(node.func) == "super":
            return self._in_class(file, node)
        owner = enclosing_self(file, node)
        if owner is not None:
            return self._is_family(file, owner)
        scope = file.function(node) or file.tree
        flow = self.project.flow(file, scope)
        kinds = options(flow.kind(node)) if flow else frozenset({Kind()})
        answers = {self._of_kind(kind, attribute) for kind in kinds}
        if Answer.YES in answers:
            return Answer.YES
        if Answer.UNKNOWN not in answers or self._is_no_module(file, node):
            return Answer.NO
        return self._of_bindings(file, node, attribute)

    def of_definition(self, file: File, node: ast.Attribute) -> Answer:
        """Whether an attribute is a function of the class itself (``Net.backward``), or of something else."""
        flow = self.project.flow(file, file.function(node) or file.tree)
        kind = flow.kind(node) if flow else None
        if not isinstance(kind, FunctionKind):
            return Answer.UNKNOWN
        owner = Symbol(kind.symbol.name.rpartition(".")[0], kind.symbol.path)
        return Answer.YES if owner in self._symbols else Answer.NO

    def _in_class(self, file: File, node: ast.AST) -> Answer:
        owner = next((a for a in file.ancestors(node) if isinstance(a, ast.ClassDef)), None)
        return self._is_family(file, owner) if owner is not None else Answer.UNKNOWN

    def _is_family(self, file: File, node: ast.ClassDef) -> Answer:
        if file.function(node) is None:
            return Answer.YES if file.symbol(node) in self._symbols else Answer.NO
        bases = [self.project.resolve(file, base) for base in node.bases]
        if self._symbols.intersection(base for base in bases if base):
            return Answer.YES
        return Answer.NO if all(bases) else Answer.UNKNOWN

    def _of_kind(self, kind: Kind, attribute: str) -> Answer:
        if isinstance(kind, NEVER_INSTANCES):
            return Answer.NO
        if isinstance(kind, ModuleKind):
            if kind.cls.name in WRAPPERS and kind.items:
                return self._of_kind(kind.items[0], attribute)
            if kind.cls in self._symbols:
                return Answer.YES
            return self._of_other_class(kind.cls, attribute)
        if isinstance(kind, ClassKind):
            return Answer.YES if kind.symbol in self._symbols else Answer.NO
        if isinstance(kind, FunctionKind) and kind.symbol.path is None:
            return Answer.NO  # a module or function from outside the tree
        return Answer.UNKNOWN

    def _of_other_class(self, symbol: Symbol, attribute: str) -> Answer:
        """An object of a class outside the family is no instance, if that class can have the attribute."""
        cls = self.project.find_class(symbol)
        if cls is None:
            return Answer.UNKNOWN if symbol.name.startswith(("torch.nn.", "?")) else Answer.NO
        defined = {name for ancestor in self.project.lineage(cls) for name in ancestor.methods}
        if "__getattr__" in defined:
            return Answer.UNKNOWN
        known = attribute in defined or attribute in self.project.class_slots(cls)
        outside = any(not name.startswith("torch.nn.") for name in self.project.outside_bases(cls))
        return Answer.NO if known or outside else Answer.UNKNOWN

    # What the code around an expression says of it

    def _is_no_module(self, file: File, node: ast.expr) -> bool:
        """Whether the expression is computed or used as only tensors and numbers are."""
        if self._yields_no_module(file, node):
            return True
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return False
        return any(self._treats_as_tensor(file, other) for other in occurrences(file, node))

    def _yields_no_module(self, file: File, node: ast.expr) -> bool:
        if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare)):
            return True
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr in _TENSOR_METHODS | _SCALERS:
            return True
        flow = self.project.flow(file, file.function(node) or file.tree)
        kinds = options(flow.kind(node.func)) if flow else ()
        return bool(kinds) and all(isinstance(kind, ModuleKind) for kind in kinds)  # what a layer returned

    def _treats_as_tensor(self, file: File, node: ast.expr) -> bool:
        parent = file.parents[node]
        match parent:
            case ast.BinOp() | ast.UnaryOp(op=ast.USub()) | ast.AugAssign():
                return True
            case ast.Attribute(attr=name):
                return name in _TENSOR_ATTRIBUTES
            case ast.Call(args=arguments) if any(argument is node for argument in arguments):
                symbol = self.project.resolve(file, parent.func)
                if symbol is None or symbol.path is not None:
                    return False
                module, _, function = symbol.name.rpartition(".")
                return module == "torch" and function in torch_facts().functions
            case ast.Assign(targets=[target], value=value) if target is node:
                return self._yields_no_module(file, value)
            case ast.withitem(context_expr=ast.Call(func=ast.Attribute(attr=name))):
                return name in _SCALERS
        return False

    def _of_bindings(self, file: File, node: ast.expr, attribute: str) -> Answer:
        """Whether everything that the name is bound to, or annotated with, is an object of another class."""
        classes = [
            self.project.resolve(file, value.func if isinstance(value, ast.Call) else value)
            for value in bindings(file, node)
        ]
        foreign = classes and all(symbol and self._is_foreign(symbol, attribute) for symbol in classes)
        return Answer.NO if foreign else Answer.UNKNOWN

    def _is_foreign(self, symbol: Symbol, attribute: str) -> bool:
        if symbol.path is None:
            last = symbol.name.rpartition(".")[2]
            # What torch builds may wrap a module and pass attributes on: FullyShardedDataParallel.
            return last[:1].isupper() and not symbol.name.startswith(("torch.", "typing"))
        if self.project.find_class(symbol) is None:
            return False  # a function, which may return anything
        return symbol not in self._symbols and self._of_other_class(symbol, attribute) is Answer.NO


def references(instances: Instances, name: str, method: Function) -> Iterator[Reference]:
    """Every place of the tree outside a method that may call it, with how likely it does."""
    own = set(ast.walk(method))
    for file in instances.project.mentioning(name.encode()):
        for node in ast.walk(file.tree):
            if node in own:
                continue
            if isinstance(node, ast.Attribute) and node.attr == name:
                yield Reference(file, node, _attribute_reach(instances, file, node, method))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                if node.value == name or node.value.endswith(f"{instances.cls.node.name}.{name}"):
                    yield Reference(file, node, _string_reach(instances, file, node, name))
            elif isinstance(node, ast.Name) and node.id == name and in_body_of(file, node, instances.heirs):
                yield Reference(file, node, Reach.LIKELY)


def _attribute_reach(instances: Instances, file: File, node: ast.Attribute, method: Function) -> Reach:
    parent = file.parents[node]
    call = parent if isinstance(parent, ast.Call) and parent.func is node else None
    fits = call is None or accepts(method, call)
    near = instances.mentioned_in(file)
    if not fits and not near and enclosing_self(file, node.value) is None:
        return Reach.NEVER  # ``loss.backward()``, most of all; what follows costs more
    answer = instances.of_definition(file, node)
    if answer is Answer.UNKNOWN:
        answer = instances.holds(file, node.value, node.attr)
    if answer is not Answer.UNKNOWN:
        return Reach.LIKELY if answer is Answer.YES else Reach.NEVER
    if not fits:
        return Reach.NEVER
    likely = call is None or near or not required(method) or _looks_like_module(file, node.value)
    return Reach.LIKELY if likely else Reach.POSSIBLE


def _string_reach(instances: Instances, file: File, node: ast.Constant, method: str) -> Reach:
    if node.value != method:  # "package.Net.backward"
        return Reach.LIKELY
    match file.parents[node]:
        case ast.Call(func=function, args=arguments) if _last_name(function) in _BY_NAME:
            if arguments[0] is node:  # methodcaller("backward")
                return Reach.LIKELY
            answer = instances.holds(file, arguments[0], method)
            return Reach.NEVER if answer is Answer.NO else Reach.LIKELY
        case ast.Subscript(value=value) if _is_namespace(value):
            return Reach.LIKELY
        case ast.Subscript() | ast.keyword(arg="norm") | ast.Call(func=ast.Name(id="print" | "hasattr")):
            return Reach.NEVER  # a key; torch.fft; a message or a question
        case ast.Expr() | ast.Compare() | ast.JoinedStr() | ast.MatchValue():
            return Reach.NEVER
    if _looks_up_names(instances, file, method):
        return Reach.LIKELY if instances.mentioned_in(file) else Reach.POSSIBLE
    return Reach.POSSIBLE if _is_in_table(file, node) else Reach.NEVER


def _last_name(node: ast.expr) -> str:
    return (dotted(node) or "").rpartition(".")[2]


def _is_namespace(node: ast.expr) -> bool:
    """``Net.__dict__``, ``vars(Net)``."""
    if isinstance(node, ast.Call):
        return _last_name(node.func) == "vars"
    return _last_name(node) == "__dict__"


def _looks_up_names(instances: Instances, file: File, method: str) -> bool:
    """Whether a file calls ``getattr(module, name)`` on what may be an instance, with names it computes."""
    return any(
        isinstance(node, ast.Call)
        and _last_name(node.func) == "getattr"
        and len(node.args) > 1
        and not isinstance(node.args[1], ast.Constant)
        and instances.holds(file, node.args[0], method) is not Answer.NO
        for node in ast.walk(file.tree)
    )


def _is_in_table(file: File, node: ast.Constant) -> bool:
    """Whether a string belongs to a list of names that other files may read."""
    table = file.parents[node]
    if not isinstance(table, (ast.List, ast.Tuple, ast.Set)) or file.function(node) is not None:
        return False
    return not isinstance(file.parents[table], ast.Subscript)  # Literal["forward", "backward"]


def in_body_of(file: File, node: ast.AST, classes: Iterable[Class]) -> bool:
    """Whether a node stands in the body of a class itself, where a name means a member."""
    scopes = (Function, ast.ClassDef, ast.Lambda)
    owner = next((ancestor for ancestor in file.ancestors(node) if isinstance(ancestor, scopes)), None)
    return any(owner is cls.node for cls in classes)


def _looks_like_module(file: File, node: ast.expr) -> bool:
    """Whether the object is called, asked for what only modules have, or comes out of a collection."""
    if isinstance(node, ast.Subscript):
        return True
    for other in occurrences(file, node):
        parent = file.parents[other]
        if isinstance(parent, (ast.For, ast.comprehension)) and parent.target is other:
            return True
        if isinstance(parent, ast.Call) and parent.func is other:
            return True
        if isinstance(parent, ast.Attribute) and parent.attr in _MODULE_ATTRIBUTES:
            return True
    return False


def accepts(method: Function, call: ast.Call) -> bool:
    """Whether a bound method can be called like that."""
    arguments = method.args
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return True
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    given = {keyword.arg for keyword in call.keywords}
    filled = {argument.arg for argument in positional[: len(call.args)]}
    if len(call.args) > len(positional) and arguments.vararg is None:
        return False
    by_name = {argument.arg for argument in [*arguments.args[1:], *arguments.kwonlyargs]}
    if given & filled or (given - by_name and arguments.kwarg is None):
        return False
    return required(method) <= given | filled


def required(method: Function) -> set[str]:
    """The arguments that a call of a bound method must give."""
    arguments = method.args
    positional = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
    needed = positional[1 : len(positional) - len(arguments.defaults)]
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {*needed, *(argument.arg for argument, default in keywords if default is None)}


def enclosing_self(file: File, node: ast.expr) -> ast.ClassDef | None:
    """The class whose instance a name is because it is the first argument of one of its methods."""
    if not isinstance(node, ast.Name):
        return None
    for function in file.ancestors(node):
        if not isinstance(function, (Function, ast.Lambda)):
            continue
        named = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        if node.id in (argument.arg for argument in named):
            cls = file.class_of(function)
            static = isinstance(function, Function) and any(
                dotted(decorator) == "staticmethod" for decorator in function.decorator_list
            )
            return cls if cls is not None and named[0].arg == node.id and not static else None
    return None


def occurrences(file: File, node: ast.expr) -> Iterator[ast.expr]:
    """The same name or path in the function around it; in the whole class if it starts at `self`."""
    scope = _scope(file, node)
    text = ast.unparse(node)
    walk = ast.walk(scope) if not isinstance(scope, ast.Module) else walk_function(scope)
    for other in walk:
        if type(other) is type(node) and ast.unparse(other) == text:
            yield other


def bindings(file: File, node: ast.expr) -> list[ast.expr]:
    """What a name or an attribute of `self` is bound to or annotated with; a None where that is hidden."""
    hidden = ast.Constant(None)
    found: list[ast.expr] = []
    for other in occurrences(file, node):
        if not isinstance(getattr(other, "ctx", None), ast.Store):
            continue
        match file.parents[other]:
            case (
                ast.Assign(targets=[_], value=ast.Call() as made)
                | ast.withitem(context_expr=ast.Call() as made)
            ):
                found.append(made)
            case ast.AnnAssign(annotation=annotation):
                found.append(annotation)
            case _:
                found.append(hidden)
    if isinstance(node, ast.Name):
        for function in file.ancestors(node):
            if isinstance(function, (Function, ast.Lambda)):
                found += [
                    argument.annotation or hidden
                    for argument in ast.walk(function.args)
                    if isinstance(argument, ast.arg) and argument.arg == node.id
                ]
    return found


def _scope(file: File, node: ast.expr) -> ast.AST:
    root = node
    while isinstance(root, (ast.Attribute, ast.Subscript, ast.Call)):
        root = root.func if isinstance(root, ast.Call) else root.value
    owner = enclosing_self(file, root)
    if owner is not None:
        return owner
    functions = [ancestor for ancestor in file.ancestors(node) if isinstance(ancestor, Function)]
    return functions[-1] if functions else file.tree
