"""Makes a process cheap to fork: a fork copies an entry for every page, and large pages are few."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Iterator

_LARGE = 2 << 20
_COLLAPSE = 25
"""``MADV_COLLAPSE`` of Linux 6.1; older kernels refuse it and nothing is lost."""


def use_large_pages() -> None:
    """Move what this process has written so far to large pages, as far as the kernel does that."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    with suppress(OSError):
        for start, end in list(_written()):
            libc.madvise(start, end - start, _COLLAPSE)


def _written() -> Iterator[tuple[int, int]]:
    """The heap and other memory that no file backs, cut to whole large pages."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            span, rights, _, _, _, *name = line.split(None, 5)
            if not rights.startswith("rw") or "".join(name).strip() not in ("", "[heap]"):
                continue
            first, last = (int(part, 16) for part in span.split("-"))
            start, end = -(-first // _LARGE) * _LARGE, last // _LARGE * _LARGE
            if start < end:
                yield start, end
