"""# projection-in-forward (PRM101)

## What it does
Finds statements in `forward`, or in a method that `forward` calls, that overwrite a parameter with a
function of itself: a clamp, a renorm, a division by its own norm, a mask. Moves them to a method
`project_parameters` that an optimizer post-step hook calls after every `optimizer.step()`.

## Why it is bad
Rewriting a parameter in `forward` ties it to every call of the module:

- `self.w.data.clamp_(a, b)` before the parameter is used works, but also runs in eval, fails in
  `torch.export`, raises under `torch.func.grad`, is rejected by `vmap` and `torch.jit.script`, and is lost
  on the replicas of `DataParallel`.
- The same under `torch.no_grad()` without `.data` works once per backward; a second forward before it (a
  critic on real and fake samples, siamese networks) raises "modified by an inplace operation".
- Either one *after* the parameter was used: the `no_grad` form raises in backward; the `.data` form gives a
  silently wrong gradient, because backward reads the clamped values.
- `self.lin.weight = torch.clamp(self.lin.weight, a, b)` raises `TypeError`, and `self.w.clamp_(a, b)`
  outside `no_grad` raises `RuntimeError`.

Measured on torch 2.13.

## Example
```python
class Gate(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x):
        self.width.data.clamp_(0, 1)
        return x * self.width


gate = Gate(8)
optimizer = torch.optim.Adam(gate.parameters())
```

## Use instead
```python
class Gate(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = nn.Parameter(torch.full((width,), 0.5))
        self.project_parameters()
        self.register_load_state_dict_post_hook(self.project_parameters)

    @torch.no_grad()
    def project_parameters(self, *_) -> None:
        \"\"\"Keep the constrained parameters in range; runs after every optimizer step.\"\"\"
        self.width.clamp_(0, 1)

    def forward(self, x):
        return x * self.width


gate = Gate(8)
optimizer = torch.optim.Adam(gate.parameters())
optimizer.register_step_post_hook(gate.project_parameters)
```

## Fix safety
Losses and gradients stay bit-identical: the parameters that each forward uses are the same. Only the state
after the last step differs, which the original leaves out of range until its next forward. The call at the
end of `__init__` keeps the first forward, the hook on `load_state_dict` keeps old checkpoints, the same.

The fix is safe where every optimizer of the tree that takes the parameters gets the hook. It is unsafe
where the projection runs after the parameter was used, where it is guarded by `self.training`, where its
bound or mask changes after construction, or where an optimizer comes from a class that may not be a
`torch.optim.Optimizer`. Where no optimizer of the tree certainly takes them, nothing is rewritten: a hook
that nobody calls would drop the constraint.

## How it is verified
The original and the fixed module are built with the same seeds and compared in outputs, gradients and
training steps, with the optimizer that the fixed code builds and the hooks it registers, and with SGD with
momentum and Adam. After every step the author's own statements are run as an oracle: the parameters must be
what they give.

## Known problems
An optimizer's hooks are not pickled with it. A parameter that other code writes between construction and
the first step (`model.apply(init)`) is in range only after that step.

## References
- [Optimizer.register_step_post_hook](https://docs.pytorch.org/docs/stable/optim.html)
-
  [Module.register_load_state_dict_post_hook](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fixer.facts import Answer, Class, File, Function, Project, dotted
from fixer.facts.changes import absent_at_first, changed_later
from fixer.facts.file import walk_function
from fixer.facts.projections import Projecting, projecting_methods
from fixer.facts.updates import Form, Nature, Update, in_no_grad
from fixer.rewrite import CannotRewriteError, Rewrite
from fixer.rewrite.after_step import AfterStep
from fixer.rewrite.moved import Moved
from fixer.rule import (
    Applicability,
    Contract,
    Finding,
    Fix,
    Projection,
    Promise,
    Region,
    Rule,
    Subject,
)

METHOD = "project_parameters"


class ProjectionInForward(Rule):
    """See the module's docstring."""

    code = "PRM101"
    name = "projection-in-forward"
    summary = "a parameter is clamped, renormalised or masked inside `forward`"
    applicability = Applicability.SAFE
    contract = "preserves (repairs where the original raises); the constraint holds after every step"
    tokens = (
        (b"class ",),
        (
            *(
                b".data",
                b"no_grad",
                b"inference_mode",
                b"set_grad_enabled",
                b"clamp",
                b"clip",
                b"norm",
                b"relu",
            ),
            *(b"abs", b"tanh", b"tri", b"nan_to_num", b"max", b"min", b"masked_fill", b"threshold", b"where"),
            *(b"register_buffer", b"mean", b"sum", b"std", b"fill_"),
        ),
    )

    def check(self, file: File, project: Project) -> Iterator[Finding]:
        """One finding per class: its projections move together."""
        for node in file.classes.values():
            cls = project.class_at(file, node)
            if cls is None or project.is_module(cls.symbol) is not Answer.YES:
                continue
            methods = projecting_methods(project, cls)
            methods = [method for method in methods if not _is_forced_normalisation(method)]
            if methods:
                yield self._finding(file, project, cls, methods)

    def _finding(self, file: File, project: Project, cls: Class, methods: list[Projecting]) -> Finding:
        updates = [update for method in methods for update, _ in method.updates]
        span = file.source.span(updates[0].statement)
        message = _message(file, project, methods, updates)
        obstacle = next((method.obstacle for method in methods if method.obstacle), None)
        if obstacle:
            return self.finding(file, span, message, help=f"move it by hand: {obstacle}; {_by_hand(cls)}")
        try:
            plan = _Plan(project, cls, methods)
            return self.finding(file, span, message, plan.fix(), help=plan.caution)
        except CannotRewriteError as error:
            return self.finding(file, span, message, help=f"{error}; {_by_hand(cls)}")


def _is_forced_normalisation(method: Projecting) -> bool:
    """EDM2's forced weight normalisation: a division by the norm in training mode only is its algorithm."""
    normalises = any(nature is Nature.NORMALISING for _, nature in method.updates)
    return normalises and _guarded_by_training(method)


def _guarded_by_training(method: Projecting) -> bool:
    tests = [frame.head for unit in method.units for frame in unit.frames]
    tests += [
        node.test for unit in method.units for node in ast.walk(unit.statement) if isinstance(node, ast.If)
    ]
    around = [a for update, _ in method.updates for a in method.cls.file.ancestors(update.statement)]
    tests += [ancestor.test for ancestor in around if isinstance(ancestor, ast.If)]
    return any(
        isinstance(node, ast.Attribute) and node.attr == "training"
        for test in tests
        for node in ast.walk(test)
    )


# What is said


def _message(file: File, project: Project, methods: list[Projecting], updates: list[Update]) -> str:
    first = updates[0]
    name = file.source.segment(first.parameter)
    more = f" (and {len(updates) - 1} more)" if len(updates) > 1 else ""
    return f"`{name}`{more} is overwritten inside `forward`: {_consequence(file, project, methods, first)}"


def _consequence(file: File, project: Project, methods: list[Projecting], update: Update) -> str:
    symptom = _symptom(file, project, update)
    if symptom == "TypeError":
        return "assigning a tensor to a parameter raises TypeError"
    if symptom == "RuntimeError":
        return "an in-place change of a leaf that requires grad raises RuntimeError"
    if any(method.after_use for method in methods):
        if update.through_data:
            return (
                "it was read before, so backward uses the changed values and the gradient is silently wrong"
            )
        return "it was read before, so backward raises (modified by an inplace operation)"
    if update.through_data:
        return "every call rewrites it, in eval too; torch.export and torch.func fail, replicas lose it"
    return "a second forward before backward raises (modified by an inplace operation)"


def _symptom(file: File, project: Project, update: Update) -> str | None:
    """The exception that an update raises today, if it does."""
    if update.form is Form.ASSIGN:
        return "TypeError"
    if update.through_data or in_no_grad(file, update.statement, project):
        return None
    return "RuntimeError"


def _by_hand(cls: Class) -> str:
    name = cls.node.name
    return (
        f"put it into a method `{METHOD}` of {name} under `@torch.no_grad()`, call that at the end of "
        f"`__init__`, and after building each optimizer run `for module in model.modules(): "
        f"if isinstance(module, {name}): optimizer.register_step_post_hook(module.{METHOD})`"
    )


# The rewrite


class _Plan:
    """Everything one fix needs: the class's new method, and every place that has to call it."""

    def __init__(self, project: Project, cls: Class, methods: list[Projecting]) -> None:
        self.project = project
        self.cls = cls
        self.file = cls.file
        self.methods = methods
        self.rewrite = Rewrite(project)
        self.editor = self.rewrite.file(cls.file)
        self.method_name = self._method_name()
        absent = absent_at_first(project, cls, methods)
        if absent:
            raise CannotRewriteError(f"`{absent}` is not there yet when `__init__` ends")
        calls = AfterStep(self.rewrite, project, cls, self.method_name, self._paths())
        self.wiring = calls.wire()
        self.cautions = calls.cautions
        self.original: list[str] = []
        """The author's own statements, for the oracle."""
        self._move()

    @property
    def caution(self) -> str | None:
        """Why the fix is unsafe, if it is."""
        return "; ".join(dict.fromkeys(self.cautions)) or None

    def fix(self) -> Fix:
        """The fix with its contract."""
        if any(method.after_use for method in self.methods):
            self.cautions.append("the parameter is used before it is projected, so training changes")
        if any(_guarded_by_training(method) for method in self.methods):
            self.cautions.append("the projection is guarded by `self.training`")
        change = changed_later(self.project, self.cls, self.methods)
        if change:
            self.cautions.append(change)
        applicability = Applicability.UNSAFE if self.cautions else Applicability.SAFE
        where = "a call after each optimizer step" if self.wiring[0].kind == "step" else "a post-step hook"
        message = f"Move it to `{self.method_name}`, run by {where}"
        return Fix(message, applicability, self.rewrite.edits(), self._contract())

    # The class

    def _method_name(self) -> str:
        """`project_parameters`, or another name where the class or its family has that one already."""
        family = [*self.project.lineage(self.cls), *self.project.subclasses(self.cls)]
        taken = {name for member in family for name in (*member.methods, *self.project.class_slots(member))}
        candidates = [METHOD, f"project_{_snake(self.cls.node.name)}_parameters"]
        return next((name for name in candidates if name not in taken), f"{candidates[-1]}_in_range")

    def _move(self) -> None:
        lines: list[str] = []
        for projecting in self.methods:
            moved = Moved(self.editor, self.project, projecting)
            self.original += moved.original()
            lines += moved.lines()
        self_name = self._self_name()
        no_grad = self.editor.reference("torch.no_grad")
        unit = self.editor.indent_unit
        method = [
            f"@{no_grad}()",
            f"def {self.method_name}({self_name}, *_) -> None:",
            f'{unit}"""Keep the constrained parameters in range; runs after every optimizer step."""',
            *(unit + line if line else line for line in lines),
        ]
        calls = [
            f"{self_name}.{self.method_name}()",
            f"{self_name}.register_load_state_dict_post_hook({self_name}.{self.method_name})",
        ]
        constructor = self.cls.methods.get("__init__")
        if constructor is None:
            self._add_constructor(method, calls, self_name)
            return
        body = constructor.body
        if any(isinstance(node, ast.Return) for node in walk_function(constructor)):
            raise CannotRewriteError("its `__init__` may return early")
        self.editor.insert_after(body[-1], "\n".join(calls))
        self.editor.append_method(self.cls.node, constructor, "\n".join(method))

    def _add_constructor(self, method: list[str], calls: list[str], self_name: str) -> None:
        unit = self.editor.indent_unit
        constructor = [
            f"def __init__({self_name}, *args, **kwargs) -> None:",
            f"{unit}super().__init__(*args, **kwargs)",
            *(unit + line for line in calls),
        ]
        first = next(node for node in self.cls.node.body if isinstance(node, Function))
        self.editor.insert_before_with_comments(first, "\n".join([*constructor, "", *method, ""]))

    def _self_name(self) -> str:
        arguments = self.methods[0].function.args
        return [*arguments.posonlyargs, *arguments.args][0].arg

    def _paths(self) -> set[str]:
        """The constrained parameters below `self`: ``lin.weight``; empty for one found in a loop."""
        found = set()
        for method in self.methods:
            for update, _ in method.updates:
                root, _, path = (dotted(update.parameter) or "").partition(".")
                found.add(path if root == self._self_name() else "")
        return found

    # The contract

    def _contract(self) -> Contract:
        updates = [(method, update) for method in self.methods for update, _ in method.updates]
        symptoms = [(_symptom(self.file, self.project, update), update) for _, update in updates]
        raising = next(((symptom, update) for symptom, update in symptoms if symptom), None)
        symptom, at = raising or (None, None)
        if symptom is None and any(method.after_use for method in self.methods):
            symptom, at = "gradient", updates[0][1]
        exact = all(nature is Nature.EXACT for method in self.methods for _, nature in method.updates)
        subjects = [Subject(self.file.path, self.cls.symbol.name)]
        subjects += [
            Subject(path, name)
            for wiring in self.wiring
            if wiring.model_class
            for path, name in [wiring.model_class]
        ]
        return Contract(
            Promise.REPAIRS if symptom else Promise.PRESERVES,
            tuple(dict.fromkeys(subjects)),
            symptom=symptom,
            symptom_region=self._region(at.statement) if at else None,
            projection=Projection(
                self.file.path, self.cls.symbol.name, tuple(self.original), self.method_name, exact
            ),
            wiring=tuple(self.wiring),
        )

    def _region(self, statement: ast.stmt) -> Region:
        return Region(self.file.path, self.editor.line_start(statement), self.editor.line_end(statement))


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name)).strip("_")


__all__ = ["ProjectionInForward"]
