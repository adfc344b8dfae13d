"""Reads out of an exception which sizes it saw and which it wanted."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from . import source

if TYPE_CHECKING:
    from .probing import Failure, Frame
    from .source import Sources

# A pattern, and its groups as (seen, wanted); a pair in both orders where either side may be wrong.
_SIZES: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
    (r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)", ((1, 2),)),
    (r"to have (\d+) channels, but got (\d+) channels", ((2, 1),)),
    (r"normalized_shape=\[(?:\d+, )*(\d+)\].*got input of size ?\[(?:\d+, )*(\d+)\]", ((2, 1),)),
    (r"running_mean should contain (\d+) elements not (\d+)", ((1, 2),)),
    (r"weight of shape \[(\d+)\] and input of shape \[\d+, (\d+)", ((2, 1),)),
    (r"input_size\. Expected (\d+), got (\d+)", ((2, 1),)),
    (r"inconsistent input_size: got (\d+),? expected (\d+)", ((1, 2),)),
    (r"embedding dimension of (\d+), but got (\d+)", ((2, 1),)),
    (r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\)", ((1, 2), (2, 1))),
    (r"Expected size (\d+) but got size (\d+) for tensor number", ((2, 1), (1, 2))),
    (r"input batch_size \((\d+)\) to match target batch_size \((\d+)\)", ((2, 1), (1, 2))),
    (
        r"has size (\d+) for operand \d+ which does not broadcast with previously seen size (\d+)",
        ((1, 2), (2, 1)),
    ),
    (r"to be: \[(\d+), (\d+)\] but got: \[(\d+), (\d+)\]", ((3, 1), (4, 2), (1, 3), (2, 4))),
    (r"expanded size of the tensor \((\d+)\) must match the existing size \((\d+)\)", ((2, 1), (1, 2))),
    (r"size mismatch, got input \(\d+\), mat \(\d+x(\d+)\), vec \((\d+)\)", ((1, 2), (2, 1))),
    (r"Shape mismatch, (\d+) != (\d+)", ((1, 2), (2, 1))),
    (r"size of tensor a \((\d+)\) .* b \((\d+)\)", ((1, 2), (2, 1))),
    (r"[Ee]xpected \D{0,40}(\d+)\D{1,40}got \D{0,40}(\d+)", ((2, 1),)),
)

_HIGHEST_RANK = 6
_OUTPUT_SIZE = re.compile(r"number of spatial dimensions, but got .*?output size of [\[(]([\d, ]+)[\])]")
_SHAPE_AGAINST_HINT = re.compile(r"torch\.Size\(.*violates type hint [\w.]*[Tt]uple\[((?:int, )+int)\]")
_BATCH_AND_CHANNELS = 2
_LISTS = r"[\[(](\d+(?:, ?\d+)*),?[\])]"

_RANKS: tuple[tuple[str, int], ...] = (
    (r"needs (\d)D input|[Oo]nly (\d)D, (\d)D and (\d)D input", 0),
    (r"not enough values to unpack \(expected (?:at least )?(\d)", 0),
    (r"too many values to unpack \(expected (\d)", 0),
    (r"is not equal to len\(dims\) = (\d)", 0),
    (r"[Ee]xpected (\d)D?[- ](?:dimensions|dims|dimensional)", 0),
    (r"at least (\d) dim|(\d)[- ]dim(?:ensional)? tensor|must be (?:a )?(\d)[- ]?dim", 0),
    (r"subscripts in the equation \((\d)\)", 0),
    (r"expected `key` and `value` to be (\d)-D", 0),
    (r"must be a (\d)D tensor|must have shape .*?(\d)D|must be (\d)-D", 0),
    (r"expected (\d)D(?: or (\d)D)? input|[Ee]xpected (\d)D \(unbatched\) or (\d)D \(batched\)", 0),
    (r"to be (\d)-?D or (\d)-?D|[Ee]xpected (\d)D or (\d)D|[Ee]xpected (\d)D|(\d)-dimensional", 0),
    (r"expects? (?:a |an )?(\d)D|(\d)D tensors? expected|(\d)-D inputs?", 0),
    (r"Dimension out of range .*?but got (-?\d)", 1),
    (r"too many indices for tensor of dimension (\d)", 1),
    (r"Dimension specified as (\d)", 1),
)


# A shape in letters or words, with numbers where they matter: ``[T, N]``, ``['B', '3']``, ``BxHxW``.
_AXIS = (
    r"'?(?:[A-Za-z]\d?|\*|batch\w*|channels?|height|width|depth|seq\w*|len\w*|time\w*|frames?|nodes?|features?"
    r"|\w+_(?:size|dim|len|length|channels|features|frames|nodes))'?"
)
_DIGITS = r"'?\d{1,4}'?"
_TEMPLATE = re.compile(
    r"(?:[Ee]xpect|must|should|[Ss]hape|[Nn]eed|[Rr]equire).{0,80}?"
    rf"(?:[\[(]((?:{_DIGITS}, ?)?{_AXIS}(?:, ?(?:{_AXIS}|{_DIGITS}))+)[\])]|\b([A-Z](?:x[A-Z0-9]+)+)\b)"
)
_SIDES = re.compile(r"(?:must|should|[Ee]xpect)[^.]{0,40}?\b(\d{2,4}) ?[x*] ?(\d{2,4})\b")


def template(message: str) -> list[int | None]:
    """Return a shape that a message spells out, None for the sizes that may be anything."""
    match = _TEMPLATE.search(message)
    if not match:
        sides = _SIDES.search(message)
        return [None, None, *map(int, sides.groups())] if sides else []
    entries = match[1].replace("'", "").split(",") if match[1] else match[2].split("x")
    sizes = [_counted(entry.strip(), message) for entry in entries]
    return sizes if len(sizes) <= _HIGHEST_RANK else []


def _counted(entry: str, message: str) -> int | None:
    """Return the size of an axis: a number, or that of a name which the message counts: ``3 channels``."""
    match = re.search(rf"\b(\d+) {entry}\b", message) if len(entry) > 1 and entry.isalpha() else None
    return int(entry) if entry.isdigit() else int(match[1]) if match else None


def sizes(failure: Failure, sources: Sources) -> Iterator[tuple[int, int]]:
    """Yield pairs of a size that was seen and the one that was wanted instead, likeliest first."""
    message = failure.message
    known = next(
        ((match, orders) for pattern, orders in _SIZES for match in [re.search(pattern, message)] if match),
        None,
    )
    if known is not None:
        match, orders = known
        yield from ((int(match[seen]), int(match[wanted])) for seen, wanted in orders)
    else:
        yield from _from_bound(message)
        yield from _from_division(message)
        yield from _from_lists(message)
    yield from _from_guard(failure, sources)


_BOUND = re.compile(
    r"\((\d+)\)\D{0,60}\b(?:larger|greater|longer|bigger|more) than\D{0,60}\((\d+)\)"
    r"|\b(?:larger|greater|longer|bigger|more) than (\d+)\b.{0,30}\bgot (\d+)\b"
)


def _from_bound(message: str) -> Iterator[tuple[int, int]]:
    """Yield the next number after a bound: ``the length (8) must be larger than the window (32)``."""
    match = _BOUND.search(message)
    if match:
        seen, bound = (match[1], match[2]) if match[1] else (match[4], match[3])
        yield int(seen), int(bound) + 1


def _from_division(message: str) -> Iterator[tuple[int, int]]:
    """Yield the multiples next to a size that does not divide into chunks."""
    match = re.search(r"divide axis of length (\d+) in chunks of (\d+)", message)
    if match:
        size, chunk = int(match[1]), int(match[2])
        yield from (
            (size, multiple) for multiple in (size - size % chunk, size - size % chunk + chunk) if multiple
        )


def _from_lists(message: str) -> Iterator[tuple[int, int]]:
    """Yield the places in which two shapes of the message differ, compared from the right, in both orders."""
    found = _shapes_in(message)
    if len(found) == 2:
        pairs = [pair for pair in zip(found[0][::-1], found[1][::-1]) if pair[0] != pair[1]]
        yield from ((seen, wanted) for wanted, seen in pairs)
        yield from pairs


def _shapes_in(message: str) -> list[list[int]]:
    message = re.sub(r"\w\[\d\]", "", message)  # an index, as in ``hidden[0]``
    return [[int(item) for item in text.split(",")] for text in re.findall(_LISTS, message)][:2]


def whole_shapes(message: str) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the shape that was seen and the one that was wanted, both ways round, if a message has two."""
    found = _shapes_in(message)
    if len(found) == 2:
        yield found[1], found[0]
        yield found[0], found[1]


def _from_guard(failure: Failure, sources: Sources) -> Iterator[tuple[int, int]]:
    """Yield the two sides of a comparison that an assert or the `if` around a raise made."""
    for left, right, node in compared(failure, sources):
        if _asks_for_rank(node):
            continue
        yield from _from_modulo(node, failure)
        if type(left) is int and type(right) is int:
            if isinstance(node.ops[0], (ast.Gt, ast.LtE)):  # to be equal is not enough
                yield left, right + 1
            if left != right:
                yield left, right
                yield right, left
            if isinstance(node.ops[0], (ast.Lt, ast.GtE)):
                yield right, left + 1
        for lefts, rights in (
            ((left, right),) if isinstance(left, (tuple, list)) and isinstance(right, (tuple, list)) else ()
        ):
            for pair in zip(lefts[::-1], rights[::-1]):
                if pair[0] != pair[1] and all(type(item) is int for item in pair):
                    yield pair
                    yield pair[::-1]


def _asks_for_rank(node: ast.Compare) -> bool:
    """Whether a comparison is about ``x.ndim``, ``x.dim()`` or ``len(x.shape)``."""
    for side in (node.left, *node.comparators):
        inner = side.func if isinstance(side, ast.Call) else side
        if isinstance(inner, ast.Attribute) and inner.attr in ("ndim", "dim", "ndimension"):
            return True
        if isinstance(side, ast.Call) and source.dotted(inner) == "len" and side.args:
            return isinstance(side.args[0], ast.Attribute) and side.args[0].attr == "shape"
    return False


def guarded_ranks(failure: Failure, sources: Sources) -> Iterator[int]:
    """Yield the ranks that the guard which raised allows."""
    for _, right, node in compared(failure, sources):
        wanted = right if isinstance(right, (tuple, list, set)) else [right]
        if _asks_for_rank(node):
            yield from (rank for rank in wanted if type(rank) is int and 0 < rank <= _HIGHEST_RANK)


def _from_modulo(node: ast.Compare, failure: Failure) -> Iterator[tuple[int, int]]:
    """Yield the nearest multiples where ``size % unit == 0`` failed."""
    if not isinstance(node.left, ast.BinOp) or not isinstance(node.left.op, ast.Mod):
        return
    frame = failure.own_frames[-1]
    try:
        size, unit = value_in(node.left.left, frame), value_in(node.left.right, frame)
    except Exception:  # it calls something that is not worth calling again
        return
    if type(size) is int and type(unit) is int and size > 0 and unit > 0:
        yield from ((size, multiple) for multiple in (size + -size % unit, size - size % unit) if multiple)


def compared(failure: Failure, sources: Sources) -> Iterator[tuple[Any, Any, ast.Compare]]:
    """Yield the values that the failing guard compared, with the comparison itself."""
    frame = next(iter(reversed(failure.own_frames)), None)
    if frame is None or not isinstance(
        failure.error, (AssertionError, ValueError, RuntimeError, NotImplementedError)
    ):
        return
    guard = sources.guard(frame.filename, frame.line)
    for node in ast.walk(guard) if guard else ():
        if isinstance(node, ast.Compare) and len(node.comparators) == 1:
            try:
                yield value_in(node.left, frame), value_in(node.comparators[0], frame), node
            except Exception:  # the guard calls something that is not worth calling again
                continue


_ALLOWED_CALLS = {"size", "dim", "len", "ndimension", "numel", "sum", "max", "min", "prod"}


def value_in(node: ast.expr, frame: Frame) -> Any:
    """Evaluate an expression in a frame if it calls nothing but ``len``, ``size``, ``sum`` and the like."""
    for item in ast.walk(node):
        if (
            isinstance(item, ast.Call)
            and (source.dotted(item.func) or "").rsplit(".", 1)[-1] not in _ALLOWED_CALLS
        ):
            raise ValueError("calls a function")
    code = compile(ast.Expression(body=node), "<guard>", "eval")
    return eval(code, frame.outer, frame.scope)  # an expression of the code under test, in its own frame


def missing_key(failure: Failure) -> str | None:
    """Return the entry that a namespace or a stand-in turned out not to have."""
    match = re.search(
        r"'(?:Namespace|PassThrough|Several|Record|ModuleDict)' object has no attribute '(\w+)'",
        failure.message,
    )
    match = match or re.search(r"^Missing key (\w+)", failure.message)  # as OmegaConf says it
    if match is None and not isinstance(failure.error, KeyError):
        match = re.search(
            r"\b(?:need|miss|lack|requir|provid|expect).*\[['\"](\w+)['\"]\]", failure.message, re.IGNORECASE
        )
    if match:
        return match[1]
    key = failure.error.args[0] if isinstance(failure.error, KeyError) and failure.error.args else None
    return key if isinstance(key, str) else None


def demanded_keys(failure: Failure, sources: Sources) -> list[str]:
    """Return the entries that a guard asks for: ``assert "depth" in kwargs``."""
    found: list[str] = []
    frame = next(iter(reversed(failure.own_frames)), None)
    guard = sources.guard(frame.filename, frame.line) if frame is not None else None
    for test in ast.walk(guard) if guard is not None else ():
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.In, ast.NotIn)):
            key, holder = source.constant(test.left), source.dotted(test.comparators[0])
            if isinstance(key, str) and holder is not None and not isinstance(failure.error, KeyError):
                found.append(key)
    return found


def ranks(message: str) -> list[int]:
    """Return the ranks that a message asks for."""
    spelled = template(message)
    if spelled:
        return [len(spelled)]
    hinted = _SHAPE_AGAINST_HINT.search(message)
    if hinted:  # its shape was handed on to what annotates how long that is
        return [hinted[1].count("int")]
    resized = _OUTPUT_SIZE.search(message)
    if resized:  # what is resized has as many sides as it will have
        return [resized[1].count(",") + 1 + _BATCH_AND_CHANNELS]
    for pattern, extra in _RANKS:
        match = re.search(pattern, message)
        if match:
            found = [int(group) for group in match.groups() if group is not None]
            if extra:
                found = [value + 1 if value >= 0 else -value for value in found]
            return sorted({value for value in found if 0 <= value <= 6}, reverse=True)
    return []


_RANK_CHANGES = (
    (r"unpack \(expected (\d), got (\d)\)", (1, 2)),
    (r"input\.dim\(\) = (\d) is not equal to len\(dims\) = (\d)", (2, 1)),
    (r"equation \((\d)\) does not match the number of dimensions \((\d)\)", (1, 2)),
    (r"(\d)-?D[^D]{0,30}[Gg]ot:? (\d)-?D", (1, 2)),
    (r"[Gg]ot (\d)D input, but .* needs (\d)D", (2, 1)),
    (r"expected (\d) dims?\. Received (\d)-dim", (1, 2)),
    (r"expected (\d)D input \(got (\d)D", (1, 2)),
)


def rank_change(message: str) -> int:
    """Return by how much the rank of what was computed is wrong, 0 if the message does not say."""
    for pattern, (wanted, seen) in _RANK_CHANGES:
        match = re.search(pattern, message)
        if match:
            return int(match[wanted]) - int(match[seen])
    return 0


def joined_ranks(message: str) -> list[int]:
    """Return the ranks of two tensors that could not be joined, the higher first."""
    match = re.search(r"same number of dimensions: got (\d) and (\d)", message)
    return sorted(map(int, match.groups()), reverse=True) if match else []


def viewed_as(message: str) -> list[int]:
    """Return the whole shape of a ``view`` that did not fit, empty if a size of it was left open."""
    match = re.search(r"shape '\[([-\d, ]+)\]' is invalid for input of size \d+", message)
    shape = [int(item) for item in match[1].split(",")] if match else []
    return shape if all(size > 0 for size in shape) else []


def wanted_volume(message: str) -> tuple[int, int] | None:
    """Return the size seen and the product of the known sizes of a ``view`` that did not fit."""
    match = re.search(r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)", message)
    if not match:
        return None
    known = [int(item) for item in match[1].split(",") if int(item) > 0]
    return int(match[2]), math.prod(known) if known else 1


def origins(value: torch.Tensor, known: dict[int, Any]) -> Iterator[Any]:
    """Yield the inputs that a tensor was computed from: itself, or the leaves of its autograd graph."""
    if id(value) in known:
        yield known[id(value)]
        return
    stack: list[Any] = [value.grad_fn]
    seen: set[Any] = set()
    while stack and len(seen) < 500:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) in known:
            yield known[id(leaf)]
        stack.extend(following for following, _ in node.next_functions)
