"""What people read."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from fixer.contract import Verdict, Verification
from fixer.edits import Edit, EditSet
from fixer.outcome import Status
from fixer.report import Format, render
from fixer.report.evidence import summary
from fixer.rule import Applicability
from tests.reports import outcome, report

WIDE = "x = '日本'; bad = 1\n"


def full(*outcomes: object, **given: object) -> str:
    return render(report(*outcomes), Format.FULL, **given)  # type: ignore[arg-type]


def test_nothing_found_prints_nothing() -> None:
    assert full() == ""


def test_block() -> None:
    assert full(outcome("a = 1\nbad = 2\nc = 3\n", help="Think.")) == (
        "net.py:2:1: AAA001 bad-word [*] `bad` is wrong\n"
        "  |\n"
        "1 | a = 1\n"
        "2 | bad = 2\n"
        "  | ^^^\n"
        "3 | c = 3\n"
        "  |\n"
        "  = help: Think.\n"
        "  = fix: Write `good` (safe)\n"
        "\n"
    )


def test_concise() -> None:
    text = render(report(outcome("bad = 2\n")), Format.CONCISE)
    assert text == "net.py:1:1: AAA001 bad-word [*] `bad` is wrong\n"


def test_unsafe_fix_has_no_star_until_it_is_allowed() -> None:
    found = outcome("bad = 2\n", applicability=Applicability.UNSAFE)
    assert "[*]" not in render(report(found), Format.CONCISE)
    assert "[*]" in render(report(found, unsafe_fixes=True), Format.CONCISE)


@pytest.mark.parametrize("applicability", Applicability)
def test_applicability_is_named(applicability: Applicability) -> None:
    assert f"({applicability.value})" in full(outcome("bad = 2\n", applicability=applicability))


def test_carets_below_wide_characters_and_tabs() -> None:
    lines = full(outcome(WIDE)).splitlines()
    assert lines[3] == "  |" + " " * 13 + "^^^"
    lines = full(outcome("if x:\n\tbad = 1\n")).splitlines()
    assert lines[3:5] == ["2 |     bad = 1", "  |     ^^^"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = full(outcome("bad = '\x1b[31m\u202e'\n"))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_several_lines_have_a_bar() -> None:
    lines = full(outcome("x = 1\nbad(\n  1,\n)\ny = 2\n", until=")")).splitlines()
    assert lines[1:8] == ["  |", "1 |   x = 1", "2 | | bad(", "3 | |   1,", "4 | | )", "5 |   y = 2", "  |"]


def test_middle_of_a_tall_span_is_left_out() -> None:
    text = full(outcome("bad(\n" + "  1,\n" * 40 + ")\n", until=")"))
    assert "..." in text
    assert len(text.splitlines()) < 14


@pytest.mark.parametrize("width", [40, 80, 120])
def test_long_line_keeps_the_span_in_sight(width: int) -> None:
    lines = full(outcome("a" * 300 + " = bad, " + "b" * 300 + "\n"), width=width).splitlines()
    line, carets = next(pair for pair in pairwise(lines) if "^" in pair[1])
    assert line[carets.index("^") :].startswith("bad")
    assert max(len(line), len(carets)) <= width


def test_long_wide_line_is_cut_at_whole_characters() -> None:
    text = full(outcome("x = '" + "日" * 200 + "'; bad = '" + "本" * 200 + "'\n"), width=60)
    line, carets = text.splitlines()[2:4]
    before = line[: line.index("bad")]
    assert carets.index("^") == len(before) + sum(character in "日本" for character in before)


def test_long_message_goes_on_below_itself() -> None:
    found = outcome("bad\n")
    found = replace(found, finding=replace(found.finding, message="think " * 30))
    lines = full(found, width=70).splitlines()
    assert lines[0].startswith("net.py:1:1: AAA001 bad-word [*] think think")
    assert lines[1].startswith("    think")
    assert all(len(line) <= 70 for line in lines)
    assert len(full(found).splitlines()[0]) > 150


def test_message_goes_below_where_a_long_name_leaves_no_room() -> None:
    lines = full(outcome("bad\n", name="a/long/name/of/a/file/in/some/folder.py"), width=60).splitlines()
    assert lines[0] == "a/long/name/of/a/file/in/some/folder.py:1:1: AAA001 bad-word [*]"
    assert lines[1] == "    `bad` is wrong"


def test_mark_is_for_fixes_that_would_be_written() -> None:
    for verdict, marked in (
        (Verdict.EQUIVALENT, True),
        (Verdict.UNVERIFIED, False),
        (Verdict.REFUTED, False),
    ):
        text = full(outcome("bad\n", verification=Verification(verdict, "so")))
        assert ("[*]" in text) == marked


def test_notes_wrap_below_themselves() -> None:
    lines = full(outcome("bad\n", help="think " * 40), width=60).splitlines()
    notes = [line for line in lines if "think" in line]
    assert len(notes) > 2
    assert all(len(line) <= 60 for line in notes)
    assert notes[1].startswith(" " * len("  = help: ") + "think")


def test_colour_only_where_asked() -> None:
    assert "\x1b[" not in full(outcome("bad\n"))
    assert "\x1b[" in full(outcome("bad\n"), colour=True)


def test_other_files_of_a_fix_are_named() -> None:
    found = outcome("bad\n", also={"train.py": "x = 1\n"})
    assert "Write `good` (safe; also changes train.py)" in full(found)


def test_alternatives_are_listed() -> None:
    assert "or: Write `better` (safe)" in full(outcome("bad\n", alternative="better"))


def test_written_unproven_fix_is_said_loudly() -> None:
    doubt = Verification(Verdict.UNVERIFIED, "nothing runs")
    text = full(outcome("bad\n", status=Status.FIXED, verification=doubt))
    assert "WRITTEN UNPROVEN: nothing runs" in text


def test_written_fix_that_nobody_verified() -> None:
    assert "not verified" in full(outcome("bad\n", status=Status.FIXED))


def test_refuted_fix_shows_its_counterexample() -> None:
    shown = {"check": "eval forward", "where": "call 1 output ", "before": 2.0, "after": 1.5}
    refuted = Verification(Verdict.REFUTED, "it differs", {"counterexample": shown, "built": "Net()"})
    text = full(outcome("bad\n", status=Status.REFUTED, verification=refuted))
    assert "refuted: it differs" in text
    assert "eval forward: call 1 output was 2, would be 1.5; ran Net()" in text
    assert "nothing was changed" in text


def test_evidence_in_words() -> None:
    evidence = {
        "trajectories": [
            {"optimizer": "SGD(momentum=0.9)", "steps": 20, "losses_bit_identical": True},
            {"optimizer": "Adam", "steps": 20, "losses_bit_identical": True},
            {"optimizer": "Adam at /p/train.py:main", "steps": 20, "losses_bit_identical": True},
            {"optimizer": "the optimizer as built", "steps": 5, "losses_bit_identical": True},
        ],
        "constraint": {"steps": 40, "binding_steps": 31},
        "reached": ["w", "b", "input [0][0]"],
        "oracle": {
            "ran": True,
            "agrees": True,
            "autograd": 2.0,
            "numeric": 2.0 + 6e-12,
            "forward_mode": {"ran": True, "slope": 2.0},
        },
        "built": "Gate(4)",
    }
    verdict, facts = summary(Verification(Verdict.EQUIVALENT, "all agree", evidence))
    assert verdict == "verified: equivalent; all agree"
    assert facts.split("; ") == [
        "20 steps of SGD(momentum=0.9) and Adam and 5 steps of the optimizer as built bit-identical",
        "the constraint held after 40 updates and was needed at 31",
        "gradients reach 2 parameters",
        "directional derivative agrees with forward mode to 2e-16 and with finite differences to 3e-12",
        "ran Gate(4)",
    ]


def test_evidence_never_claims_more_than_there_is() -> None:
    evidence = {
        "trajectories": [{"optimizer": "Adam", "steps": 20, "losses_bit_identical": False}],
        "oracle": {},
    }
    (_, facts) = summary(Verification(Verdict.REPAIRED, "it raised", evidence))
    assert facts == "20 steps of Adam"
    assert summary(Verification(Verdict.UNVERIFIED, "no torch", {"built": "x"})) == ["unverified: no torch"]


def test_file_outside_the_folder_keeps_its_whole_name() -> None:
    text = render(report(outcome("bad\n"), base=Path("/elsewhere")), Format.CONCISE)
    assert text.startswith("/project/net.py:1:1:")


def test_edits_elsewhere_do_not_move_the_excerpt() -> None:
    found = outcome("bad\n", also={"a.py": "y\n"})
    assert isinstance(found.finding.fixes[0].edits, EditSet)
    assert Edit(0, 0, "z\n") in found.finding.fixes[0].edits.files[Path("/project/a.py")]
    assert full(found).startswith("net.py:1:1:")
