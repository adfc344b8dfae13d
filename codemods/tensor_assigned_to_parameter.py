"""# tensor-assigned-to-parameter (PRM201)

## What it does
Finds `module.weight = tensor` where the attribute is a registered Parameter and the value is a plain tensor,
and copies the value into the Parameter instead.

## Why it is bad
The statement never runs to its end: `nn.Module` refuses it with `TypeError: cannot assign
'torch.FloatTensor' as parameter 'weight' (torch.nn.Parameter or None expected)`. Nothing is silently detached
or replaced; the line is simply one that has not been run yet. The value that its author wants in the
Parameter has to be copied into it, so that the object, which the optimizer holds, stays the same.

## Example
```python
layer = nn.Linear(4, 4)
layer.weight = torch.eye(4)
```

## Use instead
```python
layer = nn.Linear(4, 4)
layer.weight.data.copy_(torch.eye(4))
```

## Fix safety
Safe outside `forward`: the line raises today, and afterwards the Parameter holds the value. It is the same
object with the same storage, so optimizers and tied layers see the new values too.

Unsafe inside `forward` and what it calls: the copy runs on every call, and no gradient flows through the
copied value. Unsafe too where the value is an argument annotated `torch.Tensor`: a caller who passes a
Parameter gets it assigned today, and copied afterwards.

There is a report but no fix where the value is no tensor (`layer.bias = 0`), where its shape is known to
differ (`copy_` would broadcast it or raise), and where it is a view of the Parameter itself (`w = w.t()`).

Left alone: everything that is not certainly a registered Parameter (buffers, plain attributes, slots that are
None, properties, parametrized, weight-normed or pruned modules, names that the code deletes or sets through
`_parameters`), values that are or may be Parameters (tied weights, `nn.init` results, `p.to(device)`), code
that catches the TypeError, and projections in `forward`, which belong to `projection-in-forward`.

## How it is verified
The contract is `repairs`: the original must raise TypeError at the line. After the fix the line must run, the
attribute must be the same Parameter object as before and hold the assigned value, and gradients and training
steps must pass the oracles.

## Known problems
`copy_` converts dtype and device, and broadcasts a smaller value where shapes are not known beforehand;
verification sees the shapes that it runs with. A module that another file parametrizes is not recognised.

## References
- [torch.nn.parameter.Parameter](https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html)
- [torch.Tensor.copy_](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.copy_.html)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from fixer.facts import Answer, Class, File, Flow, Function, Project, dotted, is_plain_tensor
from fixer.facts.assignments import Write, assigned_attributes, expects_type_error, writes
from fixer.facts.kinds import (
    MAYBE_PARAMETER,
    Plain,
    SequenceKind,
    TensorKind,
    options,
    shape_of,
)
from fixer.facts.projections import projection_statements
from fixer.facts.updates import reached_from, stripped
from fixer.rewrite import CannotRewriteError, Editor, Rewrite
from fixer.rule import Applicability, Contract, Finding, Fix, Promise, Region, Rule, Subject

_VIEWS = frozenset(
    "t transpose permute view view_as reshape reshape_as squeeze unsqueeze flatten unflatten swapaxes "
    "swapdims movedim moveaxis expand expand_as narrow select diagonal mT T mH H".split()
)
_REPLACE = "register a new `nn.Parameter` before the optimizer is built"


class Value(Enum):
    """What is assigned."""

    TENSOR = "certainly a plain tensor"
    ARGUMENT = "an argument annotated as a tensor, which a caller may pass a Parameter for"
    OTHER = "certainly neither a tensor nor None"


class TensorAssignedToParameter(Rule):
    """See the module's docstring."""

    code: ClassVar[str] = "PRM201"
    name: ClassVar[str] = "tensor-assigned-to-parameter"
    summary: ClassVar[str] = "a tensor is assigned to an attribute that is a registered Parameter"
    applicability: ClassVar[Applicability] = Applicability.SAFE
    contract: ClassVar[str] = (
        "repairs: the line raises TypeError before, and fills the same Parameter afterwards"
    )
    tokens: ClassVar[tuple[tuple[bytes, ...], ...]] = ((b"=", b"setattr"),)

    def check(self, file: File, project: Project) -> Iterator[Finding]:
        """One finding per statement."""
        for statement in ast.walk(file.tree):
            if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)) or not assigned_attributes(
                statement
            ):
                continue
            scope = file.function(statement) or file.tree
            flow = project.flow(file, scope)
            if flow is not None and not expects_type_error(file, statement):
                yield from self._statement(Assignment(project, file, flow, statement))

    def _statement(self, assignment: Assignment) -> Iterator[Finding]:
        found = list(writes(assignment.flow, assignment.statement))
        judged = {write: value for write in found if (value := assignment.judge(write)) is not None}
        if not judged or assignment.is_projection():
            return
        file = assignment.file
        span = file.source.span(assignment.statement)
        first, value = next(iter(judged.items()))
        message = _message(first, value)
        obstacle = assignment.obstacle(judged)
        if obstacle is not None:
            yield self.finding(file, span, message, help=obstacle)
            return
        try:
            fix, caution = assignment.fix(judged)
            yield self.finding(file, span, message, fix, help=caution)
        except CannotRewriteError as error:
            yield self.finding(file, span, message, help=f"Write `{first.text}.data.copy_(...)`: {error}.")


def _message(write: Write, value: Value) -> str:
    what = "a value that is no tensor" if value is Value.OTHER else "a tensor"
    unless = ""
    if value is Value.ARGUMENT and write.value is not None:
        unless = f" unless `{ast.unparse(write.value)}` is a Parameter"
    return f"`{write.text}` is a registered Parameter: assigning {what} to it raises TypeError{unless}"


@dataclass(frozen=True)
class Assignment:
    """A statement that assigns attributes."""

    project: Project
    file: File
    flow: Flow
    statement: ast.Assign | ast.AnnAssign | ast.Expr

    # Judgement

    def judge(self, write: Write) -> Value | None:
        """What is assigned; None where it may be legal."""
        if is_plain_tensor(write.kind) is Answer.YES:
            return Value.TENSOR
        if write.kind == MAYBE_PARAMETER and isinstance(write.value, ast.Name):
            return Value.ARGUMENT if self._is_untouched_argument(write.value.id) else None
        refused = (Plain, TensorKind, SequenceKind)
        return Value.OTHER if all(isinstance(kind, refused) for kind in options(write.kind)) else None

    def _is_untouched_argument(self, name: str) -> bool:
        function = self.file.function(self.statement)
        if function is None:
            return False
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        stored = any(
            isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, (ast.Store, ast.Del))
            for node in ast.walk(function)
        )
        return name in {argument.arg for argument in named} and not stored

    @property
    def cls(self) -> Class | None:
        """The class whose method the statement is in."""
        for ancestor in self.file.ancestors(self.statement):
            if isinstance(ancestor, ast.ClassDef):
                return self.project.class_at(self.file, ancestor)
        return None

    @property
    def method(self) -> Function | None:
        """The method of `cls` that the statement is in, perhaps in a function within it."""
        functions = [a for a in self.file.ancestors(self.statement) if isinstance(a, Function)]
        cls = self.cls
        return next((f for f in functions if cls is not None and f in cls.methods.values()), None)

    def reached_from(self, start: str) -> bool:
        """Whether a method `start` of the class, or of one derived from it, runs the statement's method."""
        cls, method = self.cls, self.method
        if cls is None or method is None:
            return False
        return any(
            reached.function is method
            for heir in [cls, *self.project.subclasses(cls)]
            for reached in reached_from(self.project, heir, start).values()
        )

    def is_projection(self) -> bool:
        """Whether PRM101 reports the statement."""
        return self.cls is not None and self.statement in projection_statements(self.project, self.cls)

    # The fix

    def obstacle(self, judged: dict[Write, Value]) -> str | None:
        """Why nothing is rewritten, said as advice; None where the statement can be."""
        for write, value in judged.items():
            reason = self._obstacle(write, value)
            if reason is not None:
                return reason
        if len(judged) < len(assigned_attributes(self.statement)) or self._assigns_more(judged):
            return "Assign the other targets on a line of their own, and copy into this one with `copy_`."
        return None

    def _obstacle(self, write: Write, value: Value) -> str | None:
        copy = f"`{write.text}.data.copy_(...)`"
        if value is Value.OTHER:
            return f"Fill it with `{write.text}.data.fill_(...)`, or copy a tensor into it with {copy}."
        shape, wanted = shape_of(write.kind), shape_of(self.flow.replaced_by(write.target))
        if shape is not None and wanted is not None and shape != wanted:
            return (
                f"The value has shape {shape}, the Parameter {wanted}: {copy} would broadcast it or raise. "
                f"Give it the Parameter's shape, or {_REPLACE}."
            )
        if write.value is None:
            return None
        if self._is_own_view(write):
            return (
                "The value is a view of the Parameter itself, which cannot be copied onto it. "
                f"Copy a clone with {copy} if the shape stays, or {_REPLACE}."
            )
        if _rebinds(write.value, write.owner):
            return f"The value rebinds a name that the target uses; write {copy} on the next line."
        return None

    def _is_own_view(self, write: Write) -> bool:
        """Whether the value is the Parameter's own storage seen in another shape."""
        node, views = write.value, 0
        while node is not None:
            if isinstance(node, ast.Call):
                symbol = self.project.resolve(self.file, node.func)
                if symbol is not None:
                    is_view = symbol.name.rpartition(".")[2] in _VIEWS and node.args
                    node = node.args[0] if is_view else None
                elif isinstance(node.func, ast.Attribute) and node.func.attr in {*_VIEWS, "detach"}:
                    node = node.func.value
                else:
                    node = None
                views += 1
            elif isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr in _VIEWS):
                node, views = node.value, views + 1
            else:
                break
        return node is not None and views > 0 and ast.unparse(stripped(node)[0]) == write.text

    def _assigns_more(self, judged: dict[Write, Value]) -> bool:
        """Whether the statement assigns something else too."""
        if not isinstance(self.statement, ast.Assign):
            return False
        parts = [
            part
            for target in self.statement.targets
            for part in (target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target])
        ]
        return len(parts) != len(judged)

    def fix(self, judged: dict[Write, Value]) -> tuple[Fix, str | None]:
        """The fix, and why it is unsafe if it is."""
        rewrite = Rewrite(self.project)
        editor = rewrite.file(self.file)
        writes = list(judged)
        if isinstance(writes[0].target, ast.Call):
            _rewrite_setattr(editor, writes[0])
        elif all(write.value is None for write in writes):
            self._unpack(editor, writes)
        elif len(writes) == 1:
            _rewrite_assignment(editor, self.statement)
        else:
            self._split(editor, writes)
        caution = self._caution(judged)
        applicability = Applicability.UNSAFE if caution else Applicability.SAFE
        message = f"Copy the value into `{writes[0].text}`" + (" and the others" if len(writes) > 1 else "")
        return Fix(message, applicability, rewrite.edits(), self._contract(writes[0])), caution

    def _caution(self, judged: dict[Write, Value]) -> str | None:
        if self.reached_from("forward"):
            return (
                "Inside `forward` the copy runs on every call, and no gradient flows through the value; "
                "use the value itself in the computation if it should."
            )
        if Value.ARGUMENT in judged.values():
            return (
                "A caller who passes a Parameter gets it assigned today; the copy would only take its values."
            )
        return None

    def _unpack(self, editor: Editor, writes: list[Write]) -> None:
        """``m.a, m.b = f()`` becomes ``a, b = f()`` and a copy of each."""
        scope = self.file.function(self.statement) or self.file.tree
        taken = {node.id for node in ast.walk(scope) if isinstance(node, ast.Name)}
        taken |= {node.arg for node in ast.walk(scope) if isinstance(node, ast.arg)}
        names = [write.name for write in writes]
        if scope is self.file.tree or not taken.isdisjoint(names) or len(set(names)) < len(names):
            raise CannotRewriteError("unpack into local names first")
        for write in writes:
            editor.replace(write.target, write.name)
        copies = [f"{editor.source.segment(write.target)}.data.copy_({write.name})" for write in writes]
        editor.insert_after(self.statement, "\n".join(copies))

    def _split(self, editor: Editor, writes: list[Write]) -> None:
        """One statement for each target of a chain or a tuple."""
        for position, write in enumerate(writes):
            if write.value is None:
                raise CannotRewriteError("unpack into local names first")
            if not isinstance(self.statement, ast.Assign) or "#" in editor.source.segment(self.statement):
                raise CannotRewriteError("there are comments within the statement")
            later = [other.value for other in writes[position + 1 :] if other.value is not None]
            is_chain = len(self.statement.targets) > 1
            if (is_chain and dotted(write.value) is None) or any(_may_see(value, write) for value in later):
                raise CannotRewriteError("the value is needed more than once")
        lines = [_copy(editor, write) for write in writes]
        editor.replace(self.statement, lines[0])
        editor.insert_after(self.statement, "\n".join(lines[1:]))

    def _contract(self, write: Write) -> Contract:
        span = self.file.source.span(self.statement)
        return Contract(
            Promise.REPAIRS,
            tuple(self._subjects()),
            symptom="TypeError",
            symptom_region=Region(self.file.path, *span),
            parameter=write.text,
        )

    def _subjects(self) -> Iterator[Subject]:
        path, cls, method = self.file.path, self.cls, self.method
        if cls is not None and method is not None:
            if self.reached_from("forward") or self.reached_from("__init__"):
                yield Subject(path, cls.symbol.name)
            else:
                yield Subject(path, cls.symbol.name, method.name)
        else:
            functions = [a for a in self.file.ancestors(self.statement) if isinstance(a, Function)]
            if functions:
                yield Subject(path, function=self.file.qualname(functions[-1]))
        yield Subject(path)


def _rebinds(value: ast.expr, owner: ast.expr) -> bool:
    names = {node.id for node in ast.walk(owner) if isinstance(node, ast.Name)}
    return any(isinstance(node, ast.NamedExpr) and node.target.id in names for node in ast.walk(value))


def _may_see(value: ast.expr, write: Write) -> bool:
    """Whether evaluating `value` after `write` may give another result than before it."""
    root = write.text.split(".")[0]
    for node in ast.walk(value):
        path = dotted(node)
        if path is not None and (f"{path}.".startswith(f"{write.text}.") or path == root):
            parent_is_longer = path == root and _extends(value, node)
            if not parent_is_longer:
                return True
    return False


def _extends(value: ast.expr, name: ast.AST) -> bool:
    """Whether a name is only the beginning of a longer path in `value`."""
    return any(isinstance(node, ast.Attribute) and node.value is name for node in ast.walk(value))


# Text


def _copy(editor: Editor, write: Write) -> str:
    assert write.value is not None
    target = editor.source.segment(write.target)
    return f"{target}.data.copy_({editor.source.segment(write.value)})"


def _rewrite_assignment(editor: Editor, statement: ast.stmt) -> None:
    """``target = value`` becomes ``target.data.copy_(value)``; the value's own parentheses are used."""
    assert isinstance(statement, (ast.Assign, ast.AnnAssign))
    assert statement.value is not None
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    source = editor.source
    start, end = source.span(statement)
    target_start, target_end = source.span(target)
    before_equals = statement.annotation if isinstance(statement, ast.AnnAssign) else target
    gap_start = source.span(before_equals)[1]
    value_start, value_end = source.span(statement.value)
    gap = source.data[gap_start:value_start]
    head, _, rest = gap.partition(b"=")
    if target_start != start or head.strip(b" \t\\\r\n"):
        raise CannotRewriteError("the target is written in an unusual way")
    if value_end == end:
        editor.replace_span(target_end, value_start, ".data.copy_(")
        editor.replace_span(value_end, value_end, ")")
    else:  # parentheses around the value become those of the call
        parenthesis = value_start - len(rest) + rest.index(b"(")
        editor.replace_span(target_end, parenthesis, ".data.copy_")


def _rewrite_setattr(editor: Editor, write: Write) -> None:
    """``setattr(m, "weight", value)`` becomes ``m.weight.data.copy_(value)``."""
    assert isinstance(write.target, ast.Call)
    assert write.value is not None
    source = editor.source
    start, _ = source.span(write.target)
    owner_start, owner_end = source.span(write.owner)
    value_start, _ = source.span(write.value)
    gap = source.slice(owner_end, value_start)
    if dotted(write.owner) is None or "#" in gap or "(" in gap or not write.name.isidentifier():
        raise CannotRewriteError("the call is written in an unusual way")
    editor.replace_span(start, owner_start, "")
    editor.replace_span(owner_end, value_start, f".{write.name}.data.copy_(")


__all__ = ["TensorAssignedToParameter"]
