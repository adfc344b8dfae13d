"""Bad input: one clear line that names the file and the remedy; everything else is still done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import Cli, net


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path)
    cli.file("good.py", net("x * 2.0"))
    return cli


BAD_FILES = {
    "syntax": b"def (\n",
    "tabs": b"if x:\n\ty = 1\n        z = 2\n",
    "null": b"x = 1\n\x00\n",
    "not-utf-8": b"x = '\xff'\n",
    "utf-16": "x = 1".encode("utf-16"),
    "encoding": b"# coding: klingon\nx = 1\n",
    "binary": bytes(range(256)) * 10,
    "python-2": b"print 'hello'\n",
    "deep": b"(" * 10000 + b")" * 10000,
    "chain": b"x" + b".y" * 5000,
    "merge-conflict": b"<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> other\n",
    "surrogate": b"x = '\xed\xa0\x80'\n",
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_costs_one_line(cli: Cli, kind: str) -> None:
    data = BAD_FILES[kind] + b"\n# x * 2.0\n"
    bad = cli.file("bad.py", data)
    result = cli("apply", "--verify=off", "--output-format=concise")
    assert result.code == 2
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("fixer: bad.py")
    assert ";" in lines[0], "a line says what to do"
    assert bad.read_bytes() == data
    assert (cli.folder / "good.py").read_text() == net("x + x")


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b"# only a comment", b"\x0c\n", b"x = 1\r"])
def test_odd_but_valid_files(cli: Cli, data: bytes) -> None:
    path = cli.file("odd.py", data)
    assert cli("apply", "--verify=off").code == 0
    assert path.read_bytes() == data


def test_missing_path(cli: Cli) -> None:
    result = cli("check", "good.py", "missing.py", "-q")
    assert result.code == 2
    assert result.err == "fixer: missing.py: there is no such file; check the path\n"
    assert "good.py" in result.out


def test_pipe_folder_and_link_loop(cli: Cli) -> None:
    os.mkfifo(cli.folder / "fifo.py")
    (cli.folder / "loop.py").symlink_to("loop.py")
    result = cli("check", "fifo.py", "loop.py", "good.py", "-q")
    assert result.code == 2
    assert sorted(line.split(":")[1] for line in result.err.splitlines()) == [" fifo.py", " loop.py"]
    assert "good.py" in result.out


def test_named_file_that_may_not_be_read(cli: Cli) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    cli.file("secret.py", "x = 1\n").chmod(0)
    result = cli("check", "secret.py", "good.py", "-q")
    assert (result.code, "good.py" in result.out) == (2, True)
    assert result.err == "fixer: secret.py: permission denied; change its permissions or exclude it\n"


def test_unreadable_and_unwritable_files(cli: Cli) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read and write everything")
    cli.file("secret.py", net("x * 2.0")).chmod(0)
    cli.file("fixed.py", net("x * 2.0")).chmod(0o444)
    result = cli("apply", "--verify=off", "-q")
    assert result.code == 2
    assert "secret.py: permission denied" in result.err
    assert "fixed.py: is read-only" in result.err
    assert (cli.folder / "good.py").read_text() == net("x + x")


def test_read_only_file_is_left_and_others_are_written(cli: Cli) -> None:
    locked = cli.file("locked.py", net("x * 2.0"))
    locked.chmod(0o444)
    result = cli("apply", "--verify=off", "-q", "--output-format=concise")
    assert result.code == 2
    assert "locked.py: is read-only; make it writable or exclude it" in result.err
    assert locked.read_text() == net("x * 2.0")
    assert "good.py:11:16: TOY101 double [fixed]" in result.out
    assert "locked.py:11:16: TOY101 double `x" in result.out


def test_defect_of_a_rule_costs_one_line(cli: Cli) -> None:
    cli.file("crash.py", net("x * 2.0  # crash"))
    result = cli("check", "-q", "--output-format=concise")
    assert result.code == 2
    assert "internal error in TOY105" in result.err
    assert "please report" in result.err
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["crash.py", "good.py"]


BAD_CONFIGURATIONS = {
    "[tool.fixer": "not valid TOML",
    "[tool.fixer]\nselct = []\n": "select",
    "[tool.fixer]\nselect = 3\n": "select",
    '[tool.fixer]\nselect = ["NOPE"]\n': "NOPE",
    '[tool.fixer]\nverify = "maybe"\n': "maybe",
    '[tool.fixer]\noutput-format = "xml"\n': "xml",
    "[[tool.fixer.verify.harness]]\nfactory = 'x'\n": "target",
}


@pytest.mark.parametrize("text", BAD_CONFIGURATIONS)
def test_bad_configuration_is_one_line(cli: Cli, text: str) -> None:
    cli.file("pyproject.toml", text)
    result = cli("check")
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert "pyproject.toml" in line
    assert BAD_CONFIGURATIONS[text] in line


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["check", "--select=NOPE"], "fixer rules"),
        (["check", "--select=duoble"], "did you mean 'double'"),
        (["check", "--select="], "a rule is empty"),
        (["check", "--select=TOY101,"], "a rule is empty"),
        (["check", "--config=missing.toml"], "missing.toml"),
        (["check", "--config=."], "name a file"),
        (["check", "-", "good.py"], "stands alone"),
        (["check", "--stdin-filename=x.py"], "`-`"),
        (["check", "--output-file=missing/report.txt"], "cannot be written"),
        (["check", "--output-file=."], "cannot be written"),
        (["verify", "--verify=off"], "fixer check"),
        (["explain", "NOPE"], "fixer rules"),
    ],
)
def test_bad_arguments_are_one_line(cli: Cli, arguments: list[str], hint: str) -> None:
    result = cli(*arguments)
    assert result.code == 2
    assert result.err.count("fixer: ") == 1
    assert hint in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["chekc"],
        ["check", "--slect=X"],
        ["check", "--output-format=xml"],
        ["check", "--jobs=0"],
        ["rules", "--output-format=xml"],
        ["explain"],
    ],
)
def test_usage_errors_exit_with_2(cli: Cli, arguments: list[str]) -> None:
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Usage" in result.err


@pytest.mark.parametrize("python", ["/nowhere/python", "no-such-python", ".", "good.py", ""])
@pytest.mark.parametrize("command", ["apply", "verify"])
def test_interpreter_that_does_not_exist(cli: Cli, command: str, python: str) -> None:
    result = cli(command, "--python", python)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert "--python" in line
    assert "name a Python that has torch" in line
    assert (cli.folder / "good.py").read_text() == net("x * 2.0")


def test_interpreter_that_nobody_needs_may_be_missing(cli: Cli) -> None:
    assert cli("check", "--python=/nowhere/python").code == 1
    assert cli("apply", "--python=/nowhere/python", "--verify=off").code == 0


def test_configured_interpreter_that_does_not_exist_leaves_the_fix_unproven(cli: Cli) -> None:
    cli.file("pyproject.toml", "[tool.fixer]\npython = '.venv'\n")
    assert cli("check").code == 1
    result = cli("apply", "--output-format=concise")
    assert result.code == 1
    assert "1 unproven" in result.err
    assert (cli.folder / "good.py").read_text() == net("x * 2.0")


@pytest.mark.parametrize("option", ["--output-file=missing/report.txt", "--output-file=."])
def test_report_that_cannot_be_put_down_stops_before_anything_is_written(cli: Cli, option: str) -> None:
    assert cli("apply", "--verify=off", option).code == 2
    assert (cli.folder / "good.py").read_text() == net("x * 2.0")


def test_empty_path_does_not_stand_for_the_whole_folder(cli: Cli) -> None:
    result = cli("apply", "--verify=off", "")
    assert result.code == 2
    assert "a path is empty" in result.err
    assert (cli.folder / "good.py").read_text() == net("x * 2.0")


def test_names_cannot_drive_the_terminal_or_break_the_line(cli: Cli) -> None:
    cli.file("a\nb\x1b[31m.py", "def (\n")
    result = cli("check", "-q")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(r"fixer: a\nb\x1b[31m.py:1: ")


def test_expression_too_long_for_a_rule_costs_one_line(cli: Cli) -> None:
    cli.file("long.py", net("x * 2.0  # crash, endless"))
    result = cli("check", "-q", "--output-format=concise")
    assert result.code == 2
    assert "fixer: long.py: has an expression too deep or too long for TOY105; split it" in result.err
    assert "good.py:11:16: TOY101" in result.out


def test_working_folder_that_is_gone(cli: Cli) -> None:
    gone = cli.folder / "gone"
    code = "import os; os.rmdir(os.getcwd()); from fixer.cli import main; main()"
    gone.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, "check"], cwd=gone, capture_output=True, env=cli.environment(), text=True
    )
    assert done.returncode == 2
    assert done.stderr == "fixer: the working folder is gone (No such file or directory); change to another\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only where there is a device that is always full")
def test_standard_output_that_takes_nothing(cli: Cli) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fixer", "check", "-q"],
            cwd=cli.folder,
            env=cli.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == "fixer: standard output cannot be written (No space left on device)\n"


@pytest.mark.parametrize(("closed", "code"), [(0, 1), (1, 1), (2, 1)])
def test_closed_streams(cli: Cli, closed: int, code: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m fixer check {closed}>&-', sys.executable],
        cwd=cli.folder,
        capture_output=True,
        env=cli.environment(),
        text=True,
    )
    assert done.returncode == code
    assert "error" not in done.stderr


# What a run was about


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["check", "empty"],
            0,
            "No Python files found; check the paths, `include`, `exclude` and .gitignore.",
        ),
        (
            ["apply", "empty"],
            0,
            "No Python files found; check the paths, `include`, `exclude` and .gitignore.",
        ),
        (["check", "gone.py"], 2, "No file could be looked at. 1 error, see above."),
        (["check", "bad.py"], 2, "No file could be looked at. 1 error, see above."),
        (["check", "--ignore=ALL", "clean.py"], 0, "No rule ran: those that are selected are ignored."),
        (["check", "clean.py", "bad.py"], 2, "Nothing found in 1 file. 1 error, see above."),
        (
            ["check", "--select=TOY101", "."],
            2,
            "Found 1 finding in 1 of 2 files. [*] `fixer apply` would verify and fix 1. 1 error, see above.",
        ),
    ],
)
def test_last_line_tells_clean_from_not_looked_at(
    cli: Cli, arguments: list[str], code: int, sentence: str
) -> None:
    (cli.folder / "empty").mkdir()
    cli.file("bad.py", "def (\n")
    cli.file("clean.py", "x = 1\n")
    result = cli(*arguments)
    assert result.code == code
    assert result.err.splitlines()[-1] == sentence


def test_plug_in_that_does_not_import(cli: Cli) -> None:
    (cli.plugin / "toys-1.0.dist-info" / "entry_points.txt").write_text("[fixer.codemods]\ntoys = no_such\n")
    result = cli("check")
    (line,) = result.err.splitlines()
    assert result.code == 2
    assert "toys" in line


def test_names_that_are_not_utf_8(cli: Cli) -> None:
    name = os.fsdecode(b"caf\xe9.py")
    (cli.folder / name).write_bytes(net("x * 2.0").encode())
    for style in ("full", "json", "sarif", "github", "gitlab", "junit"):
        result = cli("check", "--output-format", style, "-q")
        assert (result.code, result.err) == (1, "")
    cli("apply", "--verify=off", "--dry-run")
    assert cli("apply", "--verify=off").code == 0


def test_terminal_that_knows_only_ascii(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0 + '日本'"))
    result = cli.process(
        "check", "-q", PYTHONUTF8="0", PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONCOERCECLOCALE="0"
    )
    assert result.code == 1
    assert result.raw.isascii()
