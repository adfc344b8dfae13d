"""The diff is what `git apply` and `patch -p1` take, byte for byte."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fixer.apply import plan
from fixer.policy import Policy, VerifyMode
from fixer.report import diff
from fixer.source import Source
from tests.fakes import Word, Words

FILES = {
    "plain.py": b"a = 1\nbad = 2\nc = 3\n",
    "no_newline.py": b"a = 1\nbad = 2",
    "no_newline_above.py": b"bad = 1\n" + b"x = 1\n" * 9 + b"y = 2",
    "crlf.py": b"a = 1\r\nbad = 2\r\nc = 3\r\n",
    "mixed.py": b"a = 1\r\nbad = 2\nc = 3\r\n",
    "lone_cr.py": b"a = 1\rbad = 2\rc = 3\n",
    "latin.py": "# coding: latin-1\ns = 'é'\nbad = 's'\nt = 'ü'\n".encode("latin-1"),
    "bom.py": b"\xef\xbb\xbfbad = 1\n",
    "form_feed.py": b"x = 1\n\x0c\nbad = '\x1c'\n",
    "far.py": b"bad = 1\n" + b"x = 1\n" * 50 + b"bad = 2\n",
    "with space.py": b"bad = 1\n",
    '日本 "q".py': b"bad = 1\n",
    "deep/er/net.py": b"bad = 1\n",
    "untouched.py": b"fine = 1\n",
}


def changed(folder: Path) -> tuple[bytes, dict[str, bytes]]:
    """Write the files; the diff of fixing them, and what they should become."""
    sources = {}
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sources[path] = Source.read(path)
    result = plan(Words((Word("AAA001", "bad", "good"),)), sources, sources, Policy(verify=VerifyMode.OFF))
    finals = {name: result.finals[folder / name].data for name in FILES}
    return diff.render(result, folder), finals


@pytest.mark.parametrize(
    "command",
    [["git", "apply", "--whitespace=nowarn", "-"], ["patch", "-p1", "--binary", "--quiet"]],
    ids=["git", "patch"],
)
def test_diff_applies(tmp_path: Path, command: list[str]) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    text, finals = changed(tmp_path)
    subprocess.run(
        command, cwd=tmp_path, input=text, check=True, env={"PATH": "/usr/bin:/bin", "GIT_DIR": "/x"}
    )
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == finals


def test_no_change_is_an_empty_diff(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(b"fine = 1\n")
    sources = {path: Source.read(path)}
    result = plan(Words(()), sources, sources, Policy(verify=VerifyMode.OFF))
    assert diff.render(result, tmp_path) == b""


def test_files_outside_the_folder_are_named_from_the_root(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes(b"bad = 1\n")
    sources = {path: Source.read(path)}
    result = plan(Words((Word("AAA001", "bad", "good"),)), sources, sources, Policy(verify=VerifyMode.OFF))
    text = diff.render(result, tmp_path / "elsewhere").decode()
    assert text.startswith(f"--- a{path.as_posix()}\n+++ b{path.as_posix()}\n")
