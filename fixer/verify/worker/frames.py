"""Messages between processes: eight bytes of length, then JSON."""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Dict, Iterator

_LENGTH = struct.Struct("!Q")

Message = Dict[str, Any]


class TooLongError(Exception):
    """A message is longer than its reader accepts."""


def pack(message: Message) -> bytes:
    """Turn a message into bytes."""
    body = json.dumps(message).encode("ascii")
    return _LENGTH.pack(len(body)) + body


def send(descriptor: int, message: Message) -> None:
    """Write a message to a descriptor, all of it."""
    data = memoryview(pack(message))
    while data:
        data = data[os.write(descriptor, data) :]


class Unpacker:
    """Cuts a stream of bytes into messages."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take what was read and yield the messages that are complete by now."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self._limit:
                raise TooLongError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield json.loads(body)


def messages(descriptor: int, limit: int) -> Iterator[Message]:
    """Yield the messages that come through a descriptor until it ends."""
    unpacker = Unpacker(limit)
    while True:
        data = os.read(descriptor, 1 << 20)
        if not data:
            return
        yield from unpacker.feed(data)
