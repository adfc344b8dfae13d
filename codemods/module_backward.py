"""# module-backward (PRM301)

## What it does
Finds `nn.Module` classes that define a `backward` method which nothing calls, and deletes it together with
what `forward` stored only for it.

## Why it is bad
Autograd never calls `nn.Module.backward`. It differentiates the operations that `forward` ran, so gradients
are right without the method, and a formula written in it, right or wrong, is never used. What `forward` keeps
"for backward" is not harmless: `self.x = x` holds the activation and its graph in memory until the next call,
and makes `copy.deepcopy(module)` raise once `x` is part of a graph.

Where the formula was meant to differ from autograd's (gradient reversal, a straight-through estimator, a
gradient for operations outside torch), it has never been in force, and the message says so. Deleting the
method keeps what the code does today; what its author wanted takes a `torch.autograd.Function`.

## Example
```python
class Square(nn.Module):
    def forward(self, x):
        self.x = x
        return x ** 2

    def backward(self, grad_output):
        return 2 * self.x * grad_output
```

## Use instead
```python
class Square(nn.Module):
    def forward(self, x):
        return x ** 2
```

## Fix safety
Safe: a method that nothing calls is deleted, and attributes that nothing else reads. The rule looks at every
file of the project. It stays silent about methods that may be called: by an expression that is, or may be,
such a module; by a base class from outside `torch.nn` (Lightning, DeepSpeed, training engines); by name
(`getattr(module, "backward")`); as a hook; or through a base class or subclass that defines `backward` too. A
method that itself runs autograd (`self.loss.backward()`) belongs to a training loop and is left alone, as is
one in which nothing speaks of gradients: the inverse of a transformation is often called `backward`.

There is no fix, only a report, where the method changes state that other methods read (deleting it would bury
a bug: that state never changes), and where a call of an unknown object could reach it.

## How it is verified
The contract is `preserves`: the class, or a module that contains it, is built before and after the fix;
outputs, every gradient and the training steps must be equal bit for bit.

## Known problems
Names that only the deleted code used (an import, a local variable) stay. A caller outside the project is not
seen; neither is one that builds the method's name at run time.

## References
- [Extending PyTorch](https://pytorch.org/docs/stable/notes/extending.html)
- [torch.autograd.Function](https://pytorch.org/docs/stable/autograd.html#function)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar

from fixer.facts import Answer, Class, File, Function, Project, dotted
from fixer.facts.formula import intent
from fixer.facts.gradients import comment_speaks_of_gradients, is_comment, is_text, speaks_of_gradients
from fixer.facts.instances import Instances, Reach, Reference, in_body_of, references
from fixer.facts.leftovers import Removal, is_pure, leftovers
from fixer.facts.state import changed_state
from fixer.rewrite import CannotRewriteError, Editor, Rewrite
from fixer.rule import Applicability, Contract, Finding, Fix, Promise, Rule, Subject

_HARMLESS_DECORATORS = frozenset(
    {"torch.no_grad", "torch.enable_grad", "torch.jit.ignore", "torch.jit.unused"}
    | {"torch.autograd.function.once_differentiable"}
)
_OWNERS = 4
"""How many containing classes verification may try where the class itself cannot be built."""


class ModuleBackward(Rule):
    """See the module's docstring."""

    code: ClassVar[str] = "PRM301"
    name: ClassVar[str] = "module-backward"
    summary: ClassVar[str] = "`backward` of an `nn.Module` that nothing calls"
    applicability: ClassVar[Applicability] = Applicability.SAFE
    contract: ClassVar[str] = "preserves: outputs, gradients and training steps are equal bit for bit"
    tokens: ClassVar[tuple[tuple[bytes, ...], ...]] = ((b"backward",), (b"class ",))

    def check(self, file: File, project: Project) -> Iterator[Finding]:
        """Report every dead `backward`."""
        for node in file.classes.values():
            cls = project.class_at(file, node)
            method = _own_backward(cls) if cls else None
            if cls is None or method is None or not _is_plain_module(project, cls):
                continue
            instances = Instances(project, cls)
            if _shows_protocol(instances, method):
                continue
            found = list(references(instances, "backward", method))
            if not any(reference.reach is Reach.LIKELY for reference in found):
                doubts = [reference for reference in found if reference.reach is Reach.POSSIBLE]
                yield self._report(instances, method, doubts)

    def _report(self, instances: Instances, method: Function, doubts: list[Reference]) -> Finding:
        file, cls = instances.cls.file, instances.cls
        start = file.source.span(method)[0]
        span = start, file.source.data.index(b"backward", start) + len(b"backward")
        message = f"`{cls.symbol.name}.backward` is never called: {_WHY}"
        meant = intent(cls, method)
        if meant:
            message += f". It would {meant}, which has never been in force: {_KEEPS}"
        state = changed_state(instances, method)
        if state:
            return self.finding(file, span, message, help=_about_state(state))
        if doubts:
            unsure = message.replace("never", "not known to be", 1)
            return self.finding(file, span, unsure, help=_about_doubt(doubts[0]))
        try:
            return self.finding(file, span, message, _fix(instances, method))
        except CannotRewriteError as error:
            return self.finding(file, span, message, help=f"Delete it by hand: {error}.")


_WHY = "autograd differentiates what `forward` computes and takes no notice of this method"
_KEEPS = "deleting it keeps what the code does, the effect that was meant takes a `torch.autograd.Function`"


def _own_backward(cls: Class) -> Function | None:
    """The class's `backward`, if it is one plain method about gradients in the class's own body."""
    if "backward" not in cls.methods:
        return None
    method = cls.methods["backward"]
    named = [
        node
        for node in ast.walk(cls.node)
        if "backward" in (getattr(node, "name", None), getattr(node, "id", None))
        and in_body_of(cls.file, node, [cls])
    ]
    if named != [method] or method not in cls.node.body:
        return None  # one of several, an alias, or there only under a condition
    arguments = [*method.args.posonlyargs, *method.args.args]
    if not arguments or arguments[0].arg == "ctx" or isinstance(method, ast.AsyncFunctionDef):
        return None
    return method if speaks_of_gradients(cls.file, method) else None


def _is_plain_module(project: Project, cls: Class) -> bool:
    """Whether nothing but torch's own layers and the tree stands above the class."""
    return (
        project.is_module(cls.symbol) is Answer.YES
        and not cls.node.keywords
        and all(_is_layer(name) for name in project.outside_bases(cls))
    )


def _is_layer(name: str) -> bool:
    if name == "?object":  # the builtin, which no import names
        return True
    return name.startswith("torch.nn.") and name.count(".") == 2 and not name.endswith("DataParallel")


def _shows_protocol(instances: Instances, method: Function) -> bool:
    """Whether anything says that the method is meant to be called by somebody else than autograd."""
    project, cls = instances.project, instances.cls
    for decorator in method.decorator_list:
        written = decorator.func if isinstance(decorator, ast.Call) else decorator
        symbol = project.resolve(cls.file, written)
        if symbol is None or symbol.path is not None or symbol.name not in _HARMLESS_DECORATORS:
            return True
    if any("backward" in relative.methods for relative in instances.family if relative is not cls):
        return True
    if not all(_is_plain_module(project, heir) for heir in instances.heirs) or _has_hidden_heirs(instances):
        return True
    if not _has_forward(instances):
        return True  # a mixin or an interface
    return _is_abstract(method) or _is_delegate(method) or _runs_autograd(project, cls.file, method)


def _has_hidden_heirs(instances: Instances) -> bool:
    """Whether a class that cannot be followed (made in a function, oddly imported) derives from this one."""
    names = {heir.node.name for heir in instances.heirs}
    known = {id(heir.node) for heir in instances.heirs}
    for name in names:
        for file in instances.project.mentioning(b"class ", name.encode()):
            for node in ast.walk(file.tree):
                if not isinstance(node, ast.ClassDef) or id(node) in known:
                    continue
                for base in node.bases:
                    symbol = instances.project.resolve(file, base)
                    written = (dotted(base) or "").rpartition(".")[2]
                    if symbol in {heir.symbol for heir in instances.heirs} or (
                        symbol is None and written in names
                    ):
                        return True
    return False


def _has_forward(instances: Instances) -> bool:
    own = {name for ancestor in instances.project.lineage(instances.cls) for name in ancestor.methods}
    derived = instances.project.outside_bases(instances.cls) - {"torch.nn.Module"}
    return bool(derived) or not own.isdisjoint(("forward", "__call__"))


def _is_abstract(method: Function) -> bool:
    """Whether the body only says that there should be one."""
    body = [statement for statement in method.body if not is_text(statement)]
    return bool(body) and all(isinstance(statement, ast.Raise) for statement in body)


def _is_delegate(method: Function) -> bool:
    """Whether the method stands for `forward`: ``return self.forward(*args)``, ``return self(x)``."""
    own = (method.args.posonlyargs or method.args.args)[0].arg
    called = (dotted(node.func) for node in ast.walk(method) if isinstance(node, ast.Call))
    return not {own, f"{own}.forward"}.isdisjoint(called)


def _runs_autograd(project: Project, file: File, method: Function) -> bool:
    """Whether the method itself starts a backward pass or a step: it belongs to a training loop."""
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            symbol = project.resolve(file, node.func)
            if symbol and symbol.name in ("torch.autograd.backward", "torch.autograd.grad"):
                return True
            if node.func.attr in ("backward", "manual_backward", "step", "zero_grad"):
                return True
    return False


def _about_state(state: str) -> str:
    return (
        f"It changes {state}, which other code reads: this has never happened. Do it where it belongs, then "
        "delete the method."
    )


def _about_doubt(doubt: Reference) -> str:
    row = doubt.file.source.location(doubt.file.source.span(doubt.node)[0])[0]
    written = ast.unparse(doubt.node)
    return (
        f"`{written}` in line {row} of {doubt.file.path.name} may reach it. If not, delete the method "
        "and what `forward` stores for it."
    )


def _fix(instances: Instances, method: Function) -> Fix:
    cls = instances.cls
    rewrite = Rewrite(instances.project)
    stored = _delete_method(rewrite, instances, method)
    message = "Delete `backward`"
    if stored:
        message += " and what only it reads: " + ", ".join(f"`self.{name}`" for name in stored)
    subjects = (cls, *_owners(instances))
    contract = Contract(
        Promise.PRESERVES, tuple(Subject(subject.file.path, subject.symbol.name) for subject in subjects)
    )
    return Fix(message, Applicability.SAFE, rewrite.edits(), contract)


def _owners(instances: Instances) -> list[Class]:
    """Modules of the tree that construct the class or a subclass, for where it cannot be built alone."""
    owners: dict[ast.ClassDef, Class] = {}
    symbols = {heir.symbol for heir in instances.heirs}
    project = instances.project
    for file in project.mentioning(instances.cls.node.name.encode(), b"class "):
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.Call) or project.resolve(file, node.func) not in symbols:
                continue
            for ancestor in file.ancestors(node):
                owner = project.class_at(file, ancestor) if isinstance(ancestor, ast.ClassDef) else None
                if owner and owner is not instances.cls and project.is_module(owner.symbol) is Answer.YES:
                    owners[owner.node] = owner
                    break
    return [*owners.values(), *instances.heirs[1:]][:_OWNERS]


# The rewrite


def _delete_method(rewrite: Rewrite, instances: Instances, method: Function) -> list[str]:
    """Write the edits; returns the attributes that go along."""
    editor = rewrite.file(instances.cls.file)
    editor.delete(method, comments=True)
    _remove_comments_behind(editor, method)
    stored = leftovers(instances, method)
    _remove(rewrite, instances.project, [removal for found in stored.values() for removal in found])
    return list(stored)


def _remove_comments_behind(editor: Editor, method: Function) -> None:
    """Remove the comments at the end of a method's body, which end the method only for people."""
    source = editor.source
    assert method.end_lineno is not None
    start = last = method.end_lineno + 1
    rows = source.location(len(source.data))[0]
    for row in range(start, rows + 1):
        line = source.line(row)
        if is_comment(editor.file, row) and len(line) - len(line.lstrip()) > method.col_offset:
            last = row + 1
        elif line.strip():
            break
    if last > start:
        end = source.offset(last, 0) if last <= rows else len(source.data)
        editor.replace_span(source.offset(start, 0), end, "")


def _remove(rewrite: Rewrite, project: Project, removals: list[Removal]) -> None:
    doomed: dict[ast.stmt, File] = {}
    for removal in removals:
        if removal.value is not None:
            together = [other for other in removals if other.statement is removal.statement]
            if _loses_all_parts(together):
                doomed[removal.statement] = removal.file
            elif removal is together[0]:
                _drop_parts(rewrite.file(removal.file), together)
        elif removal.whole or _loses_all_targets(project, removal, removals):
            doomed[removal.statement] = removal.file
        else:
            _drop_target(rewrite.file(removal.file), removal)
    for statement, file in _with_emptied_guards(project, doomed).items():
        rewrite.file(file).delete(statement, comments=comment_speaks_of_gradients(file, statement))


def _loses_all_targets(project: Project, removal: Removal, removals: list[Removal]) -> bool:
    """Whether nothing is left of ``self.a = self.b = x``."""
    statement = removal.statement
    going = [other.target for other in removals if other.statement is statement]
    return (
        isinstance(statement, ast.Assign)
        and len(going) == len(statement.targets)
        and is_pure(project, removal.file, statement.value)
    )


def _parts(statement: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    """The pairs of ``a, b = x, y``."""
    assert isinstance(statement, ast.Assign)
    target, value = statement.targets[0], statement.value
    assert isinstance(target, ast.Tuple)
    assert isinstance(value, ast.Tuple)
    return list(zip(target.elts, value.elts, strict=True))


def _loses_all_parts(removals: list[Removal]) -> bool:
    return len(removals) == len(_parts(removals[0].statement))


def _drop_parts(editor: Editor, removals: list[Removal]) -> None:
    """``self.x, n = x, len(x)`` becomes ``n = len(x)``."""
    statement = removals[0].statement
    going = [removal.target for removal in removals]
    kept = [pair for pair in _parts(statement) if pair[0] not in going]
    targets, values = (", ".join(map(editor.source.segment, side)) for side in zip(*kept, strict=True))
    editor.replace_span(*editor.source.span(statement), f"{targets} = {values}")


def _drop_target(editor: Editor, removal: Removal) -> None:
    """``out = self.out = f(x)`` loses `self.out`."""
    assert isinstance(removal.statement, ast.Assign)
    parts = [*removal.statement.targets, removal.statement.value]
    following = parts[parts.index(removal.target) + 1]
    start, end = editor.source.span(removal.target)
    next_start = editor.source.span(following)[0]
    if editor.source.slice(end, next_start).strip() != "=":
        raise CannotRewriteError(f"line {removal.statement.lineno} is written in an unusual way")
    editor.replace_span(start, next_start, "")


def _with_emptied_guards(project: Project, doomed: dict[ast.stmt, File]) -> dict[ast.stmt, File]:
    """The statements to delete; an `if` without `else` of which nothing is left goes as a whole."""
    result = dict(doomed)
    for statement, file in doomed.items():
        guard = file.parents[statement]
        while (
            isinstance(guard, ast.If)
            and not guard.orelse
            and file.source.segment(guard).startswith("if")  # `elif` belongs to what is above it
            and all(item in result for item in guard.body)
            and is_pure(project, file, guard.test)
        ):
            for item in guard.body:
                del result[item]
            result[guard] = file
            guard = file.parents[guard]
    return result
