"""Write files so that each is whole at every moment: the old bytes or the new ones, never a part.

New bytes go to a hidden temporary file beside the target, reach the disk, and take the target's name in one
step. A killed run may leave such a `.NAME.fixer-*.tmp` behind, which can be deleted; between the renames of
several files it leaves a journal too, by which the next run puts them back.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fixer.journal import Step, journal
from fixer.source import Source, SourceError

_REMEDIES = {
    errno.EACCES: "its folder may not be written; change its permissions",
    errno.EPERM: "its folder may not be written; change its permissions",
    errno.EROFS: "it lies on a read-only file system; mount it writable or exclude it",
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
}


def write(original: Source, new: Source) -> None:
    """Replace the bytes of `original` on disk by those of `new`; on a `SourceError` the file is as it was."""
    write_all([(original, new)])


def write_all(pairs: Iterable[tuple[Source, Source]]) -> None:
    """Replace several files, all or none: if one cannot be replaced, those before it are put back.

    A kill between two renames leaves some files new and others old, each of them whole; `fixer.journal`
    tells how they are put back.
    """
    changed = [(original, new) for original, new in pairs if original.data != new.data]
    temporaries: set[Path] = set()
    try:
        # One rename succeeds or fails as a whole, so the old bytes are staged only where there are several.
        replacements = [_prepare(*pair, temporaries, keep_old=len(changed) > 1) for pair in changed]
        with _journal(replacements):
            try:
                for replacement in replacements:
                    _carry_out(replacement)
            except BaseException:
                _put_back(replacements, temporaries)
                raise
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # it has taken the target's name, or its folder is gone
                temporary.unlink()


@dataclass(frozen=True)
class _Replacement:
    """A target and the temporary files that hold its new and, for a fix in several files, its old bytes."""

    original: Source
    new: Source
    target: Path
    """The path without symbolic links, so that a link stays a link."""
    temporary: Path
    backup: Path | None


@contextmanager
def _journal(replacements: Sequence[_Replacement]) -> Iterator[None]:
    """Note what is about to be replaced, where a kill could leave it half done."""
    steps = [
        Step(item.target, item.temporary, item.backup, item.new.data, item.original.data)
        for item in replacements
        if item.backup
    ]
    if not steps:
        yield
        return
    try:
        with journal(steps):
            yield
    except OSError as error:
        raise _failure(steps[0].target, error) from None


def _prepare(original: Source, new: Source, temporaries: set[Path], *, keep_old: bool) -> _Replacement:
    """Check that the file may be replaced and put its new bytes beside it."""
    target = Path(os.path.realpath(original.path))
    _require_unchanged(target, original)
    try:
        if not (os.access(target, os.W_OK) and target.stat().st_mode & 0o222):
            raise SourceError(original.path, "is read-only; make it writable or exclude it")
        temporary = _stage(target, new.data, temporaries)
        backup = _stage(target, original.data, temporaries) if keep_old else None
    except OSError as error:
        raise _failure(original.path, error) from None
    return _Replacement(original, new, target, temporary, backup)


def _stage(target: Path, data: bytes, temporaries: set[Path]) -> Path:
    """Put `data` on disk beside `target`, with its mode and, where permitted, its owner."""
    status = target.stat()
    prefix = f".{target.name[:40]}.fixer-"  # a long name must not become too long
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    temporaries.add(temporary)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
        created = os.fstat(descriptor)
        if (status.st_uid, status.st_gid) != (created.st_uid, created.st_gid):
            with suppress(OSError):
                os.chown(temporary, status.st_uid, status.st_gid)
        temporary.chmod(stat.S_IMODE(status.st_mode))  # after the owner: a change of owner resets some bits
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    return temporary


def _carry_out(replacement: _Replacement) -> None:
    _require_unchanged(replacement.target, replacement.original)
    try:
        replacement.temporary.replace(replacement.target)
    except OSError as error:
        raise _failure(replacement.original.path, error) from None
    _sync_folder(replacement.target.parent)


def _put_back(replacements: Iterable[_Replacement], temporaries: set[Path]) -> None:
    """Give the files that have their new bytes already their old ones again."""
    lost: list[SourceError] = []
    for replacement in replacements:
        if replacement.backup is None or replacement.temporary.exists():
            continue  # not renamed
        try:
            _require_unchanged(replacement.target, replacement.new)
            replacement.backup.replace(replacement.target)
        except (OSError, SourceError):
            temporaries.discard(replacement.backup)
            message = f"was rewritten and could not be put back; its old text is in {replacement.backup}"
            lost.append(SourceError(replacement.original.path, message))
        else:
            _sync_folder(replacement.target.parent)
    if lost:
        raise SourceError(lost[0].path, "; ".join([lost[0].message, *map(str, lost[1:])]))


def _require_unchanged(target: Path, expected: Source) -> None:
    if Source.read(target).data != expected.data:
        raise SourceError(expected.path, "changed since it was read; run again")


def _sync_folder(folder: Path) -> None:
    """Make the rename last through a power cut, where the file system can do that for a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _failure(path: Path, error: OSError) -> SourceError:
    reason = _REMEDIES.get(error.errno or 0) or f"{error.strerror}; check its folder"
    return SourceError(path, f"could not be written: {reason}")
