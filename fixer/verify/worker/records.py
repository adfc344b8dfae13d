"""Records as files: JSON, with the bytes of all tensors behind it. Reading one runs nothing of it."""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import struct
from typing import Any, BinaryIO

import torch
from torch import Tensor

_LENGTH = struct.Struct("!Q")
_ALIGNMENT = 16
_TENSOR = "\0tensor"
"""The key of what stands for a tensor; no attribute and no argument has such a name."""


def write(path: str, value: Any) -> None:
    """Write dictionaries, lists, plain values, and tensors among them; tuples become lists."""
    chunks: list[bytes] = []
    filled = 0

    def stand_in(tensor: Any) -> Any:
        nonlocal filled
        if not isinstance(tensor, Tensor):
            raise TypeError(f"a record cannot hold a {type(tensor).__name__}")
        plain = _plain(tensor)
        size = plain.numel() * plain.element_size()
        padding = -size % _ALIGNMENT
        chunks.append(ctypes.string_at(plain.data_ptr(), size) + bytes(padding) if size else b"")
        filled += size + padding if size else 0
        return {_TENSOR: [str(plain.dtype)[len("torch.") :], list(plain.shape), filled - size - padding]}

    text = json.dumps(value, default=stand_in, check_circular=False).encode("ascii")
    with _opened(path) as file:
        file.write(_LENGTH.pack(len(text)) + text + b"".join(chunks))


def _opened(path: str) -> BinaryIO:
    """Open a file even where the target has used up all descriptors: failed calls of it may hold many."""
    try:
        return open(path, "wb")
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        gc.collect()
        return open(path, "wb")


def read(path: str) -> Any:
    """Read what `write` wrote."""
    with open(path, "rb") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        text = file.read(length)
        data = bytearray(file.read())

    def tensor(found: dict[str, Any]) -> Any:
        if _TENSOR not in found:
            return found
        name, shape, start = found[_TENSOR]
        dtype = getattr(torch, name)
        count = 1
        for side in shape:
            count *= side
        if not count:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(data, dtype=dtype, count=count, offset=start).view(shape)

    return json.loads(text, object_hook=tensor)


def _plain(tensor: Tensor) -> Tensor:
    """The same numbers, one after the other in the memory of the processor."""
    unusual = tensor.requires_grad or tensor.is_conj() or tensor.is_neg() or tensor.is_quantized
    if tensor.device.type == "cpu" and tensor.is_contiguous() and not unusual:
        return tensor  # as nearly all are, copies of ours
    plain = tensor.detach()
    plain = plain.dequantize() if plain.is_quantized else plain
    return plain.to("cpu").resolve_conj().resolve_neg().contiguous()
