"""Calls of a method after every optimizer step, by hooks or right behind `step()`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fixer.contract import Region, Wiring
from fixer.facts.file import File, Function
from fixer.facts.kinds import Answer
from fixer.facts.optimizers import (
    Construction,
    Model,
    Scope,
    Step,
    constructions,
    holds,
    is_instance,
    owning,
    steps,
)
from fixer.facts.project import Class, Project
from fixer.rewrite.editor import Editor, Rewrite
from fixer.rewrite.layout import CannotImportError, CannotRewriteError


class AfterStep:
    """Has every optimizer that takes a class's constrained parameters call a method of the class."""

    def __init__(self, rewrite: Rewrite, project: Project, cls: Class, method: str, paths: set[str]) -> None:
        """`paths` are the constrained parameters below an instance; an empty one stands for any."""
        self.rewrite = rewrite
        self.project = project
        self.cls = cls
        self.method = method
        self.paths = paths
        self.cautions: list[str] = []
        """Why somebody has to agree to it."""

    def wire(self) -> list[Wiring]:
        """Write the calls; raises `CannotRewriteError` where no optimizer certainly takes the parameters.

        A method that may never be called would drop the constraint.
        """
        found = list(self._constructions())
        if not found:
            found = [
                (Answer.YES, self._step(step, model))
                for step in steps(self.project)
                for model in step.models
                if self._holds(model, step.file) is Answer.YES
            ]
        if not any(answer is Answer.YES for answer, _ in found):
            certainly = " certainly" if found else ""
            raise CannotRewriteError(f"no optimizer in this tree{certainly} takes its parameters")
        return [wiring for _, wiring in found]

    def _constructions(self) -> Iterator[tuple[Answer, Wiring]]:
        """The optimizers that take the parameters, or may take them."""
        for built in constructions(self.project):
            for model in dict.fromkeys(owning(self.project, m, self.cls, self.paths) for m in built.models):
                answer = self._holds(model, built.file)
                if answer is Answer.NO:
                    continue
                try:
                    yield answer, self._construction(built, model)
                except CannotImportError:
                    if answer is Answer.YES:
                        raise
                    self.cautions.append(
                        f"an optimizer in {built.file.path.name} may take its parameters too"
                    )

    def _holds(self, model: Model, file: File) -> Answer:
        return holds(self.project, model, self.cls, self.paths, file)

    def _construction(self, built: Construction, model: Model) -> Wiring:
        editor = self.rewrite.file(built.file)
        if not built.certain:
            self.cautions.append(f"`{ast.unparse(built.call.func)}` may not be a torch.optim.Optimizer")
        span = editor.line_start(built.statement), editor.line_end(built.statement)
        target = built.target or _fresh("optimizer", built.scope)
        hook = self._call(editor, built.scope, model, f"{target}.register_step_post_hook({{}})")
        if built.target is None:
            _require_hoistable(built)
            call = built.file.source.segment(built.call)
            editor.insert_before(built.statement, f"{target} = {call}\n{hook}")
            editor.replace(built.call, target)
        else:
            editor.insert_after(built.statement, hook)
        return _wiring("construction", built, span, model, target)

    def _step(self, step: Step, model: Model) -> Wiring:
        editor = self.rewrite.file(step.file)
        span = editor.line_start(step.statement), editor.line_end(step.statement)
        editor.insert_after(step.statement, self._call(editor, step.scope, model, "{}()"))
        return _wiring("step", step, span, model, step.optimizer)

    def _call(self, editor: Editor, scope: Scope, model: Model, form: str) -> str:
        """`form` filled with the method of the model, or of every instance of the class within it."""
        name = editor.source.segment(model.node)
        if is_instance(self.project, model.kind, self.cls):
            return form.format(f"{name}.{self.method}")
        module = _fresh("module", scope, loop=True)
        unit = editor.indent_unit
        return (
            f"for {module} in {name}.modules():\n"
            f"{unit}if isinstance({module}, {editor.reference_to(self.cls.symbol)}):\n"
            f"{unit * 2}{form.format(f'{module}.{self.method}')}"
        )


def _wiring(
    kind: str, place: Construction | Step, span: tuple[int, int], model: Model, optimizer: str
) -> Wiring:
    symbol = getattr(model.kind, "cls", None)
    known = (symbol.path, symbol.name) if symbol is not None and symbol.path is not None else None
    function = place.file.qualname(place.scope) if isinstance(place.scope, Function) else None
    text = place.file.source.segment(model.node)
    return Wiring(Region(place.file.path, *span), kind, text, known, optimizer, function)


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
