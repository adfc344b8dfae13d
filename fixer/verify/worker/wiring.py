"""Replaying the code around an optimizer: the statement that builds it, or the one that steps it.

The text of a region is executed with the model's root name bound to a model that was built here. Whatever the
region needs beyond that (a learning rate, a config object, another model) is a number that answers to
everything.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from . import overlay
from .slicing import preparing

_MODEL = "__fixer_model__"
_OFF = {"amsgrad", "capturable", "dampening", "differentiable", "foreach", "fused", "maximize", "nesterov"}
_PAIRS = {"betas": (0.9, 0.999), "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)}
_LISTINGS = {
    *("buffers", "children", "modules", "named_buffers", "named_children", "named_modules"),
    *("named_parameters", "parameters", "state_dict"),
}
"""Methods that a number answers as a small module of its own would."""


class WiringError(BaseException):
    """Why a region could not be replayed.

    It ends the whole run: nothing that notes what the target raises may take it for a difference.
    """


class WrongOptimizers(Exception):  # noqa: N818 - what it says of the fixed code is wrong, not an error
    """A fixed statement does not leave one optimizer as the original does."""


class Stub(float):
    """A number whose attributes, items and calls are such numbers again, and which may be a model as well."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(_bystander(), name) if name in _LISTINGS else _stub(name)
        self.__dict__[name] = value  # what is put into it has to be there the next time
        return value

    def __getitem__(self, key: object) -> Any:
        name = repr(key)
        return self._items().setdefault(name, _stub(key if isinstance(key, str) else ""))

    def __setitem__(self, key: object, value: object) -> None:
        self._items()[repr(key)] = value

    def __iter__(self) -> Iterator[Any]:
        yield self[0]

    def _items(self) -> dict[str, Any]:
        items: dict[str, Any] = self.__dict__.setdefault("_kept", {})
        return items

    def __call__(self, *_: object, **__: object) -> Any:
        """Answer with another number."""
        return _stub()

    def step(self, optimizer: object = None, *_: object, **__: object) -> Any:
        """Step an optimizer that is handed over, as a gradient scaler does."""
        return optimizer.step() if isinstance(optimizer, Optimizer) else _stub()


class Holder(Stub):
    """Stands for the object through which a region reaches the model, as in ``self.net``."""

    def __getattr__(self, name: str) -> Any:
        model = self.__dict__["_model"]
        if not name.startswith("__") and hasattr(model, name):
            return getattr(model, name)
        return super().__getattr__(name)

    def __getitem__(self, key: object) -> Any:
        return self.__dict__["_item"] if "_item" in self.__dict__ else super().__getitem__(key)

    def __call__(self, *_: object, **__: object) -> Any:
        """Answer with what the expression says is called for."""
        return self.__dict__["_result"] if "_result" in self.__dict__ else _stub()


def _stub(name: str = "") -> Any:
    return _PAIRS.get(name, Stub(0.0 if name in _OFF else 0.01))


def _bystander() -> nn.Module:
    """A module that no optimizer changes and no constraint concerns."""
    module = nn.Module()
    module.register_parameter("bystander", nn.Parameter(torch.zeros(1)))
    return module


def _holder(model: nn.Module, /, **attributes: Any) -> Holder:
    holder = Holder(0.01)
    holder.__dict__.update(attributes, _model=model)
    return holder


class Region:
    """The text of one wiring region on one side, ready to be executed."""

    def __init__(self, wiring: dict[str, Any], side: str, globals_: dict[str, Any], stand_in: bool) -> None:
        self._wiring = wiring
        self._original = side == "before"
        self._stand_in = stand_in
        self._globals = globals_
        try:
            parsed = ast.parse(wiring[side])
        except SyntaxError as error:
            raise WiringError(f"the optimizer's statement does not parse on its own: {error.msg}") from error
        self._naming = _Naming(wiring["model"])
        tree = self._naming.visit(parsed)
        stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        self._free: set[str] = loaded - stored - set(dir(builtins))
        self._closures = _closures(tree, wiring["optimizer"])
        self.statements: list[ast.stmt] = ast.fix_missing_locations(_Returns().visit(tree)).body
        self._code = self.compiled(self.statements)
        self._prelude, self._prepared = self._preparation(side)
        self.keeps_model = True
        """Whether the model's name still stands for the same object once the region has run."""

    @property
    def calls_closure(self) -> bool:
        """Whether the region's step is given a function that computes the loss."""
        return bool(self._closures)

    def build(self, model: nn.Module) -> Optimizer:
        """Execute a construction; the optimizer that comes out, wherever the region puts it."""
        namespace = self.namespace(model)
        bound = _evaluate(self._naming.way, namespace)
        with _watching() as built:
            self._execute(namespace)
        self.keeps_model = _evaluate(self._naming.way, namespace) is bound
        found = _evaluate(self._wiring["optimizer"], namespace)
        if isinstance(found, Optimizer):
            return found
        own = set(map(id, model.parameters()))
        candidates = [optimizer for optimizer in built if own & set(map(id, held_parameters(optimizer)))]
        if len(candidates) != 1:
            kind = WiringError if self._original else WrongOptimizers
            raise kind(f"the replayed statement left {len(candidates)} of the model's optimizers, not one")
        return candidates[0]

    def _execute(self, namespace: dict[str, Any]) -> None:
        """Run the region; an original that fails here only shows that too little is known around it."""
        try:
            exec(self._code, namespace)
        except Exception as error:
            if not self._original:
                raise
            told = f"{type(error).__name__}: {error}"
            raise WiringError(f"the optimizer's statement cannot be replayed: {told}") from error

    def stepper(
        self, model: nn.Module, optimizer: Optimizer, closure: Callable[[], Any]
    ) -> Callable[[], None]:
        """A function that executes a step region with `optimizer` in place."""
        namespace = self.namespace(model)
        _bind(self._wiring["optimizer"], optimizer, model, namespace)
        namespace.update(dict.fromkeys(self._closures, closure))
        taken: list[int] = []
        optimizer.register_step_post_hook(lambda *_: taken.append(1))

        def step() -> None:
            before = len(taken)
            exec(self._code, namespace)
            if len(taken) == before:
                raise WiringError("the replayed statement does not step the optimizer")

        return step

    def found(self, namespace: dict[str, Any], model: nn.Module) -> nn.Module:
        """What the model's name stands for, the model itself if that is no module."""
        named = _evaluate(self._naming.way, namespace)
        return named if isinstance(named, nn.Module) else model

    def namespace(self, model: nn.Module) -> dict[str, Any]:
        """The globals, the model, what the code before the region prepares, and stubs for the rest."""
        namespace = dict(self._globals)
        namespace[_MODEL] = model
        _bind(self._naming.way, self._naming.end(model), model, namespace)
        if self._stand_in and namespace.get("self") is model:
            namespace["self"] = _holder(model)  # the real owner has attributes that the stand-in lacks
        wanted = self._free | self._prepared
        for name in wanted - set(namespace):
            namespace[name] = _stub(name)
        exec(self._prelude, namespace)
        return namespace

    def _preparation(self, side: str) -> tuple[Any, set[str]]:
        """The statements before the region that compute what it reads, and the names that they need."""
        lines = self._wiring.get("lines", {}).get(side)
        if lines is None:
            return self.compiled([]), set()
        tree = self._naming.visit(ast.parse(overlay.source_text(self._wiring["path"])))
        bound = {*_names(self._wiring["model"]), *_names(self._wiring["optimizer"])}
        wanted = self._free - bound - set(self._globals)
        prelude, needed = preparing(tree, lines[0], wanted, bound)
        return self.compiled(prelude.body), needed - bound - {_MODEL} - set(dir(builtins))

    def compiled(self, statements: list[ast.stmt]) -> Any:
        """Code of some statements that can be executed in a `namespace`."""
        module = ast.Module(body=statements, type_ignores=[])
        return compile(module, f"<wiring of {self._wiring['path']}>", "exec")


def place_of(wiring: dict[str, Any]) -> str:
    """Where a region lies in the original: two of them may share a function."""
    return f"{wiring['path']}:{wiring['lines']['before'][0]} in {wiring['function'] or 'the module'}"


def _names(expression: str) -> set[str]:
    tree = ast.parse(expression.strip(), mode="eval")
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _closures(tree: ast.Module, optimizer: str) -> list[str]:
    """The names that the optimizer's ``step`` is given: functions that compute the loss."""
    stepped = ast.unparse(ast.parse(optimizer.strip(), mode="eval"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    given = [
        value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "step"
        if ast.unparse(call.func.value) == stepped
        for value in [*call.args, *(keyword.value for keyword in call.keywords)]
    ]
    return [value.id for value in given if isinstance(value, ast.Name)]


def transfer_hooks(source: Optimizer, target: Optimizer) -> None:
    """Register the post-step hooks of one optimizer on another, in order."""
    for hook in source._optimizer_step_post_hooks.values():
        target.register_step_post_hook(hook)


def first_post_hook(optimizer: Optimizer, hook: Callable[[], None]) -> None:
    """Call `hook` right after the raw update, ahead of the hooks that are there already."""
    handle = optimizer.register_step_post_hook(lambda *_: hook())
    hooks: Any = optimizer._optimizer_step_post_hooks  # an OrderedDict
    hooks.move_to_end(handle.id, last=False)


def held_parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """Every parameter of every group."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


class _Returns(ast.NodeTransformer):
    """``return x`` only computes x, for a region cut out of its function."""

    def visit_Return(self, node: ast.Return) -> ast.AST:
        return ast.copy_location(ast.Expr(value=node.value or ast.Constant(value=None)), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node


class _Naming(ast.NodeTransformer):
    """Gives a model that is an item or the result of a call (``nets[1]``, ``build(cfg)``) a name of its own.

    Other items and calls of the same thing are other models.
    """

    def __init__(self, expression: str) -> None:
        node = ast.parse(expression.strip(), mode="eval").body
        self._is_named = any(isinstance(part, (ast.Subscript, ast.Call)) for part in _chain(node))
        self._wanted = ast.dump(node)
        while self._is_named and any(isinstance(part, (ast.Subscript, ast.Call)) for part in _chain(node)):
            node = node.func if isinstance(node, ast.Call) else node.value  # type: ignore[attr-defined]
        self.way = ast.unparse(node)
        """What has to be bound, so that the model, or what holds it, is found."""

    def end(self, model: nn.Module) -> Any:
        """What the way leads to."""
        return _holder(model) if self._is_named else model

    def visit(self, node: ast.AST) -> Any:
        """Put the name where the expression is read."""
        if not self._is_named:
            return node
        if isinstance(node, ast.expr) and ast.dump(node) == self._wanted:
            return ast.copy_location(ast.Name(id=_MODEL, ctx=ast.Load()), node)
        return self.generic_visit(node)


def _chain(node: ast.AST) -> Iterator[ast.AST]:
    """An expression and what it is looked up in, from the outside in."""
    yield node
    inner = node.func if isinstance(node, ast.Call) else getattr(node, "value", None)
    if isinstance(inner, ast.AST):
        yield from _chain(inner)


def _bind(expression: str, value: Any, model: nn.Module, namespace: dict[str, Any]) -> None:
    """Make `expression` evaluate to `value`; an object that is bound already gets an attribute."""
    node: Any = ast.parse(expression.strip(), mode="eval").body
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            existing = namespace.get(node.value.id) if isinstance(node.value, ast.Name) else None
            if isinstance(existing, (Holder, nn.Module)):
                setattr(existing, node.attr, value)
                return
            node, value = node.value, _holder(model, **{node.attr: value})
        elif isinstance(node, ast.Subscript):
            node, value = node.value, _holder(model, _item=value)
        elif isinstance(node, ast.Call):
            node, value = node.func, _holder(model, _result=value)
        else:
            raise WiringError(f"cannot bind {expression}")
    namespace[node.id] = value


def _evaluate(expression: str, namespace: dict[str, Any]) -> Any:
    try:
        return eval(expression, namespace)
    except Exception:  # the original may not bind that name: what it returns is looked at instead
        return None


@contextmanager
def _watching() -> Iterator[list[Optimizer]]:
    """Collect the optimizers that are built inside."""
    built: list[Optimizer] = []
    original = Optimizer.__init__

    @wraps(original)
    def init(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        built.append(self)

    Optimizer.__init__ = init  # type: ignore[method-assign]
    try:
        yield built
    finally:
        Optimizer.__init__ = original  # type: ignore[method-assign]


def plain_optimizers(lr: float) -> dict[str, Callable[[Any], Optimizer]]:
    """The two optimizers that every trajectory is run under."""
    return {
        f"SGD(lr={lr:g}, momentum=0.9)": lambda p: torch.optim.SGD(p, lr=lr, momentum=0.9),
        f"Adam(lr={lr:g})": lambda p: torch.optim.Adam(p, lr=lr),
    }
