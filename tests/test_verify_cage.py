"""Whatever the target's code does costs that job its verdict; no run, file or process suffers."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixer.verify import VerifySettings
from fixer.verify.worker import cage, guard, kernel
from tests.verify_support import CageVerifier, alive, call, descendants, job, wait_until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the whole cage needs Linux")

RAW_CONNECT = """\
libc = ctypes.CDLL(None)
address = (2).to_bytes(2, 'little') + ({port}).to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8)
raise OSError(libc.connect(libc.socket(2, 1, 0), address, 16))
"""
OPEN_BELOW_DESCRIPTOR = """\
folder = os.open(os.path.dirname(f), os.O_RDONLY)
os.open('keep.txt', os.O_WRONLY | os.O_TRUNC, dir_fd=folder)
"""

needs_landlock = pytest.mark.skipif(kernel.landlock_version() < 3, reason="the kernel has no Landlock")


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CageVerifier]:
    with CageVerifier(VerifySettings(), tmp_path_factory.mktemp("root")) as verifier:
        yield verifier


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CageVerifier]:
    with CageVerifier(VerifySettings(timeout=1.0), tmp_path_factory.mktemp("root")) as verifier:
        yield verifier


def test_harmless_code_is_called_on_both_sides(verifier: CageVerifier, tmp_path: Path) -> None:
    outcome = call(verifier, tmp_path, "return torch.ones(2).tolist()")
    assert outcome["ok"]
    assert outcome["value"]["result"] == [1.0, 1.0]


def test_each_call_starts_from_the_same_seeds(verifier: CageVerifier, tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text(
        "import random, torch\ndef go():\n    return [random.random(), torch.rand(1).item()]\n"
    )
    evidence = verifier.verify(job(tmp_path / "target.py")).evidence
    assert evidence["before"]["value"]["result"] == evidence["after"]["value"]["result"]


def test_the_scratch_folder_may_be_written_and_does_not_stay(verifier: CageVerifier, tmp_path: Path) -> None:
    body = "torch.save(torch.ones(1), 'a.pt')\nos.makedirs('b/c')\nos.chmod('b', 0o500)\nreturn os.listdir()"
    outcome = call(verifier, tmp_path, body)
    assert set(outcome["value"]["result"]) == {"a.pt", "b"}
    assert not Path(outcome["value"]["scratch"]).exists()


def test_the_memory_that_is_set_aside_is_not_written(verifier: CageVerifier, tmp_path: Path) -> None:
    body = "import resource\nreturn resource.getrusage(resource.RUSAGE_SELF).ru_minflt"
    assert call(verifier, tmp_path, body)["value"]["result"] < (32 << 20) // resource.getpagesize()


def test_an_exception_is_reported_with_the_targets_frames(verifier: CageVerifier, tmp_path: Path) -> None:
    error = call(verifier, tmp_path, "raise TypeError('no')")["error"]
    assert (error["type"], error["message"]) == ("TypeError", "no")
    assert error["frames"][-1] == [str(tmp_path / "target.py"), 5, "go"]


@pytest.mark.parametrize("message", ["'x' * 10**7", "type('E', (), {'__str__': lambda self: 1 / 0})()"])
def test_an_exceptions_message_is_bounded(verifier: CageVerifier, tmp_path: Path, message: str) -> None:
    assert len(call(verifier, tmp_path, f"raise ValueError({message})")["error"]["message"]) <= 2000


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import signal\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
        "import time\ntime.sleep(60)",
    ],
)
def test_endless_code_runs_out_of_time(impatient: CageVerifier, tmp_path: Path, body: str) -> None:
    assert call(impatient, tmp_path, body)["died"] == "ran out of time"


def test_a_judge_that_hangs_is_ended_too(impatient: CageVerifier, tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text("")
    verification = impatient.verify(job(tmp_path / "target.py", parameter="hang"))
    assert "ran out of time" in verification.reason


def test_a_judge_that_raises_costs_one_verdict(verifier: CageVerifier, tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text("")
    verification = verifier.verify(job(tmp_path / "target.py", parameter="raise"))
    assert verification.reason == "the verification itself failed: RuntimeError: a judge's defect"


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("os._exit(3)", "exit status 3"),
        ("os._exit(0)", "exit status 0"),
        ("ctypes.string_at(0)", "killed by SIGSEGV"),
        ("os.abort()", "killed by SIGABRT"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL"),
    ],
)
def test_sudden_death_is_named(verifier: CageVerifier, tmp_path: Path, body: str, end: str) -> None:
    assert call(verifier, tmp_path, body)["died"] == end


def test_last_words_are_kept(verifier: CageVerifier, tmp_path: Path) -> None:
    assert call(verifier, tmp_path, "os.write(2, b'x' * 9999 + b'why'); os._exit(1)")["stderr"].endswith(
        "xwhy"
    )


@pytest.mark.parametrize("body", ["torch.empty(1 << 40)", "bytearray(64 << 30)", "x = [0] * (1 << 40)"])
def test_a_huge_allocation_fails(verifier: CageVerifier, tmp_path: Path, body: str) -> None:
    assert call(verifier, tmp_path, body)["error"]["type"] in {"RuntimeError", "MemoryError"}


@pytest.mark.parametrize("stream", ["sys.stdout", "sys.stderr"])
def test_flooding_a_stream_costs_nothing(verifier: CageVerifier, tmp_path: Path, stream: str) -> None:
    body = f"for _ in range(200): {stream}.write('x' * 100_000)\nreturn 1"
    assert call(verifier, tmp_path, body)["value"]["result"] == 1


def test_too_long_an_answer_is_refused(verifier: CageVerifier, tmp_path: Path) -> None:
    assert "garbled answer" in call(verifier, tmp_path, "return 'x' * (20 << 20)")["died"]


@pytest.mark.parametrize(
    "body",
    [
        "open(f, 'w')",
        "open(f, 'r+')",
        "os.open(f, os.O_WRONLY | os.O_TRUNC)",
        "os.remove(f)",
        "os.truncate(f, 0)",
        "os.rename(f, 'gone')",
        "os.rename(__file__, f)",
        "os.chmod(f, 0)",
        "shutil.rmtree(os.path.dirname(f))",
        "os.symlink('x', f + '2')",
        "os.mkdir(f + '2')",
        "os.symlink(f, 'link')\nopen('link', 'w')",
        "os.chdir(os.path.dirname(f))\nopen('keep.txt', 'w')",
        "d = os.open(os.path.dirname(f), os.O_RDONLY)\nos.remove('keep.txt', dir_fd=d)",
    ],
)
def test_the_tree_cannot_be_written(verifier: CageVerifier, tmp_path: Path, body: str) -> None:
    keep = tmp_path / "keep.txt"
    keep.write_text("kept")
    outcome = call(verifier, tmp_path, f"f = {str(keep)!r}\n{body}")
    assert outcome["error"]["type"] == "PermissionError"
    assert keep.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keep.txt", "target.py"]


@needs_landlock
@pytest.mark.parametrize(
    "body",
    [
        "torch.save(torch.ones(1), f)",  # C++ opens the file
        OPEN_BELOW_DESCRIPTOR,
        "ctypes.CDLL(None).unlink(f.encode())",
        "ctypes.CDLL(None).truncate(f.encode(), 0)",
    ],
)
def test_native_code_cannot_write_the_tree_either(verifier: CageVerifier, tmp_path: Path, body: str) -> None:
    keep = tmp_path / "keep.txt"
    keep.write_text("kept")
    call(verifier, tmp_path, f"f = {str(keep)!r}\n{body}")
    assert keep.read_text() == "kept"


def test_without_the_kernels_help_torch_save_is_still_refused(
    tmp_path: Path,
) -> None:
    script = f"""
import sys, torch
from fixer.verify.worker import guard, kernel
kernel.restrict = lambda *_: False
guard.close({str(tmp_path / "scratch")!r})
try:
    torch.save(torch.ones(1), {str(tmp_path / "tree.pt")!r})
except PermissionError as error:
    print(error)
"""
    (tmp_path / "scratch").mkdir()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"verification refuses to write {tmp_path / 'tree.pt'}\n"
    assert not (tmp_path / "tree.pt").exists()


@pytest.mark.parametrize(
    "body",
    [
        "socket.create_connection(('127.0.0.1', {port}))",
        "socket.socket().connect(('127.0.0.1', {port}))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}')",
        RAW_CONNECT,
    ],
)
def test_the_network_is_out_of_reach(verifier: CageVerifier, tmp_path: Path, body: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        outcome = call(verifier, tmp_path, body.format(port=server.getsockname()[1]))
        assert outcome["error"]["type"] in {"PermissionError", "URLError", "OSError"}
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "body",
    [
        "os.system('true')",
        "subprocess.run(['true'])",
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "import multiprocessing\nmultiprocessing.Process(target=print).start()",
        "os.execv('/bin/true', ['true'])",
    ],
)
def test_no_process_can_be_started(verifier: CageVerifier, tmp_path: Path, body: str) -> None:
    error = call(verifier, tmp_path, body)["error"]
    assert error["type"] in {"PermissionError", "FileNotFoundError"}
    assert "verification refuses to start a process" in error["message"]


def test_a_native_fork_bomb_fizzles_out(verifier: CageVerifier, tmp_path: Path) -> None:
    body = "libc = ctypes.CDLL(None)\nreturn [libc.fork() for _ in range(3)]"
    assert call(verifier, tmp_path, body)["value"]["result"] == [-1, -1, -1]


def test_threads_are_allowed(verifier: CageVerifier, tmp_path: Path) -> None:
    body = "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\nreturn 1"
    assert call(verifier, tmp_path, body)["value"]["result"] == 1


@pytest.mark.parametrize("body", ["os.kill(os.getppid(), 9)", "os.killpg(os.getpgid(os.getppid()), 9)"])
def test_its_keepers_cannot_be_killed(verifier: CageVerifier, tmp_path: Path, body: str) -> None:
    assert call(verifier, tmp_path, body)["error"]["type"] == "PermissionError"


def test_native_code_cannot_kill_its_keepers_either(verifier: CageVerifier, tmp_path: Path) -> None:
    body = "return ctypes.CDLL(None).kill(os.getppid(), 9)"
    assert call(verifier, tmp_path, body)["value"]["result"] == -1


def test_secrets_are_not_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with CageVerifier(VerifySettings(), tmp_path) as verifier:
        outcome = call(verifier, tmp_path, "return os.environ.get('SECRET_TOKEN')")
    assert outcome["value"]["result"] is None


def test_compiled_code_may_be_kept_for_a_while(verifier: CageVerifier, tmp_path: Path) -> None:
    body = "os.makedirs(os.environ['NUMBA_CACHE_DIR']); return os.path.isdir('numba')"
    assert call(verifier, tmp_path, body)["value"]["result"] is True


def test_it_has_no_descriptors_but_its_own(verifier: CageVerifier, tmp_path: Path) -> None:
    opened = call(verifier, tmp_path, "return [os.readlink(f'/proc/self/fd/{n}') for n in range(3)]")
    assert opened["value"]["result"][:2] == ["/dev/null", "/dev/null"]
    held = call(verifier, tmp_path, "return len(os.listdir('/proc/self/fd'))")
    assert held["value"]["result"] <= 6  # 0, 1, 2, the pipes in and out, and the listing itself


def test_a_daemonised_grandchild_is_found_and_killed(tmp_path: Path) -> None:
    script = f"""
import os, time
from pathlib import Path
from fixer.verify.worker import cage

def daemonise():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
            time.sleep(60)
        os._exit(0)
    while not Path({str(tmp_path / "pid")!r}).exists():
        time.sleep(0.01)
    return {{}}

cage.adopt_orphans()
child = cage.Child(daemonise)
while not child.check():
    time.sleep(0.01)
child.kill()
cage.reap_strangers(())
print(cage.children())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert not alive(int((tmp_path / "pid").read_text()))


def test_a_full_scratch_folder_is_noticed(tmp_path: Path) -> None:
    watch = cage.scratch_watch(str(tmp_path), 100_000, every=0)
    assert watch() is None
    (tmp_path / "big").write_bytes(b"x" * 200_000)
    assert watch() == "filled its scratch folder"


def test_the_guard_leaves_open_descriptors_alone(tmp_path: Path) -> None:
    hook = guard.hook(str(tmp_path))
    hook("open", (3, "w", os.O_WRONLY))
    hook("open", (str(tmp_path / "a"), "w", os.O_WRONLY))
    hook("open", ("/etc/hosts", "r", os.O_RDONLY))
    hook("socket.gethostname", ())
    with pytest.raises(PermissionError, match="refuses to write /etc/hosts"):
        hook("open", ("/etc/hosts", "a", os.O_WRONLY))
    with pytest.raises(PermissionError, match="refuses to write"):
        hook("open", (f"{tmp_path}-sibling", "a", os.O_WRONLY))


@pytest.mark.parametrize("event", ["subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"])
def test_a_refused_program_is_one_that_is_not_there(tmp_path: Path, event: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"refuses to start a process \\({event}\\)") as refused:
        guard.hook(str(tmp_path))(event, ("git", ["git", "--version"], None, None))
    assert refused.value.errno == errno.ENOENT


def test_a_refused_fork_is_not_allowed(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="refuses to start a process"):
        guard.hook(str(tmp_path))("os.fork", ())


def test_leaving_the_verifier_leaves_no_process(tmp_path: Path) -> None:
    before = set(descendants(os.getpid()))
    with CageVerifier(VerifySettings(), tmp_path) as verifier:
        scratch = call(verifier, tmp_path, "return 1")["value"]["scratch"]
        started = set(descendants(os.getpid())) - before
        assert started
    assert not set(filter(alive, started))
    assert not Path(scratch).parent.exists()


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process in the middle of a job that sleeps, and all processes below it."""
    (tmp_path / "target.py").write_text("import time\ndef go():\n    time.sleep(60)\n")
    script = f"""
from pathlib import Path
from fixer.verify import VerifySettings
from tests.verify_support import CageVerifier, job
with CageVerifier(VerifySettings(), Path({str(tmp_path)!r})) as verifier:
    verifier.verify(job(Path({str(tmp_path / "target.py")!r})))
"""
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as parent:
        while len(started := descendants(parent.pid)) < 3:  # the worker, a judge and a stage
            assert parent.poll() is None
            time.sleep(0.05)
        yield parent, started
        parent.kill()


def test_an_interrupt_leaves_no_process(sleeping: tuple[subprocess.Popen[bytes], list[int]]) -> None:
    parent, started = sleeping
    parent.send_signal(signal.SIGINT)
    _, errors = parent.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors
    assert not wait_until_gone(started)


def test_a_killed_parent_leaves_no_process(sleeping: tuple[subprocess.Popen[bytes], list[int]]) -> None:
    parent, started = sleeping
    parent.kill()
    assert not wait_until_gone(started)


def test_a_killed_worker_leaves_no_process(sleeping: tuple[subprocess.Popen[bytes], list[int]]) -> None:
    _, started = sleeping
    os.kill(started[0], signal.SIGKILL)
    assert not wait_until_gone(started)


def test_a_killed_worker_costs_one_verdict_and_is_replaced(tmp_path: Path) -> None:
    with CageVerifier(VerifySettings(), tmp_path) as verifier:
        before = set(descendants(os.getpid()))
        call(verifier, tmp_path, "return 1")
        started = [pid for pid in descendants(os.getpid()) if pid not in before]
        os.kill(started[0], signal.SIGKILL)  # the worker; the judge that waits for more is its child
        assert not wait_until_gone(started)
        assert "died" in verifier.verify(job(tmp_path / "target.py")).reason
        assert call(verifier, tmp_path, "return 2")["value"]["result"] == 2


@pytest.fixture(scope="module")
def spawning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CageVerifier]:
    """A verifier as it is where processes cannot be forked: every stage imports torch anew."""
    with CageVerifier(VerifySettings(timeout=15.0), tmp_path_factory.mktemp("root")) as verifier:
        verifier.worker = verifier.worker.with_name("spawning_worker.py")
        yield verifier


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "part", "expected"),
    [
        ("return 1", "ok", True),
        ("raise ValueError", "ok", False),
        ("os._exit(3)", "died", "exit status 3"),
        ("os.write(2, b'why'); os._exit(3)", "stderr", "why"),
        ("while True: pass", "died", "ran out of time"),
    ],
)
def test_without_fork_the_end_is_reported(
    spawning: CageVerifier, tmp_path: Path, body: str, part: str, expected: object
) -> None:
    assert call(spawning, tmp_path, body)[part] == expected


@pytest.mark.slow
def test_without_fork_the_tree_cannot_be_written(spawning: CageVerifier, tmp_path: Path) -> None:
    outcome = call(spawning, tmp_path, "open(__file__, 'w')")
    assert outcome["error"]["type"] == "PermissionError"


def test_what_is_replaced_under_verification_is_noticed(verifier: CageVerifier, tmp_path: Path) -> None:
    error = call(verifier, tmp_path, "torch.equal = lambda *_: True")["error"]
    assert error["message"] == "the code replaces torch.equal, which verification relies on"


@pytest.mark.parametrize(
    "body",
    [
        "return libc.socket(1, 2, 0)",
        "return libc.shmget(0, 4096, 0o1600)",
        "return libc.tgkill(os.getppid(), os.getppid(), 9)",
        "return libc.fcntl(0, 8, os.getppid())",
        "return libc.syscall(425, 8, (ctypes.c_char * 256)())",
        "return libc.ptrace(16, os.getppid(), 0, 0)",
    ],
)
def test_native_code_is_refused_what_the_kernel_can_refuse(
    verifier: CageVerifier, tmp_path: Path, body: str
) -> None:
    outcome = call(verifier, tmp_path, f"libc = ctypes.CDLL(None)\n{body}")
    assert outcome["value"]["result"] == -1


def test_native_changes_of_a_file_do_nothing(verifier: CageVerifier, tmp_path: Path) -> None:
    keep = tmp_path / "keep.txt"
    keep.write_text("kept")
    before = keep.stat()
    calls = "libc.chmod(f, 0)\nlibc.chown(f, 1, 1)\nlibc.utimes(f, None)"
    call(verifier, tmp_path, f"libc, f = ctypes.CDLL(None), {str(keep)!r}.encode()\n{calls}")
    assert keep.stat() == before


def test_limits_can_be_asked_for_but_not_changed(verifier: CageVerifier, tmp_path: Path) -> None:
    body = "import resource as r\nr.setrlimit(r.RLIMIT_AS, (-1, -1))\nreturn r.getrlimit(r.RLIMIT_AS)"
    assert -1 not in call(verifier, tmp_path, body)["value"]["result"]


@needs_landlock
def test_other_processes_keep_their_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with CageVerifier(VerifySettings(), tmp_path) as verifier:
        outcome = call(verifier, tmp_path, f"return open('/proc/{os.getpid()}/environ').read()")
    assert outcome["error"]["type"] == "PermissionError"
