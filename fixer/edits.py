"""Edits: byte spans and the text that replaces them; how edits of several fixes compose.

Offsets count bytes of the file as it lies on disk (byte-order mark included), so that every byte outside a
span is untouched by construction. The text of an edit is written with ``\\n``; `fixer.source.Source.apply`
encodes it and gives it the file's own newline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, order=True)
class Edit:
    """Replace bytes ``start`` to ``end`` (exclusive) of a file by ``text``; equal ones insert."""

    start: int
    end: int
    text: str

    def overlaps(self, other: Edit) -> bool:
        """Whether both claim a byte, or insert different text at one place.

        An insertion at the border of a replaced span does not overlap it: the order of the two is clear.
        """
        if self.start == self.end and other.start == other.end:
            return self.start == other.start and self.text != other.text
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class EditSet:
    """Edits in one or more files that are applied together or not at all."""

    files: Mapping[Path, tuple[Edit, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(self.files.values())

    def __iter__(self) -> Iterator[tuple[Path, Edit]]:
        for path in sorted(self.files):
            for edit in self.files[path]:
                yield path, edit

    def overlaps(self, other: EditSet) -> bool:
        """Whether any edit of this set overlaps one of `other`."""
        return any(
            mine.overlaps(theirs)
            for path in self.files.keys() & other.files.keys()
            for mine in self.files[path]
            for theirs in other.files[path]
        )

    @classmethod
    def union(cls, sets: Iterable[EditSet]) -> EditSet:
        """Join sets that do not overlap; an edit that two of them share (an import, say) goes in once."""
        merged: dict[Path, set[Edit]] = {}
        for item in sets:
            for path, edit in item:
                merged.setdefault(path, set()).add(edit)
        return cls({path: tuple(sorted(edits)) for path, edits in merged.items()})


def splice(data: bytes, edits: Iterable[Edit], encode: Encoder) -> bytes:
    """Apply `edits` to `data`; `encode` turns an edit's text into the file's bytes.

    Raises `ValueError` where two edits overlap or one lies outside the data: a rule's defect.
    """
    pieces: list[bytes] = []
    position = 0
    for edit in sorted(set(edits)):
        if not position <= edit.start <= edit.end <= len(data):
            raise ValueError(f"edit {edit.start}-{edit.end} overlaps another edit or leaves the file")
        pieces += [data[position : edit.start], encode(edit.text)]
        position = edit.end
    pieces.append(data[position:])
    return b"".join(pieces)


def moved(offset: int, edits: Iterable[Edit], encode: Encoder, *, after_insertions: bool) -> int:
    """Where a byte offset of the old data lies once `edits` are applied.

    With `after_insertions`, text inserted exactly at the offset comes before the answer, else behind it.
    """
    shift = 0
    for edit in sorted(set(edits)):
        if edit.end < offset or (edit.end == offset and (after_insertions or edit.start < edit.end)):
            shift += len(encode(edit.text)) - (edit.end - edit.start)
        elif edit.start < offset:  # inside a replaced span: the end of what replaced it
            shift += len(encode(edit.text)) - (offset - edit.start)
    return offset + shift


def origin(start: int, end: int, edits: Iterable[Edit], encode: Encoder) -> tuple[int, int]:
    """The span of the old data that a span of the new data comes from: `moved` read backwards.

    A border inside text that an edit wrote becomes that edit's own border.
    """
    first, last, shift = start, end, 0
    for edit in sorted(set(edits)):
        new_start = edit.start + shift
        new_end = new_start + len(encode(edit.text))
        growth = new_end - new_start - (edit.end - edit.start)
        if new_end <= start:
            first -= growth
        elif new_start <= start:
            first = edit.start
        if new_end < end:
            last -= growth
        elif new_start < end:
            last = edit.end
        shift += growth
    return first, max(first, last)


class Encoder:
    """Turns an edit's text into bytes of one file."""

    __slots__ = ("encoding", "newline")

    def __init__(self, encoding: str, newline: str) -> None:
        self.encoding = encoding
        self.newline = newline

    def __call__(self, text: str) -> bytes:
        """The bytes of `text`, with the file's newlines."""
        return text.replace("\n", self.newline).encode(self.encoding)
