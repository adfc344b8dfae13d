"""What the worker is told, which Python it runs under, and what is said where it cannot run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fixer.contract import Contract, Projection, Promise, Region, Subject, Verdict, Wiring
from fixer.edits import Edit, EditSet
from fixer.source import Source
from fixer.verify import HarnessConfig, Job, Verifier, VerifySettings, interpreter
from fixer.verify.request import encode, import_roots
from tests.verify_support import interpreter as fake_python
from tests.verify_support import job

OLD_PYTHON = """exec {python} - "$@" <<'END'
import runpy, sys
sys.version_info = (3, 7, 9)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
END
"""


def made(folder: Path, *names: str) -> list[Path]:
    """Create empty files and return their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def request(
    folder: Path,
    data: bytes,
    after: tuple[Edit, ...],
    before: tuple[Edit, ...] = (),
    **contract: Any,
) -> dict[str, Any]:
    """Encode a job over one file; regions in the contract are of `folder / "net.py"`."""
    path = folder / "net.py"
    promised = Contract(Promise.PRESERVES, (Subject(path, "Net"),), **contract)
    edits = EditSet({path: before}), EditSet({path: before + after})
    return encode(Job(promised, {path: Source(path, data)}, *edits), VerifySettings(), folder)


def replaced(data: bytes, old: bytes, new: str) -> Edit:
    start = data.index(old)
    return Edit(start, start + len(old), new)


class TestInterpreter:
    """`interpreter.find`."""

    def test_ours_if_there_is_no_other(self, tmp_path: Path) -> None:
        assert interpreter.find(None, tmp_path, {}) == Path(sys.executable)

    @pytest.mark.parametrize("name", [".venv", "venv"])
    def test_the_projects_own(self, tmp_path: Path, name: str) -> None:
        (python,) = made(tmp_path, f"{name}/bin/python")
        assert interpreter.find(None, tmp_path, {}) == python

    def test_the_active_one_goes_before_the_projects(self, tmp_path: Path) -> None:
        _, active = made(tmp_path, ".venv/bin/python", "active/bin/python")
        assert interpreter.find(None, tmp_path, {"VIRTUAL_ENV": str(tmp_path / "active")}) == active

    def test_the_projects_goes_before_conda(self, tmp_path: Path) -> None:
        own, _ = made(tmp_path, ".venv/bin/python", "conda/bin/python")
        assert interpreter.find(None, tmp_path, {"CONDA_PREFIX": str(tmp_path / "conda")}) == own

    def test_an_environment_that_is_gone_is_passed_over(self, tmp_path: Path) -> None:
        found = interpreter.find(None, tmp_path, {"VIRTUAL_ENV": str(tmp_path / "gone")})
        assert found == Path(sys.executable)

    def test_the_one_asked_for_goes_first(self, tmp_path: Path) -> None:
        made(tmp_path, ".venv/bin/python")
        assert interpreter.find(Path(sys.executable), tmp_path, {}) == Path(sys.executable)

    def test_a_folder_stands_for_the_environment_in_it(self, tmp_path: Path) -> None:
        (python,) = made(tmp_path, "env/bin/python")
        assert interpreter.find(tmp_path / "env", tmp_path, {}) == python

    def test_a_link_is_not_resolved(self, tmp_path: Path) -> None:
        (tmp_path / "python").symlink_to(sys.executable)
        assert interpreter.find(tmp_path / "python", tmp_path, {}) == tmp_path / "python"

    def test_a_command_is_searched_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = fake_python(tmp_path, "true")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert interpreter.find(Path("python"), tmp_path, {}) == script


class TestRefusal:
    """Without a usable Python every job is unverified, for a reason that names the remedy."""

    @pytest.mark.parametrize(
        ("command", "reason"),
        [
            (
                "exec {python} -I -S $@",
                "it cannot import torch (ModuleNotFoundError: No module named 'torch')",
            ),
            ("echo broken >&2; exit 1", "does not start a worker (broken)"),
            ("exit 1", "does not start a worker (it ended without a word)"),
            ("echo these are not messages", "does not start a worker (it ended without a word)"),
            (OLD_PYTHON, "does not start a worker (Python 3.7 is older than 3.8)"),
            ("PYTHONPATH=$(dirname $0)/old exec {python} $@", "its torch 1.13.1+cpu is older than 2.0"),
            ("PYTHONPATH=$(dirname $0)/bad exec {python} $@", "it cannot import torch (OSError: libc10.so)"),
        ],
    )
    def test_the_reason(self, tmp_path: Path, command: str, reason: str) -> None:
        (old, bad, target) = made(tmp_path, "old/torch.py", "bad/torch.py", "net.py")
        old.write_text("__version__ = '1.13.1+cpu'")
        bad.write_text("raise OSError('libc10.so')")
        python = fake_python(tmp_path, command)
        with Verifier(VerifySettings(python=python), tmp_path) as verifier:
            verification = verifier.verify(job(target))
        assert verification.verdict is Verdict.UNVERIFIED
        assert verification.reason.startswith(str(python))
        assert reason in verification.reason
        assert ("pip install 'torch-fixer[verify]'" in verification.reason) == (
            "cannot" in reason or "older than 2" in reason
        )
        assert "--python" in verification.reason
        assert "\n" not in verification.reason

    def test_no_such_interpreter(self, tmp_path: Path) -> None:
        (target,) = made(tmp_path, "net.py")
        with Verifier(VerifySettings(python=tmp_path / "gone"), tmp_path) as verifier:
            reason = verifier.verify(job(target)).reason
        assert reason.startswith(f"{tmp_path}/gone does not start (No such file or directory); name a Python")

    def test_it_is_started_once(self, tmp_path: Path) -> None:
        (target,) = made(tmp_path, "net.py")
        python = fake_python(tmp_path, f"echo started >> {tmp_path}/log")
        with Verifier(VerifySettings(python=python), tmp_path) as verifier:
            reasons = {verifier.verify(job(target)).reason for _ in range(3)}
        assert len(reasons) == 1
        assert (tmp_path / "log").read_text() == "started\n"

    def test_it_is_not_started_without_a_job(self, tmp_path: Path) -> None:
        python = fake_python(tmp_path, f"echo started >> {tmp_path}/log")
        with Verifier(VerifySettings(python=python), tmp_path):
            pass
        assert not (tmp_path / "log").exists()

    def test_a_text_that_cannot_be_encoded_costs_its_own_verdict(self, tmp_path: Path) -> None:
        path = tmp_path / "net.py"
        source = Source(path, b"# coding: ascii\n")
        edits = EditSet({path: (Edit(16, 16, "\u2713"),)})
        verifier = Verifier(VerifySettings(), tmp_path)
        verification = verifier.verify(Job(Contract(Promise.PRESERVES, ()), {path: source}, EditSet(), edits))
        assert verification.verdict is Verdict.UNVERIFIED
        assert "cannot write" in verification.reason


class TestTexts:
    """The overlay, and regions as text."""

    def test_both_sides(self, tmp_path: Path) -> None:
        data = b"a = 1\nb = 2\nc = 3\n"
        before, after = replaced(data, b"1", "10"), replaced(data, b"3", "30")
        overlay = request(tmp_path, data, (after,), (before,))["overlay"]
        path = str(tmp_path / "net.py")
        assert overlay == {
            "before": {path: "a = 10\nb = 2\nc = 3\n"},
            "after": {path: "a = 10\nb = 2\nc = 30\n"},
        }

    def test_no_mark_and_the_files_own_newlines(self, tmp_path: Path) -> None:
        data = b"\xef\xbb\xbfa = 1\r\nb = 2\r\n"
        overlay = request(tmp_path, data, (replaced(data, b"b = 2", "b = 2\nc = 3"),))["overlay"]
        assert overlay["after"] == {str(tmp_path / "net.py"): "a = 1\r\nb = 2\r\nc = 3\r\n"}

    def test_paths_are_absolute_and_not_resolved(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "link").symlink_to(tmp_path)
        monkeypatch.chdir(tmp_path)
        sent = request(Path("link"), b"", ())
        assert list(sent["overlay"]["before"]) == [f"{tmp_path}/link/net.py"]
        assert sent["contract"]["subjects"][0]["path"] == f"{tmp_path}/link/net.py"

    def test_the_authors_statements_are_sent_as_they_are(self, tmp_path: Path) -> None:
        projection = Projection(tmp_path / "net.py", "Net", ("if x:\n    self.clip()",))
        sent = request(tmp_path, b"", (), projection=projection)["contract"]["projection"]
        assert sent["statements"] == ["if x:\n    self.clip()"]
        assert sent["method"] == "project_parameters"
        assert sent["exact"] is True

    @pytest.mark.parametrize(
        "data", [b"x = 1; opt = SGD()\n", b"\xef\xbb\xbfopt = SGD()\n", b"\topt = SGD()\r\n"]
    )
    def test_a_region_starts_with_its_statement(self, tmp_path: Path, data: bytes) -> None:
        start = data.index(b"opt")
        assert sent_wiring(tmp_path, data, start, start + 11)["before"] == "opt = SGD()"

    def test_a_string_that_is_indented_less_stays(self, tmp_path: Path) -> None:
        data = b"if 1:\n    opt = SGD('''\n  a\n    b''')\n"
        start = data.index(b"opt")
        assert sent_wiring(tmp_path, data, start, len(data))["before"] == "opt = SGD('''\n  a\nb''')"

    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    def test_what_a_fix_inserts_at_the_borders_belongs_to_the_region(
        self, tmp_path: Path, newline: str
    ) -> None:
        data = newline.join(["def f():", "    opt = SGD()", "    go()", ""]).encode()
        start = data.index(b"opt")
        end = start + len(b"opt = SGD()")
        edits = (Edit(start, start, "a = 1\n    "), Edit(end, end, "\n    opt.register()"))
        sent = sent_wiring(tmp_path, data, start, end, *edits)
        assert sent["before"] == "opt = SGD()"
        assert sent["after"] == "a = 1\nopt = SGD()\nopt.register()"

    def test_a_region_follows_the_edits_before_it(self, tmp_path: Path) -> None:
        data = b"import torch\nopt = SGD()\n"
        sent = sent_wiring(tmp_path, data, 13, 24, Edit(0, 0, "import os\n"), Edit(24, 24, "\nopt.go()"))
        assert (sent["before"], sent["after"]) == ("opt = SGD()", "opt = SGD()\nopt.go()")


def sent_wiring(folder: Path, data: bytes, start: int, end: int, *edits: Edit) -> Mapping[str, Any]:
    """The wiring of a region as it is sent."""
    wiring = Wiring(Region(folder / "net.py", start, end), "construction", "net", None, "opt", "f")
    sent: list[Mapping[str, Any]] = request(folder, data, edits, wiring=(wiring,))["contract"]["wiring"]
    assert len(sent) == 1
    assert sent[0]["model_class"] is None
    return sent[0]


class TestLines:
    """Lines that the fix touches, and where the symptom has to show."""

    DATA = b"a = 1\nb = 2\nc = 3\nd = 4\n"

    def lines(self, folder: Path, *after: Edit, before: tuple[Edit, ...] = ()) -> list[Any]:
        changed = request(folder, self.DATA, after, before)["contract"]["changed_lines"]
        return [changed[side].get(str(folder / "net.py")) for side in ("before", "after")]

    def test_nothing(self, tmp_path: Path) -> None:
        assert self.lines(tmp_path) == [None, None]

    def test_a_replacement_is_on_both_sides(self, tmp_path: Path) -> None:
        edit = replaced(self.DATA, b"b = 2", "b = 20\nb = 21")
        assert self.lines(tmp_path, edit) == [[[2, 2]], [[2, 3]]]

    def test_an_insertion_is_on_one_side_and_without_its_neighbours(self, tmp_path: Path) -> None:
        assert self.lines(tmp_path, Edit(11, 11, "\nx = 1\ny = 2")) == [None, [[3, 4]]]
        assert self.lines(tmp_path, Edit(12, 12, "x = 1\ny = 2\n")) == [None, [[3, 4]]]

    def test_a_deletion_is_on_the_other_side(self, tmp_path: Path) -> None:
        assert self.lines(tmp_path, replaced(self.DATA, b"b = 2\nc = 3\n", "")) == [[[2, 3]], None]

    def test_what_others_changed_is_not_counted_but_moves_lines(self, tmp_path: Path) -> None:
        others = (Edit(0, 0, "import os\n"), replaced(self.DATA, b"d = 4", "d = 40"))
        edit = replaced(self.DATA, b"c = 3", "c = 30")
        assert self.lines(tmp_path, edit, before=others) == [[[4, 4]], [[4, 4]]]

    def test_neighbours_are_joined(self, tmp_path: Path) -> None:
        edits = replaced(self.DATA, b"a = 1", "a = 2"), replaced(self.DATA, b"b = 2", "b = 3")
        assert self.lines(tmp_path, *edits) == [[[1, 2]], [[1, 2]]]

    def test_the_symptom_is_followed(self, tmp_path: Path) -> None:
        region = Region(tmp_path / "net.py", 6, 11)
        edits = (Edit(0, 0, "import os\n"), replaced(self.DATA, b"b = 2", "b = 20\nb = 21"))
        contract = request(tmp_path, self.DATA, edits, symptom="TypeError", symptom_region=region)["contract"]
        path = str(tmp_path / "net.py")
        assert contract["symptom_lines"] == {"path": path, "before": [2, 2], "after": [3, 4]}

    def test_a_symptom_that_is_deleted_is_nowhere_after_it(self, tmp_path: Path) -> None:
        region = Region(tmp_path / "net.py", 6, 11)
        contract = request(tmp_path, self.DATA, (Edit(6, 12, ""),), symptom_region=region)["contract"]
        assert contract["symptom_lines"]["after"] is None


class TestRoots:
    """`import_roots`."""

    def test_a_file_outside_packages_imports_from_its_folder(self, tmp_path: Path) -> None:
        front, behind = import_roots(made(tmp_path, "scripts/train.py"), tmp_path)
        assert front == [str(tmp_path / "scripts"), str(tmp_path), str(tmp_path / "src")]
        assert behind == []

    def test_a_file_inside_packages_imports_from_above_them(self, tmp_path: Path) -> None:
        _, _, net = made(tmp_path, "lib/a/__init__.py", "lib/a/b/__init__.py", "lib/a/b/net.py")
        front, behind = import_roots([net], tmp_path)
        assert front[0] == str(tmp_path / "lib")
        assert behind == [str(tmp_path / "lib/a/b")]

    def test_each_folder_once_and_the_configured_ones_last(self, tmp_path: Path) -> None:
        files = made(tmp_path, "a.py", "b.py")
        assert import_roots(files, tmp_path, [tmp_path / "extra"])[0] == [
            str(tmp_path),
            str(tmp_path / "src"),
            str(tmp_path / "extra"),
        ]


class TestHarnessConfig:
    """`HarnessConfig.parse`."""

    def test_paths_are_relative_to_the_configuration(self, tmp_path: Path) -> None:
        table = {"target": "pkg/net.py:Gate", "factory": "tests/harness.py:make"}
        config = HarnessConfig.parse(table, tmp_path)
        assert config.target == f"{tmp_path}/pkg/net.py:Gate"
        assert config.factory == f"{tmp_path}/tests/harness.py:make"

    def test_modules_and_arguments(self, tmp_path: Path) -> None:
        table = {"target": "pkg.net:Gate", "args": [3], "kwargs": {"lo": 0}, "inputs": [{"shape": [2, 3]}]}
        expected = HarnessConfig("pkg.net:Gate", None, (3,), {"lo": 0}, ({"shape": [2, 3]},))
        assert HarnessConfig.parse(table, tmp_path) == expected

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ({}, "`target` must be a string"),
            ({"target": 3}, "`target` must be a string"),
            ({"target": "net.py"}, "`target` must be a string"),
            ({"target": "net.py:"}, "`target` must be a string"),
            ({"target": "a:B", "factory": "x.py"}, "`factory` must be a string"),
            ({"target": "a:B", "inptus": []}, "unknown key 'inptus'"),
            ({"target": "a:B", "args": 3}, "`args` must be an array"),
            ({"target": "a:B", "kwargs": []}, "`kwargs` must be a table"),
            ({"target": "a:B", "inputs": [3]}, "`inputs` must be an array of tables"),
            ({"target": "a:B", "factory": "c:d", "args": []}, "either `factory`, or `args`"),
        ],
    )
    def test_mistakes_are_named(self, tmp_path: Path, table: Mapping[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            HarnessConfig.parse(table, tmp_path)
