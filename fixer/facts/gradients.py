"""Whether a `backward` was written for gradients at all: an inverse is often called so, too."""

from __future__ import annotations

import ast
import re

from fixer.facts import File, Function

_GRADIENTS = re.compile(r"grad|deriv|backprop|back-prop|propagat|chain rule|jacobian|autograd", re.IGNORECASE)
_NAMES = re.compile(r"g|gy|gout|g_?out(put)?|d_?(y|z|x|h|a|out|output|outputs|loss|l|L|prev)|delta|top_diff")


def speaks_of_gradients(file: File, method: Function) -> bool:
    """Whether a method's arguments, names or comments say so, or it is empty."""
    arguments = [*method.args.posonlyargs, *method.args.args, *method.args.kwonlyargs][1:]
    if any(_NAMES.fullmatch(argument.arg) for argument in arguments):
        return True
    if all(isinstance(statement, ast.Pass) or is_text(statement) for statement in method.body):
        return True
    assert method.end_lineno is not None
    rows = range(first_row(file, method), method.end_lineno + 1)
    text = "\n".join(file.source.line(row) for row in rows).replace(f"def {method.name}", "", 1)
    return bool(_GRADIENTS.search(text))


def is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring or an ellipsis."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def first_row(file: File, method: Function) -> int:
    """The first row of a method with the comments right above it and its decorators."""
    row = min([method.lineno, *(decorator.lineno for decorator in method.decorator_list)])
    while row > 1 and is_comment(file, row - 1):
        row -= 1
    return row


def is_comment(file: File, row: int) -> bool:
    """Whether a line holds nothing but a comment."""
    return file.source.line(row).strip().startswith("#")


def comment_speaks_of_gradients(file: File, statement: ast.stmt) -> bool:
    """Whether the comment right above a statement is about the backward pass."""
    row = statement.lineno - 1
    while row > 0 and is_comment(file, row):
        if _GRADIENTS.search(file.source.line(row)) or "backward" in file.source.line(row).lower():
            return True
        row -= 1
    return False
