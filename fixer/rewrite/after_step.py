"""Calls of a method after every optimizer step, by hooks or right behind `step()`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fixer.contract import Region, Wiring
from fixer.facts.file import File, Function, self_name, walk_function
from fixer.facts.initialisations import Initialisation, initialisations, reinitialising
from fixer.facts.kinds import ANY_MODULE, Answer
from fixer.facts.optimizers import (
    Construction,
    Model,
    Scope,
    Step,
    constructions,
    has_unknown_origin,
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
        built = self.project.once(constructions)
        found = list(self._constructions(built))
        certain = any(answer is Answer.YES for answer, _ in found)
        if certain or not found:
            found += self._steps(built if certain else None)
        if not any(answer is Answer.YES for answer, _ in found):
            certainly = " certainly" if found else ""
            raise CannotRewriteError(f"no optimizer in this tree{certainly} takes its parameters")
        return [*(wiring for _, wiring in found), *self._after_initialisations()]

    def _after_initialisations(self) -> Iterator[Wiring]:
        """Call the method where a constrained parameter gets a new value before there is an optimizer."""
        relatives = {*self.project.lineage(self.cls), *self.project.subclasses(self.cls)}
        family = {relative.node for relative in relatives}
        for found in self.project.once(initialisations):
            if not family.isdisjoint(found.file.ancestors(found.statement)):
                continue  # the constructors of the class and of its subclasses end with a call
            owner = owning(self.project, found.model, self.cls, self.paths)
            if found.part and owner is found.model:
                continue
            if self._holds(owner, found.file) is not Answer.YES:
                continue
            editor = self.rewrite.file(found.file)
            # What a name is bound to need not be of the class itself.
            model = Model(owner.node, ANY_MODULE) if found.rebinds else owner
            span = editor.line_start(found.statement), editor.line_end(found.statement)
            try:
                if isinstance(found.scope, Function) and found.scope.name == "forward":
                    raise CannotRewriteError("it would run in every call")
                editor.insert_after(found.statement, self.call(editor, found.scope, model, "{}()"))
            except CannotRewriteError:
                where = f"line {found.statement.lineno} of {found.file.path.name}"
                self.cautions.append(f"{where} may move its parameters out of range before the first step")
            else:
                name = found.file.source.segment(owner.node)
                yield _wiring("initialisation", found, span, owner, name)
        for heir, constructor in reinitialising(self.project, self.cls, self.paths):
            own = self_name(constructor)
            if own is None or any(isinstance(node, ast.Return) for node in walk_function(constructor)):
                raise CannotRewriteError(f"`__init__` of {heir.node.name} may return early")
            editor = self.rewrite.file(heir.file)
            editor.insert_after(constructor.body[-1], f"{own}.{self.method}()")

    def _constructions(self, built: list[Construction]) -> Iterator[tuple[Answer, Wiring]]:
        """The optimizers that take the parameters, or may take them."""
        for construction in built:
            for model, answer in self._models(construction):
                try:
                    yield answer, self._construction(construction, model)
                except CannotImportError:
                    if answer is Answer.YES:
                        raise
                    self.cautions.append(
                        f"an optimizer in {construction.file.path.name} may take its parameters too"
                    )

    def _models(self, built: Construction) -> list[tuple[Model, Answer]]:
        """What an optimizer takes parameters from, each expression once: as it is where they are taken."""
        found: dict[str, tuple[Model, Answer]] = {}
        for model in (owning(self.project, taken, self.cls, self.paths) for taken in built.models):
            text, answer = ast.unparse(model.node), self._holds(model, built.file)
            if answer is Answer.YES or (answer is Answer.UNKNOWN and text not in found):
                found[text] = (found.get(text, (model, answer))[0], answer)
        return list(found.values())

    def _steps(self, built: list[Construction] | None) -> Iterator[tuple[Answer, Wiring]]:
        """The steps of optimizers whose construction is not in sight: all of them where `built` is None."""
        for step in self.project.once(steps):
            if built is not None and not has_unknown_origin(self.project, step, built):
                continue
            answers = {model: self._holds(model, step.file) for model in step.models}
            for model, answer in answers.items():
                if answer is Answer.YES:
                    yield answer, self._step(step, model)
            if Answer.UNKNOWN in answers.values() and Answer.YES not in answers.values():
                where = f"line {step.statement.lineno} of {step.file.path.name}"
                self.cautions.append(f"the optimizer in {where} may take its parameters too")

    def _holds(self, model: Model, file: File) -> Answer:
        return holds(self.project, model, self.cls, self.paths, file)

    def _construction(self, built: Construction, model: Model) -> Wiring:
        editor = self.rewrite.file(built.file)
        _require_one(built.file, built.scope, built.statement, model)
        if not built.certain:
            self.cautions.append(f"`{ast.unparse(built.call.func)}` may not be a torch.optim.Optimizer")
        span = editor.line_start(built.statement), editor.line_end(built.statement)
        target = built.target or _fresh("optimizer", built.scope)
        hook = self.call(editor, built.scope, model, f"{target}.register_step_post_hook({{}})")
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
        _require_one(step.file, step.scope, step.statement, model)
        span = editor.line_start(step.statement), editor.line_end(step.statement)
        editor.insert_after(step.statement, self.call(editor, step.scope, model, "{}()"))
        return _wiring("step", step, span, model, step.optimizer)

    def call(self, editor: Editor, scope: Scope, model: Model, form: str) -> str:
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


def _require_one(file: File, scope: Scope, statement: ast.stmt, model: Model) -> None:
    """A loop's variable stands for one model inside of its loop only, a comprehension's nowhere else."""
    node: ast.AST = model.node
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    if not isinstance(node, ast.Name):
        return
    name = node.id
    around = set(file.ancestors(statement))
    for binder in ast.walk(scope):
        if isinstance(binder, (ast.For, ast.AsyncFor, ast.comprehension)) and binder not in around:
            targets = {part.id for part in ast.walk(binder.target) if isinstance(part, ast.Name)}
            if name in targets and model.node in ast.walk(_holder(file, binder)):
                line = model.node.lineno
                raise CannotRewriteError(
                    f"`{name}` in line {line} of {file.path.name} stands for several models"
                )


def _holder(file: File, binder: ast.AST) -> ast.AST:
    """The loop, or the expression that a comprehension's clause belongs to."""
    return file.parents[binder] if isinstance(binder, ast.comprehension) else binder


def _wiring(
    kind: str,
    place: Construction | Step | Initialisation,
    span: tuple[int, int],
    model: Model,
    optimizer: str,
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
