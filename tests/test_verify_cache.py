"""Verdicts that are kept: what makes one count again, and what does not."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fixer.contract import Contract, Promise, Subject, Verdict, Verification
from fixer.edits import Edit, EditSet
from fixer.source import Source
from fixer.verify import Device, HarnessConfig, Job, Verifier, VerifySettings
from fixer.verify.cache import FOLDER, VerdictCache, clean

HELLO = {"ready": "2.9", "python": "3.11", "libraries": []}
ANSWER = {"verdict": "equivalent", "reason": "all agree", "evidence": {"wall_ms": 12, "seed": 0}}
REACHED: dict[str, Any] = {"files": [], "folders": [], "calls": [], "hurried": False, "lost": False}
LATER = 1 << 62


def cache(tmp_path: Path, environment: dict[str, str] | None = None, **hello: Any) -> VerdictCache:
    found = VerdictCache(tmp_path / FOLDER, Path(sys.executable), environment or {})
    found.introduce({**HELLO, **hello})
    return found


def kept(tmp_path: Path, request: dict[str, Any], **reached: Any) -> VerdictCache:
    """A cache with an answer to a request, opened anew."""
    one = cache(tmp_path)
    one.put(one.key(request), {**ANSWER, "reached": {**REACHED, **reached}}, LATER)
    return cache(tmp_path)


def found(other: VerdictCache, request: dict[str, Any]) -> Verification | None:
    return other.get(other.key(request))


class TestWhatCounts:
    def test_a_verdict_comes_back_whole(self, tmp_path: Path) -> None:
        verification = found(kept(tmp_path, {"id": 1, "seed": 3}), {"id": 9, "seed": 3})
        assert verification is not None
        assert verification.verdict is Verdict.EQUIVALENT
        assert verification.reason == "all agree"
        assert verification.evidence == {"wall_ms": 12, "seed": 0, "cached": True}

    def test_another_question_has_none(self, tmp_path: Path) -> None:
        assert found(kept(tmp_path, {"seed": 3}), {"seed": 4}) is None

    @pytest.mark.parametrize("name", ["ready", "python"])
    def test_another_interpreter_has_none(self, tmp_path: Path, name: str) -> None:
        kept(tmp_path, {"seed": 3})
        assert found(cache(tmp_path, **{name: "other"}), {"seed": 3}) is None

    def test_another_environment_has_none(self, tmp_path: Path) -> None:
        kept(tmp_path, {"seed": 3})
        assert found(cache(tmp_path, {"PYTHONPATH": "/x"}), {"seed": 3}) is None

    def test_another_version_of_the_code_has_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept(tmp_path, {"seed": 3})
        monkeypatch.setattr("fixer.verify.cache._code", lambda: "other")
        assert found(cache(tmp_path), {"seed": 3}) is None

    def test_a_package_that_was_installed_makes_the_interpreter_unknown(self, tmp_path: Path) -> None:
        libraries = tmp_path / "site-packages"
        libraries.mkdir()
        cache(tmp_path, libraries=[str(libraries)])
        again = VerdictCache(tmp_path / FOLDER, Path(sys.executable), {})
        assert again.knows_interpreter
        (libraries / "other-1.0.dist-info").mkdir()
        again = VerdictCache(tmp_path / FOLDER, Path(sys.executable), {})
        assert not again.knows_interpreter

    def test_what_somebody_else_has_written_is_not_believed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept(tmp_path, {"seed": 3})
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
        assert found(cache(tmp_path), {"seed": 3}) is None

    def test_without_a_place_for_the_key_nothing_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert found(kept(tmp_path, {"seed": 3}), {"seed": 3}) is None

    def test_only_its_owner_may_read_the_key(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
        assert found(kept(tmp_path, {"seed": 3}), {"seed": 3})
        (key,) = (tmp_path / "home" / "torch-fixer").iterdir()
        assert key.stat().st_mode & 0o777 == 0o600
        assert len(key.read_bytes()) == 32


class TestWhatWasReached:
    @pytest.fixture
    def change(self, tmp_path: Path) -> dict[str, Callable[[], object]]:
        file = tmp_path / "tree" / "layer.py"
        file.parent.mkdir()
        file.write_text("x = 1\n")
        return {
            "edited": lambda: file.write_text("x = 2\n"),
            "touched": lambda: os.utime(file, ns=(1, 1)),
            "gone": file.unlink,
            "appeared": lambda: (file.parent / "sibling.py").write_text(""),
            "hidden": lambda: (file.parent / ".hidden").write_text(""),
            "package": lambda: (file.parent / "sub").mkdir(),
            "caller": lambda: (file.parent / "caller.py").write_text("Net(3)\n"),
            "absent": lambda: (file.parent / "absent.json").write_text("{}"),
        }

    @pytest.mark.parametrize(
        ("kind", "name", "holds"),
        [
            ("files", "edited", False),
            ("files", "touched", True),
            ("files", "gone", False),
            ("files", "appeared", True),
            ("files", "absent", False),
            ("folders", "appeared", False),
            ("folders", "package", False),
            ("folders", "hidden", True),
            ("folders", "edited", True),
            ("calls", "caller", False),
            ("calls", "edited", True),
        ],
    )
    def test_has_to_be_unchanged(
        self, tmp_path: Path, change: dict[str, Callable[[], object]], kind: str, name: str, holds: bool
    ) -> None:
        tree = str(tmp_path / "tree")
        reached = {
            "files": [f"{tree}/layer.py", f"{tree}/absent.json"],
            "folders": [tree],
            "calls": [[tree, "Net", []]],
        }
        kept(tmp_path, {}, **{kind: reached[kind]})
        change[name]()
        again = cache(tmp_path)
        again.look_again()
        assert (found(again, {}) is not None) == holds

    def test_a_file_that_changed_while_it_was_run_is_not_trusted(self, tmp_path: Path) -> None:
        (tmp_path / "layer.py").write_text("x = 1\n")
        one = cache(tmp_path)
        reached = {**REACHED, "files": [str(tmp_path / "layer.py")]}
        one.put(one.key({}), {**ANSWER, "reached": reached}, (tmp_path / "layer.py").stat().st_mtime_ns)
        assert found(one, {}) is None

    def test_a_folder_that_changed_while_it_was_run_is_not_trusted(self, tmp_path: Path) -> None:
        (tmp_path / "tree").mkdir()
        one = cache(tmp_path)
        reached = {**REACHED, "folders": [str(tmp_path / "tree")]}
        one.put(one.key({}), {**ANSWER, "reached": reached}, (tmp_path / "tree").stat().st_mtime_ns)
        assert found(one, {}) is None
        one.put(one.key({}), {**ANSWER, "reached": reached}, LATER)
        assert found(one, {}) is not None


class TestWhatIsNotKept:
    @pytest.mark.parametrize(
        ("answer", "reached"),
        [
            ({}, None),
            ({}, {"lost": True}),
            ({"verdict": "unverified"}, {"hurried": True}),
            ({"verdict": "unverified", "reason": "the original: ran out of time"}, {}),
            ({"verdict": "unverified", "reason": "DefaultCPUAllocator: can't allocate memory"}, {}),
            (
                {
                    "verdict": "unverified",
                    "reason": "the verification process ended early: killed by SIGKILL",
                },
                {},
            ),
        ],
    )
    def test_what_another_run_need_not_say(
        self, tmp_path: Path, answer: dict[str, Any], reached: dict[str, Any] | None
    ) -> None:
        one = cache(tmp_path)
        seen = {} if reached is None else {"reached": {**REACHED, **reached}}
        one.put(one.key({}), {**ANSWER, **answer, **seen}, LATER)
        assert found(one, {}) is None

    def test_a_verdict_for_lack_of_a_way_to_build_is(self, tmp_path: Path) -> None:
        one = cache(tmp_path)
        answer = {**ANSWER, "verdict": "unverified", "reason": "could not build Net: it wants 169"}
        one.put(one.key({}), {**answer, "reached": REACHED}, LATER)
        assert found(one, {}) is not None


class TestFiles:
    @pytest.mark.parametrize(
        "damage",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"seal": "0", "text": "{}"}',
            b'{"seal": 0, "text": "{}"}',
            b'{"text": 1}',
            b"\xff\x00",
        ],
    )
    def test_a_broken_entry_is_as_good_as_none(self, tmp_path: Path, damage: bytes) -> None:
        kept(tmp_path, {})
        (entry,) = (tmp_path / FOLDER).glob("v1/*.json")
        entry.write_bytes(damage)
        assert found(cache(tmp_path), {}) is None
        assert found(kept(tmp_path, {}), {}) is not None

    def test_one_flipped_letter_is_noticed(self, tmp_path: Path) -> None:
        kept(tmp_path, {})
        (entry,) = (tmp_path / FOLDER).glob("v1/*.json")
        entry.write_bytes(entry.read_bytes().replace(b"equivalent", b"equivalenT"))
        assert found(cache(tmp_path), {}) is None

    def test_the_folder_ignores_itself(self, tmp_path: Path) -> None:
        kept(tmp_path, {})
        assert (tmp_path / FOLDER / ".gitignore").read_text() == "*\n"
        assert (tmp_path / FOLDER / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f")

    def test_writers_do_not_disturb_each_other(self, tmp_path: Path) -> None:
        def write(number: int) -> bool:
            return found(kept(tmp_path, {"seed": number % 3}), {"seed": number % 3}) is not None

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(write, range(40)))
        assert not list((tmp_path / FOLDER).glob("v1/new-*"))

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
    def test_a_tree_that_cannot_be_written_has_no_cache(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        try:
            assert found(kept(tmp_path, {}), {}) is None
        finally:
            tmp_path.chmod(0o700)

    def test_a_file_in_its_place_is_no_cache(self, tmp_path: Path) -> None:
        (tmp_path / FOLDER).write_text("mine")
        assert found(kept(tmp_path, {}), {}) is None
        assert (tmp_path / FOLDER).read_text() == "mine"

    def test_what_is_not_used_goes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fixer.verify.cache._MOST_ENTRIES", 2)
        one = cache(tmp_path)
        for seed in range(3):
            one.put(one.key({"seed": seed}), {**ANSWER, "reached": REACHED}, LATER)
            os.utime(tmp_path / FOLDER / "v1" / f"{one.key({'seed': seed})}.json", (seed, seed))
        assert found(one, {"seed": 0}) is not None
        one.close()
        assert [found(one, {"seed": seed}) is not None for seed in range(3)] == [True, False, True]

    def test_clean_removes_caches_and_nothing_else(self, tmp_path: Path) -> None:
        for folder in ("project", "other"):
            (tmp_path / folder).mkdir()
        kept(tmp_path / "project", {})
        (tmp_path / "other" / FOLDER).mkdir()
        (tmp_path / "other" / FOLDER / "mine").write_text("")
        assert clean(tmp_path) == [tmp_path / "project" / FOLDER]
        assert not (tmp_path / "project" / FOLDER).exists()
        assert (tmp_path / "other" / FOLDER / "mine").exists()


NET = """\
import torch
from torch import nn
from size import WIDTH


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        y = x * self.weight
        return y
"""


@dataclass
class Project:
    """A class with a sibling that it imports, and a fix of it."""

    folder: Path
    starts: list[int] = field(default_factory=list)

    def verdict(self, text: str = "self.weight * x", **settings: Any) -> Verification:
        path = self.folder / "net.py"
        start = NET.index("x * self.weight")
        edits = EditSet({path: (Edit(start, start + len("x * self.weight"), text),)})
        contract = Contract(Promise.PRESERVES, (Subject(path, "Net"),))
        job = Job(contract, {path: Source.read(path)}, EditSet(), edits)
        given = {"steps": 2, "seeds": 1, "cache": self.folder / FOLDER, "python": Path(sys.executable)}
        with Verifier(VerifySettings(**{**given, **settings}), self.folder) as verifier:
            verification = verifier.verify(job)
            self.starts.append(int(verifier.started))
        return verification


@pytest.mark.slow
class TestVerifier:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        folder = tmp_path / "project"
        folder.mkdir()
        (folder / "net.py").write_text(NET)
        (folder / "size.py").write_text("WIDTH = 3\n")
        for file in folder.iterdir():
            os.utime(file, (1, 1))
        return Project(folder)

    def test_nothing_is_run_twice(self, project: Project) -> None:
        first, second = project.verdict(), project.verdict()
        assert first.verdict is Verdict.EQUIVALENT
        assert replace(second, evidence={**second.evidence, "cached": None}) == replace(
            first, evidence={**first.evidence, "cached": None}
        )
        assert "cached" not in first.evidence
        assert second.evidence["cached"] is True
        assert project.starts == [1, 0]

    def test_a_change_of_what_was_imported_is_seen(self, project: Project) -> None:
        project.verdict()
        (project.folder / "size.py").write_text("WIDTH = 4\n")
        assert "cached" not in project.verdict().evidence

    def test_a_change_behind_bytecode_is_seen(self, project: Project) -> None:
        compileall.compile_dir(project.folder, quiet=1)
        project.verdict()
        (project.folder / "size.py").write_text("WIDTH = 4\n")
        assert "cached" not in project.verdict().evidence

    def test_a_module_that_would_now_be_imported_instead_is_seen(self, project: Project) -> None:
        project.verdict()
        (project.folder / "size").mkdir()
        (project.folder / "size" / "__init__.py").write_text("WIDTH = 5\n")
        assert "cached" not in project.verdict().evidence

    def test_another_fix_and_other_settings_are_other_questions(self, project: Project) -> None:
        project.verdict()
        assert "cached" not in project.verdict("(x * self.weight)").evidence
        assert "cached" not in project.verdict(seed=1).evidence
        harness = HarnessConfig(f"{project.folder / 'net.py'}:Net", kwargs={})
        assert "cached" not in project.verdict(harnesses=(harness,)).evidence

    def test_no_folder_no_cache(self, project: Project) -> None:
        assert "cached" not in project.verdict(cache=None).evidence
        assert not (project.folder / FOLDER).exists()
        assert Device.CPU is VerifySettings().device

    def test_the_command_keeps_verdicts_unless_told_not_to(self, tmp_path: Path) -> None:
        folder = tmp_path / "project"
        shutil.copytree(Path(__file__).parent.parent / "golden/PRM301/only-method/before", folder)
        for file in folder.iterdir():
            os.utime(file, (1, 1))

        def run(*arguments: str) -> list[dict[str, Any]]:
            command = [sys.executable, "-m", "fixer", "verify", "--output-format=json", "--quiet", *arguments]
            done = subprocess.run([*command, "."], cwd=folder, capture_output=True, text=True, check=True)
            return [entry["verification"]["evidence"] for entry in json.loads(done.stdout)]

        assert "cached" not in run("--no-cache")[0]
        assert not (folder / FOLDER).exists()
        assert "cached" not in run()[0]
        assert run()[0]["cached"] is True
        assert "cached" not in run("--no-cache")[0]
        subprocess.run([sys.executable, "-m", "fixer", "clean"], cwd=folder, check=True)
        assert not (folder / FOLDER).exists()
