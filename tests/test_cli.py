"""The command line as users run it: what it prints, writes and answers."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import Cli, net

OFF = "--verify=off"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


# check


def test_clean_project(cli: Cli) -> None:
    cli.file("net.py", net("x"))
    result = cli("check")
    assert (result.code, result.out) == (0, "")
    assert result.err == "Nothing found in 1 file.\n"


def test_check_reports_and_writes_nothing(cli: Cli) -> None:
    path = cli.file("net.py", net("x * 2.0"))
    before = path.read_bytes()
    result = cli("check")
    assert result.code == 1
    assert result.out.startswith("net.py:11:16: TOY101 double [*] `x * 2.0` is odd\n")
    assert "fixer apply" in result.err
    assert path.read_bytes() == before


def test_quiet_prints_the_report_alone(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0"))
    result = cli("check", "--quiet", "--output-format=concise")
    assert (len(result.out.splitlines()), result.err) == (1, "")


@pytest.mark.parametrize("style", ["json", "sarif", "gitlab"])
def test_standard_output_is_the_report_alone(cli: Cli, style: str) -> None:
    cli.file("net.py", net("x * 2.0"))
    json.loads(cli("check", "--output-format", style).out)


def test_output_file(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0"))
    result = cli("check", "--output-format=json", "--output-file=out.json")
    assert (result.code, result.out) == (1, "")
    assert json.loads((cli.folder / "out.json").read_text())[0]["code"] == "TOY101"


def test_select_and_ignore(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0 + x * 3.0 + x * 5.0"))
    codes = [
        line.split()[1]
        for line in cli(
            "check", "--select=TOY", "--ignore=triple", "-q", "--output-format=concise"
        ).out.splitlines()
    ]
    assert codes == ["TOY101", "TOY104"]


def test_configuration_is_read_and_overridden(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0"))
    cli.file("pyproject.toml", '[tool.fixer]\nignore = ["TOY101"]\noutput-format = "concise"\n')
    assert cli("check").code == 0
    result = cli("check", "--select=TOY101")
    assert (result.code, len(result.out.splitlines())) == (1, 1)


def test_suppressed_finding(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0  # fixer: ignore[TOY101]"))
    assert cli("check", "--select=TOY").code == 0


def test_check_standard_input(cli: Cli) -> None:
    result = cli("check", "-", "--stdin-filename=sub/net.py", stdin=net("x * 2.0"))
    assert result.code == 1
    assert result.out.startswith("sub/net.py:11:16: TOY101")


# apply


def test_apply_writes(cli: Cli) -> None:
    path = cli.file("net.py", net("x * 2.0"))
    result = cli("apply", OFF)
    assert result.code == 0
    assert path.read_text() == net("x + x")
    assert "[fixed]" in result.out
    assert "NOT VERIFIED" in result.err
    again = cli("apply", OFF)
    assert (again.code, again.out) == (0, "")


def test_apply_leaves_unsafe_fixes_and_says_so(cli: Cli) -> None:
    path = cli.file("net.py", net("x * 4.0"))
    result = cli("apply", OFF)
    assert result.code == 1
    assert path.read_text() == net("x * 4.0")
    assert "--unsafe-fixes" in result.err
    assert cli("apply", OFF, "--unsafe-fixes").code == 0
    assert path.read_text() == net("x + x + x + x")


def test_apply_reports_what_has_no_fix(cli: Cli) -> None:
    cli.file("net.py", net("x * 5.0"))
    result = cli("apply", OFF)
    assert result.code == 1
    assert "1 without a fix" in result.err


@pytest.mark.parametrize("option", ["--dry-run", "--diff"])
def test_dry_run_prints_a_diff_and_writes_nothing(cli: Cli, option: str) -> None:
    text = "# coding: latin-1\r\n" + net("x * 2.0  # é").replace("\n", "\r\n").rstrip()
    path = cli.file("net.py", text.encode("latin-1"))
    result = cli("apply", OFF, option)
    assert result.code == 0
    assert path.read_bytes() == text.encode("latin-1")
    assert "would be fixed" in result.err
    assert b"\xe9" in result.raw
    subprocess.run(
        ["git", "apply"], cwd=cli.folder, input=result.raw, check=True, env={**os.environ, "GIT_DIR": "/x"}
    )
    assert path.read_bytes() == text.replace("x * 2.0", "x + x").encode("latin-1")


def test_dry_run_as_json(cli: Cli) -> None:
    path = cli.file("net.py", net("x * 2.0"))
    (entry,) = json.loads(cli("apply", OFF, "--dry-run", "--output-format=json").out)
    assert entry["status"] == "fixed"
    assert path.read_text() == net("x * 2.0")


def test_apply_standard_input(cli: Cli) -> None:
    result = cli("apply", "-", OFF, "--stdin-filename=net.py", stdin=net("x * 2.0"))
    assert (result.code, result.out) == (0, net("x + x"))
    assert "[fixed]" in result.err
    assert list(cli.folder.iterdir()) == []


def test_apply_standard_input_with_nothing_to_do_echoes_every_byte(cli: Cli) -> None:
    data = b"\xef\xbb\xbfx = 1\r\ny = '\xc3\xa9'"
    assert cli("apply", "-", OFF, stdin=data).raw == data


def test_apply_standard_input_that_is_not_python_echoes_it(cli: Cli) -> None:
    result = cli("apply", "-", OFF, stdin=b"def (\n")
    assert (result.code, result.raw) == (2, b"def (\n")
    assert "stdin.py:1: not valid Python" in result.err


# verification


def test_apply_verifies(cli: Cli) -> None:
    right = cli.file("right.py", net("x * 2.0"))
    wrong = cli.file("wrong.py", net("x * 3.0"))
    result = cli("apply", "--output-format=json")
    assert result.code == 1
    assert right.read_text() == net("x + x")
    assert wrong.read_text() == net("x * 3.0")
    fixed, refuted = json.loads(result.out)
    assert (fixed["status"], fixed["verification"]["verdict"]) == ("fixed", "equivalent")
    assert (refuted["status"], refuted["verification"]["verdict"]) == ("refuted", "refuted")
    assert refuted["verification"]["evidence"]["counterexample"]


def test_verify_gives_verdicts_and_writes_nothing(cli: Cli) -> None:
    path = cli.file("net.py", net("x * 2.0"))
    result = cli("verify")
    assert result.code == 0
    assert "verified: equivalent" in result.out
    assert path.read_text() == net("x * 2.0")


def test_unproven_fix_is_left_and_written_only_with_a_warning(cli: Cli) -> None:
    path = cli.file("net.py", net("missing(x * 2.0)"))
    assert cli("apply").code == 1
    assert cli("apply", "--verify=require", "--unsafe-fixes").code == 1
    assert path.read_text() == net("missing(x * 2.0)")
    result = cli("apply", "--unsafe-fixes")
    assert result.code == 0
    assert "WRITTEN UNPROVEN" in result.out
    assert "NOT VERIFIED" in result.err


def test_check_with_verify_on_the_command_line_shows_verdicts(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0"))
    (entry,) = json.loads(cli("check", "--verify=auto", "--output-format=json").out)
    assert entry["verification"]["verdict"] == "equivalent"


# catalogue and start-up


def test_rules(cli: Cli) -> None:
    assert "TOY101  double" in cli("rules").out
    listed = {rule["code"]: rule for rule in json.loads(cli("rules", "--output-format=json").out)}
    assert listed["TOY103"]["applicability"] == "unsafe"


@pytest.mark.parametrize("word", ["TOY101", "toy101", "double"])
def test_explain(cli: Cli, word: str) -> None:
    result = cli("explain", word)
    assert (result.code, result.out.splitlines()[0]) == (0, "# toys")


def test_explain_unknown_rule(cli: Cli) -> None:
    result = cli("explain", "duoble")
    assert result.code == 2
    assert "did you mean 'double'?" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_start_up_imports_little(cli: Cli, option: str) -> None:
    imported = imported_by(cli, option)
    for heavy in ("libcst", "torch", "rich", "fixer.facts", "fixer_codemods", "toy_rules"):
        assert heavy not in imported


@pytest.mark.parametrize("expression", ["x", "x * 2.0"])
def test_check_does_not_import_torch(cli: Cli, expression: str) -> None:
    cli.file("net.py", net(expression))
    assert "torch" not in imported_by(cli, "check")


def imported_by(cli: Cli, *arguments: str) -> set[str]:
    """The modules that the command has loaded when it is done."""
    code = (
        "import sys\n"
        f"sys.argv = ['fixer', *{arguments!r}]\n"
        "from fixer.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    print('modules:', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cli.folder,
        capture_output=True,
        check=True,
        env=cli.environment(),
        text=True,
    )
    return set(done.stdout.rpartition("modules:")[2].split())


# terminals, pipes, interrupts


def on_terminal(cli: Cli, *arguments: str, **environment: str) -> str:
    """What the command prints on a terminal."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fixer", *arguments],
        cwd=cli.folder,
        stdin=child,
        stdout=child,
        stderr=child,
        env=cli.environment(TERM="xterm", **environment),
    )
    os.close(child)
    printed = b""
    try:
        while piece := os.read(parent, 65536):
            printed += piece
    except OSError:  # Linux ends a terminal so
        pass
    process.wait(timeout=60)
    os.close(parent)
    return printed.decode()


def test_terminal_has_colour_unless_refused(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0"))
    assert "\x1b[1;31mTOY101\x1b[0m" in on_terminal(cli, "check")
    assert "\x1b[1;31m" not in on_terminal(cli, "check", NO_COLOR="1")


def test_pipe_has_colour_only_if_forced(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0"))
    assert "\x1b[" not in cli("check").out
    assert "\x1b[" in cli("check", FORCE_COLOR="1").out


def test_lines_fit_the_terminal(cli: Cli) -> None:
    cli.file("net.py", net("x * 2.0 + " + " + ".join(["x"] * 60)))
    printed = on_terminal(cli, "check", COLUMNS="60", NO_COLOR="1")
    excerpt = [line for line in printed.splitlines() if line.startswith("11 |")]
    assert excerpt
    assert all(len(line) <= 60 for line in excerpt)


def test_closed_pipe_is_quiet(cli: Cli) -> None:
    for number in range(40):
        cli.file(f"net{number}.py", net(" + ".join(["x * 2.0"] * 40)))
    process = subprocess.Popen(
        [sys.executable, "-m", "fixer", "check"],
        cwd=cli.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=cli.environment(),
    )
    assert process.stdout
    assert process.stderr
    process.stdout.read(10)
    process.stdout.close()
    errors = process.stderr.read().decode()
    assert process.wait(timeout=60) == 1
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors
    process.stderr.close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_interrupt_is_one_line_and_writes_nothing(cli: Cli, number: signal.Signals, code: int) -> None:
    path = cli.file("net.py", net("x * 2.0  # slow"))
    marker = cli.folder / "at-work"
    process = subprocess.Popen(
        [sys.executable, "-m", "fixer", "apply"],
        cwd=cli.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=cli.environment(TOY_MARKER=str(marker)),
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # under nohup it would be ignored
    )
    while not marker.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert (out, err) == (b"", b"fixer: interrupted; every file is whole\n")
    assert path.read_text() == net("x * 2.0  # slow")
