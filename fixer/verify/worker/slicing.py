"""Cutting a training script down to what it defines, so that it can be imported without running.

Kept: imports, definitions, constants, and what the kept definitions need of the rest. Line numbers stay.
"""

from __future__ import annotations

import ast
from typing import Collection, Iterable, Iterator, Mapping

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_TRAINING_METHODS = {"backward", "fit", "step", "zero_grad"}
_SCRIPT_METHODS = {"parse_args", "parse_known_args"} | _TRAINING_METHODS
_STOPPING_CALLS = {"exit", "input", "quit"}
_HARMLESS_CALLS = (  # heads of dotted names; such calls only set things up or look things up
    "sys.path.",
    "warnings.",
    "logging.",
    "torch.manual_seed",
    "torch.set_",
    "torch.device",
    "torch.cuda.is_available",
    "torch.backends.",
    "random.seed",
    "np.random.seed",
    "numpy.random.seed",
    "os.path.",
    "os.getenv",
    "os.environ.",
    "pathlib.Path",
    "Path",
    "collections.namedtuple",
    "namedtuple",
    "typing.",
    "TypeVar",
    "NewType",
)
_HARMLESS_BUILTINS = {
    *("abs", "bool", "dict", "float", "frozenset", "int", "len", "list", "max", "min", "print", "range"),
    *("round", "set", "sorted", "str", "sum", "tuple"),
}


def runs_a_script(tree: ast.Module) -> bool:
    """Whether importing the module would train, parse a command line, ask or exit."""
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    return any(_trains(node, functions, set()) for node in _top_level(tree.body))


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run on import."""
    return (node for node in body if not isinstance(node, _Definition) and not is_main_guard(node))


def is_main_guard(node: ast.stmt) -> bool:
    """Whether a statement is ``if __name__ == "__main__":``, or has that test among others."""
    return isinstance(node, ast.If) and any(
        isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test)
    )


def _trains(node: ast.AST, functions: Mapping[str, ast.AST], seen: set[str]) -> bool:
    """Whether a statement trains, or calls a function of the module that does."""
    for part in _running_parts(node):
        if not isinstance(part, ast.Call):
            continue
        if isinstance(part.func, ast.Attribute):
            if part.func.attr in _SCRIPT_METHODS or _dotted(part.func) == "sys.exit":
                return True
        elif isinstance(part.func, ast.Name):
            name = part.func.id
            if name in _STOPPING_CALLS:
                return True
            if name in functions and name not in seen:
                seen.add(name)
                if _trains(functions[name], functions, seen):
                    return True
    return False


def _running_parts(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a node without entering the definitions below it: they do not run here."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*_Definition, ast.Lambda)):
            yield from _running_parts(child)


def _dotted(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return ".".join([node.id, *parts]) if isinstance(node, ast.Name) else ""


def definitions(tree: ast.Module, wanted: Collection[str] = ()) -> ast.Module:
    """The part of a module that defines things.

    Globals that classes, and the functions in `wanted`, read when they run are computed if they can be: what
    fails among them is skipped, since the code under test may not need it.
    """
    body = [node for node in tree.body if not is_main_guard(node)]
    kept = {index for index, node in enumerate(body) if _is_plain(node)}
    variables = set().union(*map(_binds, body))  # a call on a module (`plt.show()`) completes nothing
    needed: set[str] = set(wanted)
    for index in kept:
        node = body[index]
        needed |= _reads(node) if not isinstance(node, _Function) else _definition_time_reads(node)
    optional: set[int] = set()
    grew = True
    while grew:
        grew = False
        for index, node in enumerate(body):
            if isinstance(node, _Function) and node.name in needed and not _reads(node) <= needed:
                needed |= _reads(node)
                grew = True
            elif index not in kept | optional and _prepares(node, needed & variables):
                optional.add(index)
                needed |= _reads(node)
                grew = True
    sliced = [
        _attempt(node) if index in optional or _may_fail(node) else node
        for index, node in enumerate(body)
        if index in kept | optional
    ]
    return ast.fix_missing_locations(ast.Module(body=sliced, type_ignores=[]))


def _is_plain(node: ast.stmt) -> bool:
    """Whether a statement only imports, defines, or computes a constant."""
    if isinstance(node, (ast.Import, ast.ImportFrom, *_Definition, ast.Pass, ast.Assert)):
        return True
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        return node.value is None or _is_simple(node.value)
    if isinstance(node, ast.Expr):
        return _is_simple(node.value)
    if isinstance(node, ast.If):
        return _is_simple(node.test) and all(map(_is_plain, [*node.body, *node.orelse]))
    if isinstance(node, ast.Try):
        handlers = [statement for handler in node.handlers for statement in handler.body]
        return all(map(_is_plain, [*node.body, *handlers, *node.orelse, *node.finalbody]))
    return isinstance(node, ast.Raise)


def _may_fail(node: ast.stmt) -> bool:
    """Whether a plain statement could miss a name that the slice has dropped."""
    return not isinstance(node, (*_Definition, ast.Import, ast.ImportFrom, ast.Try)) and bool(_reads(node))


def _is_simple(expression: ast.expr) -> bool:
    """Whether an expression calls nothing but what is known to be harmless."""
    return all(_is_harmless(part) for part in ast.walk(expression) if isinstance(part, ast.Call))


def _is_harmless(call: ast.Call) -> bool:
    name = _dotted(call.func)
    return name in _HARMLESS_BUILTINS or name.startswith(_HARMLESS_CALLS)


def _prepares(node: ast.stmt, needed: set[str]) -> bool:
    """Whether a statement computes a needed name or completes one (``parser.add_argument(..)``)."""
    if any(isinstance(part, ast.Attribute) and part.attr in _TRAINING_METHODS for part in ast.walk(node)):
        return False
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.If, ast.Try, ast.With)):
        return bool(_binds(node) & needed)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        name, _, method = _dotted(node.value.func).partition(".")
        return bool(method) and name in needed
    return False


def _binds(node: ast.AST) -> set[str]:
    return {
        part.id
        for part in _running_parts(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def _reads(node: ast.AST) -> set[str]:
    return {
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    }


def _definition_time_reads(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = node.args
    parts: list[ast.AST] = [*node.decorator_list, *arguments.defaults]
    parts += [default for default in arguments.kw_defaults if default is not None]
    return set().union(*map(_reads, parts))


def _attempt(node: ast.stmt) -> ast.stmt:
    """``try: <node>`` / ``except BaseException: pass``, so that what is optional may fail."""
    handler = ast.ExceptHandler(
        type=ast.Name(id="BaseException", ctx=ast.Load()), name=None, body=[ast.Pass()]
    )
    attempt = ast.Try(body=[node], handlers=[handler], orelse=[], finalbody=[])
    return ast.copy_location(attempt, node)


def preparing(tree: ast.Module, line: int, wanted: set[str], bound: set[str]) -> tuple[ast.Module, set[str]]:
    """The statements of the function around a line, ahead of it, that compute the names wanted there.

    None of them binds a name in `bound`, and each may fail. Also answers which names they read.
    """
    ahead = list(_ahead(tree.body, line))
    chosen: list[ast.stmt] = []
    names = set(wanted)
    for node in reversed(ahead):
        if not _binds(node) & bound and (_prepares(node, names) or _fills(node, names)):
            chosen.insert(0, node)
            names |= _reads(node)
    module = ast.Module(body=[_attempt(node) for node in chosen], type_ignores=[])
    return ast.fix_missing_locations(module), names - wanted


def _ahead(body: Iterable[ast.stmt], line: int) -> Iterator[ast.stmt]:
    """The statements that run before a line: those of its function, or of the module outside of any."""
    for node in body:
        if node.lineno >= line:
            return
        if (node.end_lineno or node.lineno) < line:
            if not isinstance(node, _Definition):
                yield node
            continue
        blocks = [getattr(node, name, ()) for name in ("body", "orelse", "finalbody")]
        inner = (statement for block in blocks for statement in block)
        yield from _ahead(inner, line)


def _fills(node: ast.stmt, needed: set[str]) -> bool:
    """Whether a loop adds to a needed list: ``for p in ..: params.append(p)``."""
    statements = [part for part in _running_parts(node) if isinstance(part, ast.stmt)]
    trains = any(isinstance(p, ast.Attribute) and p.attr in _TRAINING_METHODS for p in _running_parts(node))
    return isinstance(node, ast.For) and not trains and any(_prepares(part, needed) for part in statements)
