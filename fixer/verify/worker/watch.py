"""Watching one assignment to a parameter: is it the same object afterwards, and does it hold the value?"""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_SEEN_AT_MOST = 8


class Watch:
    """Is told when some lines of a file are entered and left."""

    def __init__(self, path: str, lines: Sequence[int]) -> None:
        self._path = os.path.realpath(path)
        self._first, self._last = lines[0], lines[-1]
        self._inside: dict[int, Any] = {}
        self._left = 0
        self._real: dict[str, bool] = {}

    def __call__(self, frame: Any, event: str) -> None:
        """Follow one trace event."""
        name = frame.f_code.co_filename
        if name not in self._real:
            self._real[name] = os.path.realpath(name) == self._path
        if not self._real[name]:
            return
        inside = event == "line" and self._first <= frame.f_lineno <= self._last
        entered = id(frame) in self._inside
        if inside and not entered:
            self._inside[id(frame)] = self._enter(frame)
        elif entered and not inside:
            self._left += 1
            self._leave(frame, self._inside.pop(id(frame)))

    @property
    def has_enough(self) -> bool:
        """Whether the lines have been left so often that the next time tells nothing new."""
        return self._left >= _SEEN_AT_MOST and not self._inside

    def forget(self) -> None:
        """Drop what was seen so far."""
        self._left = 0

    def _enter(self, frame: Any) -> Any:
        raise NotImplementedError

    def _leave(self, frame: Any, before: Any) -> None:
        raise NotImplementedError


class VersionWatch(Watch):
    """Which parameters the lines change in place where autograd sees it."""

    def __init__(self, path: str, lines: Sequence[int]) -> None:
        super().__init__(path, lines)
        self.bumped: set[str] = set()

    def forget(self) -> None:
        """Drop what was seen so far."""
        super().forget()
        self.bumped.clear()

    def _enter(self, frame: Any) -> dict[str, int]:
        owner = frame.f_locals.get("self")
        if not isinstance(owner, nn.Module):
            return {}
        return {name: parameter._version for name, parameter in owner.named_parameters()}

    def _leave(self, frame: Any, before: dict[str, int]) -> None:
        after = self._enter(frame)
        self.bumped.update(name for name in before if after.get(name, 0) > before[name])


class ParameterWatch(Watch):
    """Looks at `expression` whenever the watched lines are entered and left."""

    def __init__(self, expression: str, path: str, lines: Sequence[int]) -> None:
        super().__init__(path, lines)
        self.seen: list[dict[str, Any]] = []
        """One entry for each time the lines ran: plain facts, and the value as a tensor."""
        tree = ast.parse(expression.strip(), mode="eval")
        self._value = compile(tree, "<parameter>", "eval")
        self._owner: Any = None
        self._name = ""
        if isinstance(tree.body, ast.Attribute):
            self._owner = compile(ast.Expression(body=tree.body.value), "<owner>", "eval")
            self._name = tree.body.attr

    def forget(self) -> None:
        """Drop what was seen so far."""
        super().forget()
        self.seen.clear()

    def _enter(self, frame: Any) -> dict[str, Any] | None:
        if len(self.seen) >= _SEEN_AT_MOST:
            return None
        current = self._look(frame)
        copies: list[dict[str, Any]] = []
        original, own = torch.Tensor.copy_, vars(torch.Tensor).get("copy_")

        def copy_(target: Tensor, source: Any, *args: Any, **kwargs: Any) -> Any:
            copies.append({"to": target.data_ptr(), "shape": list(getattr(source, "shape", ()))})
            return original(target, source, *args, **kwargs)

        torch.Tensor.copy_ = copy_  # type: ignore[assignment, method-assign]
        return {
            "object": current,
            "storage": current.data_ptr() if isinstance(current, Tensor) else None,
            "copies": copies,
            "own": own,
        }

    def _leave(self, frame: Any, before: dict[str, Any] | None) -> None:
        if before is None:
            return
        if before["own"] is None:
            del torch.Tensor.copy_  # what the C base class defines shows again
        else:
            torch.Tensor.copy_ = before["own"]  # type: ignore[method-assign]
        now = self._look(frame)
        owner = _evaluated(self._owner, frame)
        registered = not isinstance(owner, nn.Module) or owner._parameters.get(self._name) is now
        is_tensor = isinstance(now, Tensor)
        mine = [c["shape"] for c in before["copies"] if is_tensor and c["to"] == now.data_ptr()]
        self.seen.append(
            {
                "is_parameter": isinstance(now, nn.Parameter),
                "same_object": now is before["object"],
                "same_storage": is_tensor and now.data_ptr() == before["storage"],
                "registered": registered,
                "shape": list(now.shape) if is_tensor else None,
                "copied_shapes": mine,
                "value": now.detach().to("cpu", copy=True) if is_tensor else None,
            }
        )

    def _look(self, frame: Any) -> Any:
        return _evaluated(self._value, frame)


def _evaluated(code: Any, frame: Any) -> Any:
    """The value of an expression in a frame; None where it has none there."""
    if code is None:
        return None
    try:
        return eval(code, frame.f_globals, frame.f_locals)
    except Exception:  # the expression may not be bound yet; the judge then finds no parameter
        return None


def rejected_value(error: BaseException) -> Tensor | None:
    """The value that ``Module.__setattr__`` refused, out of the frames of the error it raised."""
    traceback, found = error.__traceback__, None
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code is nn.Module.__setattr__.__code__:
            found = frame.f_locals.get("value")
        traceback = traceback.tb_next
    return found.detach().to("cpu", copy=True) if isinstance(found, Tensor) else None
