"""A tree of models that attack whoever runs them: each costs its own verdict, and nothing else is lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import site
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixer.verify.worker import kernel
from tests.hostile import ATTACKS, HARMLESS, Attack

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534
CONFIGURATION = '[tool.fixer.verify]\ntimeout = 15\nmemory = "512 MB"\n'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the whole cage needs Linux"),
    pytest.mark.skipif(kernel.landlock_version() < 3, reason="the kernel has no Landlock"),
]


@dataclass(frozen=True)
class Aftermath:
    """What a run over the whole tree has left behind."""

    verdicts: dict[str, Any]
    status: int
    fixed: bool
    changed: list[str]
    processes: list[str]
    temporary: list[str]
    connected: bool


def state(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Every file below a folder, with what can be changed of it."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        if ".fixer_cache" in path.parts:  # the tool's own
            continue
        about = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        kept = about.st_mode, about.st_uid, about.st_nlink, about.st_mtime_ns, os.listxattr(path)
        found[str(path)] = (*kept, data)
    return found


def shared() -> list[str]:
    """What processes may leave in memory that has names."""
    queues = [Path(f"/proc/sysvipc/{kind}").read_text() for kind in ("shm", "sem", "msg")]
    return [*queues, *sorted(path.name for path in Path("/dev/shm").iterdir())]


def living_in(folder: Path) -> list[str]:
    """Processes that work below a folder or hold a file of it open."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                links = [entry / "cwd", *(entry / "fd").iterdir()]
                held = [link.readlink() for link in links]
                if any(folder in place.parents for place in held):
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


def ravaged(user: int | None) -> Iterator[Aftermath]:
    """Run `fixer apply` over a tree of every attack, as another user if one is named."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    tree, home, scratch = folder / "tree", folder / "home", folder / "tmp"
    try:
        folder.chmod(0o755)
        for place in (tree, home, scratch):
            place.mkdir()
        python = (sys.executable, dict(os.environ)) if user is None else interpreter(user, folder / "shim")
        if python is None:
            pytest.skip("another user cannot run this interpreter")
        (home / "notes.txt").write_text("kept\n")
        (tree / "kept.txt").write_text("kept\n")
        (tree / "pyproject.toml").write_text(CONFIGURATION)
        (tree / "harmless.py").write_text(HARMLESS.format(attack=""))
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            for number, attack in enumerate(ATTACKS):
                text = attack.text(str(home), str(tree), server.getsockname()[1])
                (tree / f"attack_{number}.py").write_text(text)
            if user is not None:
                for place in (tree, home, scratch):
                    for path in (place, *place.rglob("*")):
                        os.chown(path, user, user)
            yield observed(tree, home, scratch, server, python, apart(user))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def observed(
    tree: Path,
    home: Path,
    scratch: Path,
    server: socket.socket,
    python: tuple[str, dict[str, str]],
    who: dict[str, Any],
) -> Aftermath:
    before = {**state(tree), **state(home)}, shared()
    done = subprocess.run(
        [python[0], "-m", "fixer", "apply", "--output-format=json", "--python", python[0], "."],
        cwd=tree,
        env={**python[1], "HOME": str(home), "TMPDIR": str(scratch), "MY_TOKEN": "hunter2"},
        capture_output=True,
        **who,
    )
    assert done.stdout, done.stderr.decode()
    verdicts = {Path(e["filename"]).name: e["verification"] for e in json.loads(done.stdout)}
    after = {**state(tree), **state(home)}, shared()
    differing = {
        name for name in before[0].keys() | after[0].keys() if before[0].get(name) != after[0].get(name)
    }
    expected = {str(tree), str(tree / "harmless.py")}  # a file was put into another's place
    try:
        server.accept()
        connected = True
    except BlockingIOError:
        connected = False
    return Aftermath(
        verdicts,
        done.returncode,
        "project_parameters" in (tree / "harmless.py").read_text(),
        sorted(differing - expected) + (["shared memory"] if before[1] != after[1] else []),
        living_in(tree.parent),
        [path.name for path in scratch.iterdir()],
        connected,
    )


def interpreter(user: int, shim: Path) -> tuple[str, dict[str, str]] | None:
    """A Python that another user can run with all that is installed here, and what it has to be told."""
    shim.mkdir()
    (shim / "fixer_codemods").symlink_to(ROOT / "codemods")
    folders = [str(ROOT), str(shim), *site.getsitepackages()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONDONTWRITEBYTECODE": "1"}
    for python in (sys.executable, "/usr/bin/python{}.{}".format(*sys.version_info)):
        with contextlib.suppress(OSError):
            command = [python, "-c", "import fixer, fixer_codemods, torch"]
            done = subprocess.run(command, cwd="/", env=environment, capture_output=True, **apart(user))
            if done.returncode == 0:
                return python, environment
    return None


def apart(user: int | None) -> dict[str, Any]:
    """How to start a process as another user."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


@pytest.fixture(scope="module", params=["the present user", "an ordinary user"])
def aftermath(request: pytest.FixtureRequest) -> Iterator[Aftermath]:
    if request.param == "the present user":
        yield from ravaged(None)
        return
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    yield from ravaged(NOBODY)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_costs_its_own_verdict(aftermath: Aftermath, attack: Attack) -> None:
    found = aftermath.verdicts[f"attack_{ATTACKS.index(attack)}.py"]
    assert found["verdict"] == "unverified"
    assert re.search(attack.reason, found["reason"]), found["reason"]


def test_nothing_else_is_lost(aftermath: Aftermath) -> None:
    assert aftermath.changed == []
    assert aftermath.processes == []
    assert aftermath.temporary == []
    assert not aftermath.connected
    assert aftermath.status == 1


def test_the_harmless_model_is_fixed(aftermath: Aftermath) -> None:
    assert aftermath.fixed
    assert aftermath.verdicts["harmless.py"]["verdict"] == "equivalent"
