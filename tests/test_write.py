import errno
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fixer.edits import Edit
from fixer.source import Source, SourceError
from fixer.write import write, write_all

OLD = b"\xef\xbb\xbfa\t= '\xf0\x9f\x98\x80'\r\n\x0cb = 1 \rc"


def make(path: Path, data: bytes = OLD) -> Source:
    path.write_bytes(data)
    return Source.read(path)


def changed(source: Source) -> Source:
    """The same file with a line more at its end."""
    return source.apply([Edit(len(source.data), len(source.data), "\nz = 1\n")])


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".tmp"))


class TestWrite:
    def test_new_bytes(self, tmp_path: Path) -> None:
        old = make(tmp_path / "net.py")
        write(old, changed(old))
        assert old.path.read_bytes() == OLD + b"\r\nz = 1\r\n"
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"a\r\nb",
            b"\ta\n  b\n",
            b"\xef\xbb\xbfa\n",
            b"# coding: latin-1\n\xe9\n",
            b"\x0ca\n",
            b"a\rb\r",
            "a = '😀'; b".encode(),
        ],
    )
    def test_bytes_outside_the_edit_stay(self, tmp_path: Path, data: bytes) -> None:
        old = make(tmp_path / "net.py", data)
        write(old, old.apply([Edit(len(data), len(data), "# end")]))
        assert old.path.read_bytes() == data + b"# end"

    def test_nothing_to_write_leaves_the_file_alone(self, tmp_path: Path) -> None:
        old = make(tmp_path / "net.py")
        before = old.path.stat()
        write(old, Source(old.path, OLD))
        assert old.path.stat() == before

    def test_nothing_to_write_to_a_read_only_file(self, tmp_path: Path) -> None:
        old = make(tmp_path / "net.py")
        old.path.chmod(0o444)
        write(old, old)

    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o666, 0o2775])
    def test_mode_is_kept(self, tmp_path: Path, mode: int) -> None:
        old = make(tmp_path / "net.py")
        old.path.chmod(mode)
        write(old, changed(old))
        assert stat.S_IMODE(old.path.stat().st_mode) == mode

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
    def test_owner_is_kept(self, tmp_path: Path) -> None:
        old = make(tmp_path / "net.py")
        os.chown(old.path, 1234, 4321)
        old.path.chmod(0o2754)
        write(old, changed(old))
        status = old.path.stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o2754)

    def test_owner_that_cannot_be_kept_is_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        old = make(tmp_path / "net.py")
        monkeypatch.setattr(os, "chown", refuse)
        monkeypatch.setattr(os, "fstat", lambda _: os.stat_result([-1] * 10))  # created for another owner
        write(old, changed(old))
        assert old.path.read_bytes() != OLD

    def test_symbolic_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        real = make(tmp_path / "real" / "net.py")
        (tmp_path / "link.py").symlink_to("again.py")
        (tmp_path / "again.py").symlink_to(Path("real", "net.py"))
        old = Source.read(tmp_path / "link.py")
        write(old, changed(old))
        assert (tmp_path / "link.py").is_symlink()
        assert (tmp_path / "again.py").is_symlink()
        assert real.path.read_bytes() == changed(old).data

    def test_long_name(self, tmp_path: Path) -> None:
        old = make(tmp_path / ("ß" * 126 + ".py"))
        write(old, changed(old))
        assert old.path.read_bytes() == changed(old).data


class TestRefuse:
    def refuse(self, old: Source, on_disk: bytes, match: str) -> None:
        with pytest.raises(SourceError, match=match) as caught:
            write(old, changed(old))
        assert str(old.path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert old.path.read_bytes() == on_disk
        assert leftovers(old.path.parent) == []

    def test_file_that_changed_since_it_was_read(self, tmp_path: Path) -> None:
        old = make(tmp_path / "net.py")
        old.path.write_bytes(b"other")
        self.refuse(old, b"other", "changed since it was read; run again")

    def test_file_that_changes_while_the_new_bytes_are_prepared(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = make(tmp_path / "net.py")
        monkeypatch.setattr(os, "fsync", lambda _: old.path.write_bytes(b"other"))
        self.refuse(old, b"other", "changed since it was read; run again")

    def test_file_that_is_gone(self, tmp_path: Path) -> None:
        old = make(tmp_path / "net.py")
        old.path.unlink()
        with pytest.raises(SourceError, match="there is no such file"):
            write(old, changed(old))
        assert list(tmp_path.iterdir()) == []

    def test_read_only_file(self, tmp_path: Path) -> None:
        old = make(tmp_path / "net.py")
        old.path.chmod(0o444)
        self.refuse(old, OLD, "is read-only; make it writable or exclude it")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_read_only_folder(self, tmp_path: Path) -> None:
        old = make(tmp_path / "net.py")
        tmp_path.chmod(0o555)
        self.refuse(old, OLD, "its folder may not be written; change its permissions")

    @pytest.mark.parametrize(
        ("number", "match"),
        [
            (errno.EACCES, "its folder may not be written"),
            (errno.EROFS, "read-only file system"),
            (errno.ENOSPC, "the disk is full; free some space and run again"),
            (errno.EDQUOT, "quota"),
            (errno.EIO, r"could not be written: Input/output error; check its folder"),
        ],
    )
    @pytest.mark.parametrize(
        ("owner", "call"), [("tempfile", "mkstemp"), ("os", "fsync"), ("pathlib.Path", "replace")]
    )
    def test_system_call_that_fails(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        owner: str,
        call: str,
        number: int,
        match: str,
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        old = make(tmp_path / "net.py")
        monkeypatch.setattr(f"{owner}.{call}", fail)
        self.refuse(old, OLD, match)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_write_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        old = make(tmp_path / "net.py")
        temporary = tmp_path / ".net.py.fixer-x.tmp"
        temporary.symlink_to("/dev/full")
        monkeypatch.setattr(Path, "chmod", lambda *_: None)  # the device keeps its own mode
        monkeypatch.setattr(os, "chown", lambda *_: None)
        monkeypatch.setattr("tempfile.mkstemp", lambda **_: (os.open(temporary, os.O_WRONLY), str(temporary)))
        self.refuse(old, OLD, "the disk is full")

    @pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
    def test_interrupt(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        old = make(tmp_path / "net.py")
        monkeypatch.setattr(call, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(old, changed(old))
        assert old.path.read_bytes() == OLD
        assert leftovers(tmp_path) == []

    def test_folder_that_cannot_be_synced_is_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> int:
            raise OSError(errno.EINVAL, "Invalid argument")

        old = make(tmp_path / "net.py")
        real = os.fsync
        monkeypatch.setattr(
            os, "fsync", lambda number: refuse() if stat.S_ISDIR(os.fstat(number).st_mode) else real(number)
        )
        write(old, changed(old))
        assert old.path.read_bytes() == changed(old).data


class TestWriteAll:
    NAMES = ("a.py", "b.py", "c.py")

    def pairs(self, folder: Path) -> list[tuple[Source, Source]]:
        olds = [make(folder / name, name.encode()) for name in self.NAMES]
        return [(old, changed(old)) for old in olds]

    def assert_untouched(self, folder: Path) -> None:
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            name: name.encode() for name in self.NAMES
        }

    def failing_replace(self, fails: Callable[[str], bool]) -> Callable[[Path, Path], Path]:
        real = Path.replace

        def replace(temporary: Path, target: Path) -> Path:
            if fails(target.name):
                raise OSError(errno.EIO, "Input/output error")
            return real(temporary, target)

        return replace

    def test_all_are_written(self, tmp_path: Path) -> None:
        pairs = self.pairs(tmp_path)
        write_all(pairs)
        assert [old.path.read_bytes() for old, _ in pairs] == [new.data for _, new in pairs]
        assert leftovers(tmp_path) == []

    def test_no_files(self) -> None:
        write_all([])

    def test_none_is_written_if_one_has_changed(self, tmp_path: Path) -> None:
        *pairs, (last, new) = self.pairs(tmp_path)
        stale = Source(last.path, b"stale")
        with pytest.raises(SourceError, match=r"c\.py: changed since it was read"):
            write_all([*pairs, (stale, new)])
        self.assert_untouched(tmp_path)

    @pytest.mark.parametrize("name", NAMES)
    def test_those_before_a_failure_are_put_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        pairs = self.pairs(tmp_path)
        pairs[0][0].path.chmod(0o755)
        monkeypatch.setattr(Path, "replace", self.failing_replace(lambda target: target == name))
        with pytest.raises(SourceError, match=f"{name}: could not be written"):
            write_all(pairs)
        self.assert_untouched(tmp_path)
        assert stat.S_IMODE(pairs[0][0].path.stat().st_mode) == 0o755

    def test_one_file_under_two_names_is_not_written_twice(self, tmp_path: Path) -> None:
        pairs = self.pairs(tmp_path)
        (tmp_path / "link.py").symlink_to("a.py")
        link = Source.read(tmp_path / "link.py")
        with pytest.raises(SourceError, match=r"link\.py: changed since it was read"):
            write_all([*pairs, (link, link.apply([Edit(0, 0, "# x\n")]))])
        (tmp_path / "link.py").unlink()
        self.assert_untouched(tmp_path)

    def test_file_that_somebody_changed_again_is_not_put_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(target: str) -> bool:
            if target == "c.py":
                (tmp_path / "a.py").write_bytes(b"precious")
            return target == "c.py"

        pairs = self.pairs(tmp_path)
        monkeypatch.setattr(Path, "replace", self.failing_replace(fails))
        with pytest.raises(SourceError, match=r"a\.py: was rewritten and could not be put back"):
            write_all(pairs)
        assert (tmp_path / "a.py").read_bytes() == b"precious"
        assert (tmp_path / "b.py").read_bytes() == b"b.py"

    def test_old_text_is_kept_where_it_cannot_be_put_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        renamed: list[str] = []

        def fails(target: str) -> bool:
            renamed.append(target)
            return len(renamed) > 2

        pairs = self.pairs(tmp_path)
        monkeypatch.setattr(Path, "replace", self.failing_replace(fails))
        with pytest.raises(SourceError, match=r"a\.py: was rewritten .*; .*b\.py: was rewritten") as caught:
            write_all(pairs)
        kept = leftovers(tmp_path)
        assert sorted((tmp_path / name).read_bytes() for name in kept) == [b"a.py", b"b.py"]
        assert all(name in str(caught.value) for name in kept)


REWRITE_FOREVER = """
import sys
from pathlib import Path
from fixer.source import Source
from fixer.write import write_all

texts = [letter * 50_000 for letter in (b"a", b"b")]
paths = [Path(name) for name in sys.argv[1:]]
while True:
    for old, new in (texts, texts[::-1]):
        write_all([(Source(path, old), Source(path, new)) for path in paths])
        print(end=".", flush=True)
"""


@pytest.mark.slow
def test_every_file_is_whole_after_a_kill(tmp_path: Path) -> None:
    whole = {b"a" * 50_000, b"b" * 50_000}
    paths = [tmp_path / name for name in ("a.py", "b.py")]
    chance = random.Random(0)
    for _ in range(40):
        for path in paths:
            path.write_bytes(b"a" * 50_000)
            path.chmod(0o640)
        with subprocess.Popen(
            [sys.executable, "-c", REWRITE_FOREVER, *paths], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.read(1) == b"."
            time.sleep(chance.uniform(0, 0.03))
            writer.send_signal(signal.SIGKILL)
            writer.stdout.read()
        assert {path.read_bytes() for path in paths} <= whole
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in paths)
    assert all(name.startswith((".a.py.fixer-", ".b.py.fixer-")) for name in leftovers(tmp_path))
