"""What a killed run has left half done is undone, and nothing else is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fixer.journal import Step, journal, restore
from fixer.source import Source
from fixer.write import write_all

NAMES = ("net.py", "train.py")


class Killed(BaseException):
    """Stands for a kill: nothing may run after it."""


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two files, of which a run that died has replaced the first."""
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_text("old\n")
    temporaries = [path.with_name(f".{path.name}.new.tmp") for path in paths]
    backups = [path.with_name(f".{path.name}.old.tmp") for path in paths]
    for temporary, backup in zip(temporaries, backups, strict=True):
        temporary.write_text("new\n")
        backup.write_text("old\n")
    steps = [Step(*names, b"new\n", b"old\n") for names in zip(paths, temporaries, backups, strict=True)]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after_the_first(steps, patch)
    assert paths[0].read_text() == "new\n"
    return paths


def die_after_the_first(steps: list[Step], patch: pytest.MonkeyPatch) -> None:
    with journal(steps):
        steps[0].temporary.replace(steps[0].target)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # the dead do not tidy up
        raise Killed


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_nothing_is_left_of_a_run_that_ends_well(tmp_path: Path) -> None:
    sources = [Source(tmp_path / name, b"old\n") for name in NAMES]
    for source in sources:
        source.path.write_bytes(source.data)
    write_all([(source, Source(source.path, b"new\n")) for source in sources])
    assert leftovers(tmp_path) == []
    assert list(restore([source.path for source in sources])) == []
    assert {source.path.read_bytes() for source in sources} == {b"new\n"}


def test_old_bytes_are_put_back(killed: list[Path]) -> None:
    assert list(restore(killed)) == []
    assert [path.read_text() for path in killed] == ["old\n", "old\n"]
    assert leftovers(killed[0].parent) == []


def test_undoing_twice_is_undoing_once(killed: list[Path]) -> None:
    list(restore(killed))
    killed[0].write_text("new\n")
    assert list(restore(killed)) == []
    assert killed[0].read_text() == "new\n"


def test_file_that_somebody_has_edited_since_stays(killed: list[Path]) -> None:
    killed[0].write_text("mine\n")
    (error,) = restore(killed)
    assert error.path == killed[0]
    assert str(error).count("\n") == 0
    assert ".net.py.old.tmp" in error.message
    assert (killed[0].parent / ".net.py.old.tmp").read_text() == "old\n"
    assert [path.read_text() for path in killed] == ["mine\n", "old\n"]


def test_file_that_the_run_is_not_about_stays(killed: list[Path]) -> None:
    assert list(restore(killed[1:])) == []
    assert killed[0].read_text() == "new\n"


def test_journal_of_a_run_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_text("old\n")
        path.with_suffix(".old").write_text("old\n")
    steps = [
        Step(path, path.with_suffix(".new"), path.with_suffix(".old"), b"new\n", b"old\n") for path in paths
    ]
    with journal(steps):
        paths[0].write_text("new\n")
        assert list(restore(paths)) == []
        assert paths[0].read_text() == "new\n"
        assert len(leftovers(tmp_path)) == 1


@pytest.mark.parametrize("data", [b"", b"[{", b"{}", b"[1]", b'[{"target": "net.py"}]', b"\xff", b"null"])
def test_journal_that_was_cut_short(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.py"
    path.write_text("old\n")
    (tmp_path / ".x.fixer-journal").write_bytes(data)
    assert list(restore([path])) == []
    assert (path.read_text(), leftovers(tmp_path)) == ("old\n", [])


@pytest.mark.parametrize("inside", [False, True])
def test_journal_that_somebody_else_wrote_reaches_no_other_file(tmp_path: Path, inside: bool) -> None:
    """A repository may hold anything; what it names outside of the files of the run stays as it is."""
    net, secret = tmp_path / "tree" / "net.py", tmp_path / "secret.py"
    net.parent.mkdir()
    net.write_text("net\n")
    secret.write_text("secret\n")
    backup = (net if inside else secret).with_name("backup")
    backup.write_text("bad\n")
    digest = {
        key: hashlib.sha256(text.encode()).hexdigest()
        for key, text in {"new": "secret\n", "old": "bad\n"}.items()
    }
    entry = {"target": str(secret), "temporary": str(secret), "backup": str(backup), **digest}
    (net.parent / ".x.fixer-journal").write_text(json.dumps([entry]))
    assert list(restore([net])) == []
    assert secret.read_text() == "secret\n"
