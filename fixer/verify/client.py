"""The parent's side: one worker process, started at the first job and restarted if it died."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Any

from fixer.contract import Verdict, Verification
from fixer.source import SourceError
from fixer.verify import interpreter
from fixer.verify.cache import VerdictCache
from fixer.verify.job import Device, Job, Revision, VerifySettings
from fixer.verify.request import encode
from fixer.verify.worker.frames import TooLongError, Unpacker, pack

WORKER = Path(__file__).parent / "worker"
_START_LIMIT = 180.0  # importing torch from a cold network disk
_ANSWER_GRACE = 15.0
_EXIT_GRACE = 3.0
_ANSWER_LIMIT = 1 << 28
_DEVICES = "CUDA_VISIBLE_DEVICES"
_OTHER = "name a Python that has torch with `--python`"
_REMEDY = f"install torch there (`pip install 'torch-fixer[verify]'`) or {_OTHER}"
_PASSED_ON = {
    *("CONDA_PREFIX", "HF_HOME", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("PATH", "PYTHONPATH", "SYSTEMROOT", "TORCH_HOME", "TZ", "USER", "VIRTUAL_ENV", "XDG_CACHE_HOME"),
}


class CannotStartError(Exception):
    """No worker runs under this interpreter; the message is the reason that every job gets."""


class WorkerDiedError(Exception):
    """The worker is gone or does not answer."""


class Verifier:
    """Verifies jobs in a worker of its own; a context manager: nothing stays behind."""

    worker = WORKER

    def __init__(self, settings: VerifySettings, root: Path) -> None:
        self._settings = settings
        self._root = root
        self._lock = threading.Lock()
        self._ids = count(1)
        self._process: _Process | None = None
        self._refusal: str | None = None
        self._cache: VerdictCache | None = None

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the worker and everything under it."""
        if self._cache is not None:
            self._cache.close()
        if self._process is not None:
            self._process.stop()
            self._process = None

    def start(self) -> None:
        """Start the worker, which else starts with the first job; why it cannot, the jobs will say."""
        with self._lock, contextlib.suppress(CannotStartError):
            self._running()

    @property
    def started(self) -> bool:
        """Whether a worker is running."""
        return self._process is not None

    @property
    def at_once(self) -> int:
        """How many jobs it runs at the same time."""
        return self._settings.at_once

    def verify(self, job: Job) -> Verification:
        """Run the code before and after the fix; nothing that the target's code does raises here."""
        return self.verify_all([job])[0]

    def verify_all(self, jobs: Sequence[Job | Revision]) -> list[Verification]:
        """The verdicts on jobs that do not depend on each other, in their order; `at_once` run at a time."""
        verdicts: dict[int, Verification] = {}
        requests: dict[int, dict[str, Any]] = {}
        numbers = [next(self._ids) for _ in jobs]
        for number, job in zip(numbers, jobs, strict=True):
            try:
                requests[number] = {"id": number, **encode(job, self._settings, self._root)}
            except SourceError as error:
                verdicts[number] = _unverified(str(error))
        with self._lock:
            verdicts.update(self._verdicts(requests))
        return [verdicts[number] for number in numbers]

    def _verdicts(self, requests: dict[int, dict[str, Any]]) -> Iterator[tuple[int, Verification]]:
        """The verdicts that are kept already, then those that have to be found."""
        cache = self._opened_cache() if requests else None
        if cache is None:
            yield from ((number, _verification(answer)) for number, answer in self._answers(requests))
            return
        keys = {number: cache.key(request) for number, request in requests.items()}
        kept = {number: found for number, key in keys.items() if (found := cache.get(key)) is not None}
        yield from kept.items()
        left = {number: request for number, request in requests.items() if number not in kept}
        asked_at = time.time_ns()
        for number, answer in self._answers(left):
            cache.put(keys[number], answer, asked_at)
            yield number, _verification(answer)

    def _opened_cache(self) -> VerdictCache | None:
        """The cache for the interpreter; which one it is, a worker has to say the first time."""
        if self._settings.cache is None or self._settings.device is not Device.CPU:
            return None
        if self._cache is None:
            self._cache = VerdictCache(
                self._settings.cache, self._python, _environment(os.environ, self._settings.device)
            )
        self._cache.look_again()
        if not self._cache.knows_interpreter:
            try:
                self._cache.introduce(self._running().hello)
            except CannotStartError:
                return None
        return self._cache

    @property
    def _python(self) -> Path:
        return interpreter.find(self._settings.python, self._root, os.environ)

    def _answers(self, requests: dict[int, dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Answer every request; where the worker dies, those in flight are tried again one by one."""
        left = dict(requests)
        at_once = self._settings.at_once
        while left:
            try:
                for answer in self._running().ask(list(left.values()), at_once, self._answer_limit):
                    if left.pop(answer["id"], None):
                        yield answer["id"], answer
            except CannotStartError as error:
                yield from ((number, _lost(str(error))) for number in left)
                return
            except WorkerDiedError as error:
                self.close()
                if at_once == 1:
                    number = next(iter(left))
                    del left[number]
                    yield number, _lost(str(error))
                at_once = 1
            except BaseException:  # interrupted: the worker is in the middle of a job
                self.close()
                raise

    @property
    def _answer_limit(self) -> float:
        return self._settings.timeout + _ANSWER_GRACE

    def _running(self) -> _Process:
        if self._refusal is not None:
            raise CannotStartError(self._refusal)
        if self._process is None:
            try:
                self._process = _Process(self._python, self.worker, self._settings.device)
            except CannotStartError as error:
                self._refusal = str(error)
                raise
        return self._process


class _Process:
    """A worker process that has said it is ready."""

    def __init__(self, python: Path, worker: Path, device: Device) -> None:
        self._scratch = tempfile.mkdtemp(prefix="fixer-")
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._popen: subprocess.Popen[bytes] | None = None
        try:
            self._start(python, worker, device)
        except BaseException:
            self.stop()
            raise

    def _start(self, python: Path, worker: Path, device: Device) -> None:
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - the interpreter is the user's choice
                [python, worker, self._scratch],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=self._scratch,
                env=_environment(os.environ, device),
                start_new_session=True,  # Ctrl-C is for the parent to handle
            )
        except OSError as error:
            raise CannotStartError(f"{python} does not start ({error.strerror}); {_OTHER}") from None
        assert self._popen.stdout is not None
        threading.Thread(target=_read, args=(self._popen.stdout, self._messages), daemon=True).start()
        try:
            hello = self._receive(_START_LIMIT)
        except WorkerDiedError:
            words = self._last_words()
            raise CannotStartError(f"{python} does not start a worker ({words}); {_OTHER}") from None
        if "refused" in hello:
            raise CannotStartError(f"{python} cannot verify: {hello['refused']}; {_REMEDY}")
        self.hello = hello

    def ask(
        self, requests: Sequence[dict[str, Any]], at_once: int, timeout: float
    ) -> Iterator[dict[str, Any]]:
        """Send requests, so many at a time, and yield the answers as they come."""
        waiting = deque(requests)
        in_flight: set[int] = set()
        while waiting or in_flight:
            while waiting and len(in_flight) < at_once:
                request = waiting.popleft()
                self._send(request)
                in_flight.add(request["id"])
            answer = self._receive(timeout)
            if answer.get("id") in in_flight:
                in_flight.remove(answer["id"])
                yield answer

    def _send(self, request: dict[str, Any]) -> None:
        assert self._popen is not None
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(pack(request))
            self._popen.stdin.flush()
        except OSError:
            raise WorkerDiedError("the verification worker died before this fix; run again") from None

    def _receive(self, timeout: float) -> dict[str, Any]:
        try:
            message = self._messages.get(timeout=timeout)
        except queue.Empty:
            raise WorkerDiedError(f"the verification worker did not answer within {timeout:.0f} s") from None
        if message is None:
            raise WorkerDiedError("the verification worker died while it verified this fix")
        return message

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it ended without a word"

    def stop(self) -> None:
        """End the worker: politely, then with its whole group."""
        if self._popen is not None:
            assert self._popen.stdin is not None
            with contextlib.suppress(OSError):
                self._popen.stdin.close()  # the worker ends, and ends its jobs, when its requests do
            try:
                self._popen.wait(_EXIT_GRACE)
            except subprocess.TimeoutExpired:
                _kill(self._popen)
        self._errors.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def _kill(popen: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(popen.pid, signal.SIGKILL)
    popen.kill()
    popen.wait()


def _read(pipe: IO[bytes], messages: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Move messages from the worker's pipe to the queue; None says that the pipe has ended."""
    unpacker = Unpacker(_ANSWER_LIMIT)
    with pipe, contextlib.suppress(TooLongError, ValueError):  # it is no worker, then
        while data := os.read(pipe.fileno(), 1 << 16):
            for message in unpacker.feed(data):
                messages.put(message)
    messages.put(None)


def _environment(environment: Mapping[str, str], device: Device) -> dict[str, str]:
    """What the target's code may know of our environment: no tokens, no keys, and no device but its own."""
    passed = {name: value for name, value in environment.items() if name in _PASSED_ON}
    passed["PYTHONHASHSEED"] = "0"  # sets have the same order in every run, as random numbers are the same
    passed["NUMBA_CACHE_DIR"] = "numba"  # in the working folder: elsewhere the guard lets nothing be kept
    if device is Device.CPU:
        return {**passed, _DEVICES: ""}
    return {**passed, **({_DEVICES: environment[_DEVICES]} if _DEVICES in environment else {})}


def _unverified(reason: str) -> Verification:
    return Verification(Verdict.UNVERIFIED, reason)


def _lost(reason: str) -> dict[str, Any]:
    """An answer for a job that got none."""
    return {"verdict": Verdict.UNVERIFIED.value, "reason": reason, "evidence": {}}


def _verification(answer: dict[str, Any]) -> Verification:
    try:
        return Verification(Verdict(answer["verdict"]), str(answer["reason"]), dict(answer["evidence"]))
    except (KeyError, TypeError, ValueError) as error:
        return _unverified(f"the verification worker gave a garbled answer ({error})")
