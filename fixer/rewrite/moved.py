"""Statements of `forward` that project parameters, as lines of a method that runs under `no_grad`."""

from __future__ import annotations

import ast

from fixer.facts.project import Project
from fixer.facts.projections import Projecting, Unit
from fixer.facts.updates import Form, Update, stripped, turns_grad_off
from fixer.rewrite.editor import Editor


class Moved:
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
        for part in self._parts():
            if isinstance(part, Unit):
                self.editor.delete(part.statement, comments=True)
                lines += self._framed(part, self._statement(part.statement))
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

    def original(self) -> list[str]:
        """The author's own statements, each as text without indentation, in the frames around it."""
        return ["\n".join(self._verbatim(part)) for part in self._parts()]

    def _parts(self) -> list[Unit | ast.Assign]:
        parts: list[Unit | ast.Assign] = [*self.method.units, *self.method.support]
        return sorted(parts, key=lambda part: (part.statement if isinstance(part, Unit) else part).lineno)

    def _verbatim(self, part: Unit | ast.Assign) -> list[str]:
        if not isinstance(part, Unit):
            return self._dedented(self.source.segment(part), part)
        return self._framed(part, self._dedented(self.source.segment(part.statement), part.statement))

    def _framed(self, unit: Unit, lines: list[str]) -> list[str]:
        """Lines within the guards and loops that stay behind around a unit."""
        for frame in reversed(unit.frames):
            text = self.source.segment(frame.head)
            if isinstance(frame.statement, ast.For):
                head = f"for {self.source.segment(frame.statement.target)} in {text}:"
            else:
                head = f"if {text}:" if frame.truth else f"if not ({text}):"
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
