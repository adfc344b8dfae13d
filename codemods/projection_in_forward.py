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
where the projection runs after the parameter was used, where it is guarded by `self.training`, or where an
optimizer comes from a class that may not be a `torch.optim.Optimizer`. Where no optimizer of the tree
certainly takes them, nothing is rewritten: a hook that nobody calls would drop the constraint.

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
from fixer.facts.optimizers import (
    Construction,
    Model,
    Step,
    constructions,
    holds,
    is_instance,
    owning,
    steps,
)
from fixer.facts.projections import Projecting, Unit, projecting_methods
from fixer.facts.updates import Form, Nature, Update, in_no_grad, stripped, turns_grad_off
from fixer.rewrite import CannotRewriteError, Editor, Rewrite
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
    Wiring,
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
    tests = [test for unit in method.units for test, _ in unit.guards]
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
        self.cautions: list[str] = []
        self.wiring = list(self._wire())
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
        applicability = Applicability.UNSAFE if self.cautions else Applicability.SAFE
        where = "a call after each optimizer step" if self.wiring[0].kind == "step" else "a post-step hook"
        message = f"Move it to `{self.method_name}`, run by {where}"
        return Fix(message, applicability, self.rewrite.edits(), self._contract())

    # The class

    def _method_name(self) -> str:
        """`project_parameters`, or another name where the class or its family has that one already."""
        family = [*self.project.lineage(self.cls), *self.project.subclasses(self.cls)]
        taken = {name for member in family for name in member.methods}
        candidates = [METHOD, f"project_{_snake(self.cls.node.name)}_parameters"]
        return next((name for name in candidates if name not in taken), f"{candidates[-1]}_in_range")

    def _move(self) -> None:
        lines: list[str] = []
        for projecting in self.methods:
            lines += _Moved(self.editor, self.project, projecting).lines()
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
        if any(isinstance(node, ast.Return) for node in ast.walk(constructor)):
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

    # The places that call it

    def _wire(self) -> Iterator[Wiring]:
        paths = {self._path(update) for method in self.methods for update, _ in method.updates}
        sure = False
        found: list[Wiring] = []
        for built in constructions(self.project):
            for model in dict.fromkeys(owning(self.project, m, self.cls, paths) for m in built.models):
                answer = holds(self.project, model, self.cls, paths, built.file)
                if answer is not Answer.NO:
                    sure |= answer is Answer.YES
                    found.append(self._wire_construction(built, model))
        if not found:
            for step in steps(self.project):
                for model in step.models:
                    if holds(self.project, model, self.cls, paths, step.file) is Answer.YES:
                        sure = True
                        found.append(self._wire_step(step, model))
        if not sure:  # a hook that may never be called would drop the constraint
            certainly = " certainly" if found else ""
            raise CannotRewriteError(f"no optimizer in this tree{certainly} takes its parameters")
        yield from found

    def _path(self, update: Update) -> str:
        """The constrained parameter below `self`: ``lin.weight``; empty where it is found in a loop."""
        name = dotted(update.parameter) or ""
        root, _, path = name.partition(".")
        return path if root == self._self_name() else ""

    def _wire_construction(self, built: Construction, model: Model) -> Wiring:
        editor = self.rewrite.file(built.file)
        if not built.certain:
            self.cautions.append(f"`{ast.unparse(built.call.func)}` may not be a torch.optim.Optimizer")
        target = built.target
        model_text = built.file.source.segment(model.node)
        start, end = editor.line_start(built.statement), editor.line_end(built.statement)
        if target is None:
            target = _fresh("optimizer", built.scope)
            _require_hoistable(built)
            call = built.file.source.segment(built.call)
            hook = self._hook(editor, built.scope, model, model_text, target)
            editor.insert_before(built.statement, f"{target} = {call}\n{hook}")
            editor.replace(built.call, target)
        else:
            editor.insert_after(built.statement, self._hook(editor, built.scope, model, model_text, target))
        return self._wiring(built.file, start, end, "construction", model, model_text, target, built.scope)

    def _wire_step(self, step: Step, model: Model) -> Wiring:
        editor = self.rewrite.file(step.file)
        model_text = step.file.source.segment(model.node)
        start, end = editor.line_start(step.statement), editor.line_end(step.statement)
        direct, loop = f"{model_text}.{self.method_name}()", "{module}.{method}()"
        code = (
            direct
            if is_instance(self.project, model.kind, self.cls)
            else self._loop(editor, step.scope, model_text, loop)
        )
        editor.insert_after(step.statement, code)
        return self._wiring(step.file, start, end, "step", model, model_text, step.optimizer, step.scope)

    def _hook(self, editor: Editor, scope: ast.AST, model: Model, model_text: str, target: str) -> str:
        if is_instance(self.project, model.kind, self.cls):
            return f"{target}.register_step_post_hook({model_text}.{self.method_name})"
        call = f"{target}.register_step_post_hook({{module}}.{{method}})"
        return self._loop(editor, scope, model_text, call)

    def _loop(self, editor: Editor, scope: ast.AST, model_text: str, call: str) -> str:
        name = _fresh("module", scope, loop=True)
        unit = editor.indent_unit
        cls = editor.reference_to(self.cls.symbol)
        return (
            f"for {name} in {model_text}.modules():\n"
            f"{unit}if isinstance({name}, {cls}):\n"
            f"{unit * 2}{call.format(module=name, method=self.method_name)}"
        )

    def _wiring(
        self,
        file: File,
        start: int,
        end: int,
        kind: str,
        model: Model,
        text: str,
        target: str,
        scope: ast.AST,
    ) -> Wiring:
        symbol = getattr(model.kind, "cls", None)
        known = (symbol.path, symbol.name) if symbol is not None and symbol.path is not None else None
        function = file.qualname(scope) if isinstance(scope, Function) else None
        return Wiring(Region(file.path, start, end), kind, text, known, target, function)

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
                self.file.path, self.cls.symbol.name, tuple(self._original()), self.method_name, exact
            ),
            wiring=tuple(self.wiring),
        )

    def _original(self) -> Iterator[Region]:
        """The author's statements, in order, with what supports them and the guards around them."""
        for method in self.methods:
            statements: list[ast.stmt] = [*method.support]
            for unit in method.units:
                outermost: ast.stmt = unit.statement
                if unit.guards:
                    outermost = self._guard(unit, method.function)
                statements.append(outermost)
            for statement in sorted(dict.fromkeys(statements), key=lambda node: node.lineno):
                yield self._region(statement)

    def _guard(self, unit: Unit, function: Function) -> ast.stmt:
        """The outermost `if` that stays behind around a unit."""
        outermost = unit.statement
        for ancestor in self.file.ancestors(unit.statement):
            if ancestor is function or ancestor in self.cls.methods.values():
                break
            if isinstance(ancestor, ast.stmt):
                outermost = ancestor
        return outermost

    def _region(self, statement: ast.stmt) -> Region:
        return Region(self.file.path, self.editor.line_start(statement), self.editor.line_end(statement))


def _require_hoistable(built: Construction) -> None:
    """An optimizer that is built in the middle of a statement gets a name, if that runs it no other time."""
    allowed = (
        ast.Return,
        ast.Assign,
        ast.AnnAssign,
        ast.Expr,
        ast.Tuple,
        ast.List,
        ast.Dict,
        ast.Call,
        ast.keyword,
    )
    for ancestor in built.file.ancestors(built.call):
        if not isinstance(ancestor, allowed):
            line = built.call.lineno
            raise CannotRewriteError(
                f"line {line} of {built.file.path.name} builds the optimizer within an expression"
            )
        if isinstance(ancestor, ast.stmt):
            return


def _fresh(name: str, scope: ast.AST, *, loop: bool = False) -> str:
    """A name that a scope does not use yet; a loop may share its name with other loops."""
    loops = [node for node in ast.walk(scope) if loop and isinstance(node, ast.For)]
    own = {
        node
        for other in loops
        if _binds(other, name)
        for node in ast.walk(other)
        if isinstance(node, ast.Name)
    }
    used = {node.id for node in ast.walk(scope) if isinstance(node, ast.Name) and node not in own}
    used |= {node.arg for node in ast.walk(scope) if isinstance(node, ast.arg)}
    candidates = [name, f"constrained_{name}", *(f"{name}_{number}" for number in range(2, 100))]
    return next(candidate for candidate in candidates if candidate not in used)


def _binds(loop: ast.For, name: str) -> bool:
    return isinstance(loop.target, ast.Name) and loop.target.id == name


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name)).strip("_")


class _Moved:
    """The text that a method's projections become in `project_parameters`."""

    def __init__(self, editor: Editor, project: Project, method: Projecting) -> None:
        self.editor = editor
        self.file = editor.file
        self.source = editor.source
        self.project = project
        self.method = method
        self.updates = {update.statement: update for update, _ in method.updates}

    def lines(self) -> list[str]:
        """The new lines; the old ones are deleted on the way."""
        lines: list[str] = []
        parts: list[Unit | ast.Assign] = [*self.method.units, *self.method.support]
        parts.sort(key=lambda part: (part.statement if isinstance(part, Unit) else part).lineno)
        for part in parts:
            if isinstance(part, Unit):
                self.editor.delete(part.statement, comments=True)
                lines += self._guarded(part)
            else:
                lines += self._statement(part)
                if not self._needed_elsewhere(part):
                    self.editor.delete(part, comments=True)
        return lines

    def _needed_elsewhere(self, support: ast.Assign) -> bool:
        """Whether what stays in the method reads a name that the projections need too."""
        moved = {node for unit in self.method.units for node in ast.walk(unit.statement)}
        moved |= {node for other in self.method.support for node in ast.walk(other)}
        names = {target.id for target in support.targets if isinstance(target, ast.Name)}
        scope = self.file.function(support)
        assert scope is not None
        return any(
            isinstance(node, ast.Name)
            and node.id in names
            and isinstance(node.ctx, ast.Load)
            and node not in moved
            for node in ast.walk(scope)
        )

    def _guarded(self, unit: Unit) -> list[str]:
        lines = self._statement(unit.statement)
        for test, truth in reversed(unit.guards):
            text = self.source.segment(test)
            head = f"if {text}:" if truth else f"if not ({text}):"
            lines = [head, *self._indented(lines)]
        return lines

    def _indented(self, lines: list[str]) -> list[str]:
        return [self.editor.indent_unit + line if line else line for line in lines]

    def _statement(self, statement: ast.stmt) -> list[str]:
        """A statement as lines without indentation, its comments included."""
        comments = self.editor.comments_above(statement)
        trailing = self.editor.trailing_comment(statement)
        if isinstance(statement, ast.With) and self._only_turns_grad_off(statement):
            return [*comments, *self._block(statement.body)]
        if isinstance(statement, (ast.If, ast.For, ast.With)):
            return [*comments, *self._compound(statement)]
        update = self.updates.get(statement)
        text = self._update(update) if update is not None else self.source.segment(statement)
        lines = self._dedented(text, statement)
        if trailing:
            lines[-1] = f"{lines[-1]}  {trailing}"
        return [*comments, *lines]

    def _only_turns_grad_off(self, statement: ast.With) -> bool:
        return all(turns_grad_off(self.file, item.context_expr, self.project) for item in statement.items)

    def _block(self, body: list[ast.stmt]) -> list[str]:
        return [line for statement in body for line in self._statement(statement)]

    def _compound(self, statement: ast.If | ast.For | ast.With) -> list[str]:
        head = self._head(statement, statement.body[0])
        lines = [*head, *self._indented(self._block(statement.body))]
        orelse = [] if isinstance(statement, ast.With) else statement.orelse
        if orelse:
            nested = orelse[0]
            is_elif = isinstance(nested, ast.If) and self.source.segment(nested).startswith("elif")
            if is_elif and isinstance(nested, ast.If):
                lines += self._compound(nested)
            else:
                lines += ["else:", *self._indented(self._block(orelse))]
        return lines

    def _head(self, statement: ast.stmt, first: ast.stmt) -> list[str]:
        """``if test:`` or ``for x in y:`` as it is written."""
        start = self.source.span(statement)[0]
        if first.lineno == statement.lineno:
            text = self.source.slice(start, self.source.span(first)[0])
        else:
            text = self.source.slice(start, self.editor.above(first))
        return self._dedented(text.rstrip(), statement)

    def _dedented(self, text: str, statement: ast.stmt) -> list[str]:
        first, *rest = text.split("\n")
        indent = self.editor.indentation(statement)
        return [first, *(line.removeprefix(indent) for line in rest)]

    # Updates under no_grad

    def _update(self, update: Update) -> str:
        """The in-place form of an update, for a method that runs without gradients."""
        name = self.source.segment(update.parameter)
        if update.form is Form.ITEM:
            return self._plain(update.statement)
        if update.form is Form.AUGMENTED:
            assert update.value is not None
            method = {"*": "mul_", "/": "div_", "-": "sub_", "+": "add_"}[update.operation]
            return f"{name}.{method}({self._plain(update.value)})"
        if update.form is Form.IN_PLACE:
            assert update.call is not None
            if (
                isinstance(update.call.func, ast.Attribute)
                and stripped(update.call.func.value)[0] is update.parameter
            ):
                return f"{name}.{update.call.func.attr}{self._arguments(update.call)}"
            return self._plain(update.call)
        assert update.value is not None
        shorter = self._in_place(name, update)
        return shorter or f"{name}.copy_({self._plain(update.value)})"

    def _in_place(self, name: str, update: Update) -> str | None:
        """``p.clamp_(a, b)`` for ``torch.clamp(p, a, b)`` and ``p.clamp(a, b)``."""
        call = update.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return None
        operation = call.func.attr
        if operation not in (
            "clamp",
            "clip",
            "clamp_min",
            "clamp_max",
            "abs",
            "relu",
            "tril",
            "triu",
            "nan_to_num",
        ):
            return None
        symbol = self.project.resolve(self.file, call.func)
        operand = call.args[0] if symbol is not None and call.args else call.func.value
        if symbol is not None and symbol.name != f"torch.{operation}":
            return None
        if ast.dump(stripped(operand)[0]) != ast.dump(
            _as_load(update.parameter)
        ) or "#" in self.source.segment(call):
            return None
        arguments = call.args[1:] if symbol is not None else call.args
        texts = [self._plain(argument) for argument in arguments]
        texts += [f"{keyword.arg}={self._plain(keyword.value)}" for keyword in call.keywords]
        return f"{name}.{operation}_({', '.join(texts)})"

    def _arguments(self, call: ast.Call) -> str:
        """The parenthesised arguments of a call as they are written, without ``.data`` of parameters."""
        start = self.source.span(call.func)[1]
        return self._without_data(call, start, self.source.span(call)[1])

    def _plain(self, node: ast.expr | ast.stmt) -> str:
        """A node's text without ``.data`` of parameters: the method runs under `no_grad`."""
        return self._without_data(node, *self.source.span(node))

    def _without_data(self, node: ast.AST, start: int, end: int) -> str:
        targets = {ast.dump(_as_load(update.parameter)) for update in self.updates.values()}
        cuts = [
            (self.source.span(part.value)[1], self.source.span(part)[1])
            for part in ast.walk(node)
            if isinstance(part, ast.Attribute)
            and part.attr == "data"
            and ast.dump(_as_load(part.value)) in targets
        ]
        pieces, position = [], start
        for cut_start, cut_end in sorted(cuts):
            if cut_start >= position:
                pieces.append(self.source.slice(position, cut_start))
                position = cut_end
        pieces.append(self.source.slice(position, end))
        return "".join(pieces)


def _as_load(node: ast.expr) -> ast.expr:
    """The same expression as it is written when read."""
    return ast.parse(ast.unparse(node), mode="eval").body


__all__ = ["ProjectionInForward"]
