"""The author's own constraint: run where it can be compared with what the fixed code makes of parameters."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from . import overlay
from .frames import Message
from .hints import resolve
from .observe import Recorder, parameters, restore, state

CONSTRAINT = "the author's constraint after every step"
_ASSIGN = "__fixer_assign__"
_INSTANCES = 8
_SIZES = (0.3, 3.0, 30.0, 1000.0, 1.0, 10.0, 0.1)
"""How large drawn values are; small ones again after large ones, for what counts its calls."""
_UPDATE_BYTES = 64 * 2**20
"""Updates beyond this much are not kept: those before them have shown enough."""


class Constraint:
    """The author's original statements, turned into something that can be run on any instance."""

    def __init__(self, statements: Sequence[str], namespace: dict[str, Any], path: str) -> None:
        tree = ast.parse("\n".join(text.rstrip() for text in statements))
        self.attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        """Every attribute that the statements name."""
        tree = ast.fix_missing_locations(_Assignments().visit(tree))
        self._code = compile(tree, f"<constraint of {path}>", "exec")
        self._namespace = namespace

    def apply(self, module: nn.Module) -> None:
        """Run the statements with `self` bound to `module`."""
        with torch.no_grad():
            exec(self._code, {**self._namespace, "self": module, _ASSIGN: assign})


class _Assignments(ast.NodeTransformer):
    """Turns ``owner.name = value`` into a call of `assign`.

    An assignment to a parameter raises, and one to its `data` changes its storage: either way the constraint
    itself is the value, and that is what has to be copied.
    """

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if len(node.targets) != 1 or not isinstance(target, ast.Attribute):
            return node
        call = ast.Call(
            func=ast.Name(id=_ASSIGN, ctx=ast.Load()),
            args=[target.value, ast.Constant(value=target.attr), node.value],
            keywords=[],
        )
        return ast.copy_location(ast.Expr(value=call), node)


def assign(owner: Any, name: str, value: Any) -> None:
    """Set an attribute; a tensor meant for a parameter is copied into it."""
    current = owner if name == "data" and isinstance(owner, Tensor) else getattr(owner, name, None)
    if (
        isinstance(current, nn.Parameter)
        and isinstance(value, Tensor)
        and not isinstance(value, nn.Parameter)
    ):
        if current.shape != value.shape:
            raise ValueError(
                f"the value for {name} has shape {tuple(value.shape)}, not {tuple(current.shape)}"
            )
        current.data.copy_(value.detach())
    else:
        setattr(owner, name, value)


def author_constraint(projection: Message) -> Constraint:
    """The projection's original statements, with the globals of their file."""
    module = overlay.load(projection["path"], wanted=[projection["class_name"].split(".")[0]])
    return Constraint(projection["statements"], vars(module), projection["path"])


class Constrained:
    """The constrained class, and where a model holds it."""

    def __init__(self, projection: Message) -> None:
        self.cls: type[nn.Module] = resolve(projection["path"], projection["class_name"])

    def instances(self, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        """The first few instances in a model, with the name of each."""
        found = ((name, m) for name, m in module.named_modules() if isinstance(m, self.cls))
        yield from itertools.islice(found, _INSTANCES)

    def states(self, module: nn.Module) -> list[tuple[str, dict[str, Tensor]]]:
        """What each instance holds right now."""
        return [(name, state(instance)) for name, instance in self.instances(module)]


class Updates:
    """What the constrained instances held right after an update, and what once the step was over."""

    def __init__(self, constrained: Constrained, exact: bool, brief: bool) -> None:
        self.constrained = constrained
        self.raw = Recorder(exact)
        self.settled = Recorder(exact, brief)
        self._room = _UPDATE_BYTES

    def note(self, where: str, raw: list[tuple[str, dict[str, Tensor]]], module: nn.Module) -> bool:
        """Note one update; whether the constraint had something to do."""
        binding = False
        settled = dict(self.constrained.instances(module))
        for name, before in raw:
            after = parameters(settled[name])
            binding = binding or any(not torch.equal(parameter, before[key]) for key, parameter in after)
            size = sum(tensor.numel() * tensor.element_size() for tensor in before.values())
            if size > self._room and self.settled.entries:
                continue
            self._room -= size
            check = f"{where}, {name or 'the model'}"
            self.raw.note(check, "", name)
            for key, tensor in before.items():
                self.raw.note(check, key, tensor, whole=True)
            self.settled.note_all(CONSTRAINT, check, after)
        return binding

    def draw(self, module: nn.Module, method: str, seed: int) -> None:
        """Call the projection on values of every size: an update seldom leads past each of its bounds."""
        generator = torch.Generator().manual_seed(seed)
        for turn, scale in enumerate(_SIZES):
            for _, instance in self.constrained.instances(module):
                for _, parameter in parameters(instance):
                    if parameter.is_floating_point() or parameter.is_complex():
                        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                        parameter.data.copy_(noise * scale)
            raw = self.constrained.states(module)
            for _, instance in self.constrained.instances(module):
                getattr(instance, method, lambda: None)()  # who lacks it is found out by other checks
            self.note(f"drawn values {turn}, {scale:g} large", raw, module)

    def mark(self) -> tuple[Any, ...]:
        """Where the record stands, for `rewind`."""
        return self.raw.mark(), self.settled.mark(), self._room

    def rewind(self, mark: tuple[Any, ...]) -> None:
        """Forget what was noted since."""
        raw, settled, self._room = mark
        self.raw.rewind(raw)
        self.settled.rewind(settled)


def hold(
    module: nn.Module, author: Constraint, raw: Sequence[tuple[str, str, Any]], recorder: Recorder
) -> None:
    """Execute the author's statements on each raw update that `Updates` noted on the other side."""
    updates: dict[str, dict[str, Any]] = {}
    for where, name, value in raw:
        updates.setdefault(where, {})[name] = value
    for where, values in updates.items():
        instance = module.get_submodule(values.pop(""))
        restore(instance, values)
        author.apply(instance)
        recorder.note_all(CONSTRAINT, where, parameters(instance))
