"""Planning in memory: rounds, company, refusals; and the writing at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixer.apply import execute, plan, survey
from fixer.contract import Promise, Verdict, Verification
from fixer.edits import Edit, EditSet, Encoder, moved, origin
from fixer.outcome import Plan, Status
from fixer.policy import Policy, VerifyMode
from fixer.rule import Applicability
from fixer.source import Source
from fixer.verify import Job
from tests.fakes import Opinion, Word, Words, tree

OFF = Policy(verify=VerifyMode.OFF)
ANY = Policy(unsafe_fixes=True)
GOOD = Word("AAA001", "bad", "good")
UNSAFE = Word("AAA002", "odd", "even", Applicability.UNSAFE)
REPAIR = Word("AAA003", "broken", "whole", promise=Promise.REPAIRS)


def text(result: Plan, path: Path) -> str:
    return result.finals[path].text


def run(root: Path, code: str, *rules: Word, policy: Policy = OFF, judge: Opinion | None = None) -> Plan:
    sources = tree(root, net=code)
    return plan(Words(rules), sources, sources, policy, judge)


# Nothing is written


def test_nothing_found(tmp_path: Path) -> None:
    result = run(tmp_path, "fine = 1\n", GOOD)
    assert (result.changed, result.written, result.remaining, result.files) == ((), (), (), 1)


def test_finding_without_fix_is_reported(tmp_path: Path) -> None:
    result = run(tmp_path, "bad = 1\n", Word("AAA001", "bad", None))
    assert [outcome.status for outcome in result.remaining] == [Status.NO_FIX]
    assert result.changed == ()


def test_display_fix_is_never_written(tmp_path: Path) -> None:
    rule = Word("AAA001", "bad", "good", Applicability.DISPLAY)
    result = run(tmp_path, "bad = 1\n", rule, policy=Policy(unsafe_fixes=True, verify=VerifyMode.OFF))
    assert [outcome.status for outcome in result.remaining] == [Status.NO_FIX]


def test_unsafe_fix_is_left_and_nothing_is_run_for_it(tmp_path: Path) -> None:
    judge = Opinion()
    result = run(tmp_path, "odd = 1\n", UNSAFE, policy=Policy(), judge=judge)
    assert [outcome.status for outcome in result.remaining] == [Status.UNSAFE]
    assert judge.jobs == []


@pytest.mark.parametrize("policy", [Policy(), ANY, Policy(True, VerifyMode.REQUIRE)])
def test_refuted_fix_is_never_written(tmp_path: Path, policy: Policy) -> None:
    judge = Opinion({"good": Verdict.REFUTED})
    result = run(tmp_path, "bad = 1\n", GOOD, policy=policy, judge=judge)
    (outcome,) = result.remaining
    assert outcome.status is Status.REFUTED
    assert outcome.verification
    assert outcome.verification.reason == "good was seen"
    assert (result.changed, len(judge.jobs)) == ((), 1)


@pytest.mark.parametrize("policy", [Policy(), Policy(True, VerifyMode.REQUIRE)])
def test_unverified_fix_is_left(tmp_path: Path, policy: Policy) -> None:
    result = run(tmp_path, "bad = 1\n", GOOD, policy=policy, judge=Opinion({"good": Verdict.UNVERIFIED}))
    assert [outcome.status for outcome in result.remaining] == [Status.UNVERIFIED]
    assert result.changed == ()


def test_fix_that_breaks_the_syntax_is_withdrawn_unrun(tmp_path: Path) -> None:
    judge = Opinion()
    result = run(tmp_path, "bad = 1\n", Word("AAA001", "bad", "go od"), policy=Policy(), judge=judge)
    (outcome,) = result.remaining
    assert outcome.status is Status.WITHDRAWN
    assert "not valid Python" in outcome.reason
    assert judge.jobs == []


def test_fix_that_causes_another_finding_is_withdrawn_alone(tmp_path: Path) -> None:
    culprit, innocent = Word("AAA001", "bad", "worse"), Word("AAA002", "odd", "even")
    result = run(tmp_path, "bad = 1\nodd = 2\n", culprit, innocent, Word("AAA003", "worse", None))
    assert text(result, tmp_path / "net.py") == "bad = 1\neven = 2\n"
    (outcome,) = result.remaining
    assert outcome.status is Status.WITHDRAWN
    assert "AAA003" in outcome.reason
    assert "line 1" in outcome.reason


def test_fix_in_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    sources = tree(tmp_path, net="bad = 1\n", train="x = 1\n")
    other = EditSet({tmp_path / "train.py": (Edit(0, 0, "y = 2\n"),)})
    rule = Word("AAA001", "bad", "good", elsewhere=lambda path: other)
    net = tmp_path / "net.py"
    result = plan(Words((rule,)), sources, [net], OFF, writable=[net])
    (outcome,) = result.remaining
    assert outcome.status is Status.WITHDRAWN
    assert "train.py" in outcome.reason


def test_fix_that_changes_nothing_does_not_loop(tmp_path: Path) -> None:
    result = run(tmp_path, "bad = 1\n", Word("AAA001", "bad", "bad"))
    assert [outcome.status for outcome in result.remaining] == [Status.WITHDRAWN]


def test_fix_that_the_encoding_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_bytes("# coding: latin-1\nbad = 'é'\n".encode("latin-1"))
    sources = {path: Source.read(path)}
    result = plan(Words((Word("AAA001", "bad", "日"),)), sources, sources, OFF)
    assert "UTF-8" in result.remaining[0].reason


def test_rules_that_undo_each_other_leave_the_place(tmp_path: Path) -> None:
    rules = Words((Word("AAA001", "ping", "pong"), Word("AAA002", "pong", "ping"), GOOD))
    sources = tree(tmp_path, net="ping = pong\n", calm="bad = 1\n")
    result = plan(rules, sources, sources, OFF)
    assert text(result, tmp_path / "calm.py") == "good = 1\n"
    assert text(result, tmp_path / "net.py") == "ping = pong\n"


def test_rule_that_never_ends_is_named(tmp_path: Path) -> None:
    sources = tree(tmp_path, net="x = 1\n", calm="bad = 1\n")
    result = plan(Words((Word("AAA007", r"\bx", "xx"), GOOD)), sources, sources, OFF)
    assert result.finals[tmp_path / "net.py"].text == "x = 1\n"
    assert result.finals[tmp_path / "calm.py"].text == "good = 1\n"
    (error,) = result.errors
    assert error.path == tmp_path / "net.py"
    assert "AAA007" in error.message
    assert [outcome.status for outcome in result.remaining] == [Status.WITHDRAWN]
    assert [outcome.finding.code for outcome in result.written] == ["AAA001"]


def test_rounds_go_on_while_findings_become_fewer(tmp_path: Path) -> None:
    """Fixes that insert at one place take turns: more of them than rounds without progress are allowed."""
    sources = tree(tmp_path, net="".join(f"bad{number} = 1\n" for number in range(25)), train="x = 1\n")
    rules = [
        Word(
            "AAA001",
            rf"bad{number}\b",
            "good",
            elsewhere=lambda _, line=f"y = {number}\n": hook(tmp_path, line),
        )
        for number in range(25)
    ]
    result = plan(Words(tuple(rules)), sources, [tmp_path / "net.py"], OFF)
    assert text(result, tmp_path / "net.py") == "good = 1\n" * 25
    assert text(result, tmp_path / "train.py").count("y = ") == 25
    assert (result.errors, result.remaining, len(result.rounds)) == ((), (), 25)


def hook(folder: Path, line: str) -> EditSet:
    return EditSet({folder / "train.py": (Edit(0, 0, line),)})


# Something is written


def test_safe_fixes_go_in(tmp_path: Path) -> None:
    result = run(tmp_path, "bad = bad\n", GOOD, policy=Policy(), judge=Opinion())
    assert text(result, tmp_path / "net.py") == "good = good\n"
    assert [outcome.verification and outcome.verification.verdict for outcome in result.written] == [
        Verdict.EQUIVALENT
    ] * 2
    assert result.remaining == ()


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    rules = Words((GOOD, REPAIR))
    sources = tree(tmp_path, net="bad = broken\n")
    first = plan(rules, sources, sources, OFF)
    second = plan(rules, first.finals, first.finals, OFF)
    assert second.changed == ()


def test_unverified_fix_goes_in_when_unsafe_ones_may(tmp_path: Path) -> None:
    result = run(tmp_path, "bad = 1\n", GOOD, policy=ANY, judge=Opinion({"good": Verdict.UNVERIFIED}))
    assert text(result, tmp_path / "net.py") == "good = 1\n"
    assert result.written[0].verification
    assert result.written[0].verification.verdict is Verdict.UNVERIFIED


def test_off_runs_nothing(tmp_path: Path) -> None:
    judge = Opinion({"good": Verdict.REFUTED})
    result = run(tmp_path, "bad = 1\n", GOOD, judge=judge)
    assert judge.jobs == []
    assert text(result, tmp_path / "net.py") == "good = 1\n"
    assert result.written[0].verification is None


def test_preferred_alternative(tmp_path: Path) -> None:
    rule = Word("AAA001", "bad", "good", alternative="better")
    policy = Policy(verify=VerifyMode.OFF, prefer={"AAA001": "BETTER"})
    assert text(run(tmp_path, "bad = 1\n", rule, policy=policy), tmp_path / "net.py") == "better = 1\n"


@pytest.mark.parametrize(
    ("words", "said"), [("better", {}), ("best", {"AAA001": "Write 'good'; Write 'better'"}), ("", {})]
)
def test_a_preference_that_fits_nothing_is_told(tmp_path: Path, words: str, said: dict[str, str]) -> None:
    rule = Word("AAA001", "bad", "good", alternative="better")
    policy = Policy(verify=VerifyMode.OFF, prefer={"AAA001": words, "AAA002": "nothing"})
    written = run(tmp_path, "bad = 1\n", rule, Word("AAA002", "one", "two"), policy=policy).written
    assert policy.overlooked(outcome.finding for outcome in written) == said


def test_overlapping_fixes_take_turns(tmp_path: Path) -> None:
    outer, inner = Word("AAA001", r"f\(bad\)", "bad"), Word("AAA002", "bad", "good")
    result = run(tmp_path, "f(bad)\n", outer, inner)
    assert text(result, tmp_path / "net.py") == "good\n"
    assert [(outcome.finding.code, outcome.round) for outcome in result.written] == [
        ("AAA001", 0),
        ("AAA002", 1),
    ]


def test_fix_hidden_by_a_refused_one_is_tried(tmp_path: Path) -> None:
    outer, inner = Word("AAA001", r"f\(bad\)", "wrong"), Word("AAA002", "bad", "good")
    judge = Opinion({"wrong": Verdict.REFUTED})
    result = run(tmp_path, "f(bad)\n", outer, inner, policy=Policy(), judge=judge)
    assert text(result, tmp_path / "net.py") == "f(good)\n"


def test_preserving_fixes_build_on_each_other(tmp_path: Path) -> None:
    judge = Opinion()
    run(tmp_path, "bad = 1\nbad = 2\n", GOOD, policy=Policy(), judge=judge)
    path = tmp_path / "net.py"
    assert [(before[path], after[path]) for before, after in judge.jobs] == [
        ("bad = 1\nbad = 2\n", "good = 1\nbad = 2\n"),
        ("good = 1\nbad = 2\n", "good = 1\ngood = 2\n"),
    ]


def test_repairs_are_verified_in_company(tmp_path: Path) -> None:
    judge = Opinion()
    run(tmp_path, "broken = 1\nbroken = 2\n", REPAIR, policy=Policy(), judge=judge)
    path = tmp_path / "net.py"
    assert [(before[path], after[path]) for before, after in judge.jobs] == [
        ("broken = 1\nwhole = 2\n", "whole = 1\nwhole = 2\n"),
        ("whole = 1\nbroken = 2\n", "whole = 1\nwhole = 2\n"),
    ]


def test_repairs_come_before_what_they_let_run(tmp_path: Path) -> None:
    judge = Opinion(needs="whole")
    result = run(tmp_path, "bad = 1\nbroken = 2\n", GOOD, REPAIR, policy=Policy(), judge=judge)
    assert text(result, tmp_path / "net.py") == "good = 1\nwhole = 2\n"


def test_company_shrinks_to_those_that_hold(tmp_path: Path) -> None:
    rules = (REPAIR, Word("AAA004", "cracked", "glued", promise=Promise.REPAIRS))
    judge = Opinion({"glued": Verdict.REFUTED})
    code = "broken = 1\ncracked = 2\nbroken = 3\n"
    result = run(tmp_path, code, *rules, policy=Policy(), judge=judge)
    assert text(result, tmp_path / "net.py") == "whole = 1\ncracked = 2\nwhole = 3\n"
    assert [outcome.status for outcome in result.remaining] == [Status.REFUTED]
    final = "whole = 1\ncracked = 2\nwhole = 3\n"
    proofs = [after for _, after in judge.jobs if after[tmp_path / "net.py"] == final]
    assert len(proofs) == 2, "those that are written are proven without the one that is not"


class Poisoned(Opinion):
    """Can tell nothing of a text that has the wrong fix in it, but for that fix itself if it is asked."""

    blames = True

    def verify(self, job: Job) -> Verification:
        verification = super().verify(job)
        before, after = ("".join(texts.values()) for texts in self.jobs[-1])
        if "glued" not in after or (self.blames and "glued" not in before):
            return verification
        return Verification(Verdict.UNVERIFIED, "the fixed code fails elsewhere")


@pytest.mark.parametrize("blames", [True, False])
@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("at_once", [1, 2])
def test_one_wrong_fix_takes_no_other_down(tmp_path: Path, place: int, blames: bool, at_once: int) -> None:
    rules = (REPAIR, Word("AAA004", "cracked", "glued", promise=Promise.REPAIRS))
    judge = Poisoned({"glued": Verdict.REFUTED})
    judge.blames, judge.at_once = blames, at_once
    words = ["cracked" if index == place else "broken" for index in range(8)]
    code = "".join(f"{word} = {index}\n" for index, word in enumerate(words))
    result = run(tmp_path, code, *rules, policy=Policy(), judge=judge)
    assert text(result, tmp_path / "net.py") == code.replace("broken", "whole")
    assert len(judge.jobs) <= 8 * 4, "about log n rounds"


def test_a_repair_that_needs_its_neighbours_survives_a_wrong_one(tmp_path: Path) -> None:
    class Demanding(Poisoned):
        """Runs nothing while anything is broken."""

        def verify(self, job: Job) -> Verification:
            verification = super().verify(job)
            if "broken" in "".join(self.jobs[-1][1].values()):
                return Verification(Verdict.UNVERIFIED, "the fixed code fails elsewhere")
            return verification

    rules = (REPAIR, Word("AAA004", "cracked", "glued", promise=Promise.REPAIRS))
    judge = Demanding({"glued": Verdict.REFUTED})
    result = run(tmp_path, "broken = 1\ncracked = 2\nbroken = 3\n", *rules, policy=Policy(), judge=judge)
    assert text(result, tmp_path / "net.py") == "whole = 1\ncracked = 2\nwhole = 3\n"


def test_refuted_in_company_is_not_written_as_merely_unverified(tmp_path: Path) -> None:
    class Moody(Opinion):
        """Refutes in company, cannot tell alone."""

    rules = (REPAIR, Word("AAA004", "cracked", "glued", promise=Promise.REPAIRS))
    judge = Moody({"glued": Verdict.REFUTED}, needs="whole")
    result = run(tmp_path, "cracked = 2\nbroken = 3\n", *rules, policy=ANY, judge=judge)
    assert text(result, tmp_path / "net.py") == "cracked = 2\nwhole = 3\n"


def test_fix_in_two_files(tmp_path: Path) -> None:
    sources = tree(tmp_path, net="bad = 1\n", train="x = 1\n")
    other = EditSet({tmp_path / "train.py": (Edit(0, 0, "y = 2\n"),)})
    rule = Word("AAA001", "bad", "good", elsewhere=lambda path: other)
    result = plan(Words((rule,)), sources, [tmp_path / "net.py"], OFF)
    assert result.groups == ((tmp_path / "net.py", tmp_path / "train.py"),)
    assert text(result, tmp_path / "train.py") == "y = 2\nx = 1\n"


def test_places_are_traced_back_to_the_original(tmp_path: Path) -> None:
    rules = Word("AAA001", "long_word", "f(bad)"), Word("AAA001", r"\bbad\b", "good")
    result = run(tmp_path, "a = 1\nlong_word; bad\n", *rules)
    late = [result.retrace(outcome) for outcome in result.written if outcome.round == 1]
    assert [outcome.source.location(outcome.finding.start) for outcome in late] == [(2, 1)]
    assert not any(outcome.fix and outcome.fix.edits for outcome in late)
    early = [result.retrace(outcome) for outcome in result.written if outcome.round == 0]
    assert [outcome.source.location(outcome.finding.start) for outcome in early] == [(2, 1), (2, 12)]


# Survey


def test_survey_without_judge_runs_nothing(tmp_path: Path) -> None:
    sources = tree(tmp_path, net="bad = odd\n")
    result = survey(Words((GOOD, UNSAFE)), sources, sources, Policy())
    assert [(outcome.status, outcome.verification) for outcome in result.remaining] == [
        (Status.FOUND, None)
    ] * 2
    assert result.changed == ()


def test_survey_verifies_unsafe_and_overlapping_fixes(tmp_path: Path) -> None:
    rules = Words((Word("AAA001", r"f\(bad\)", "well"), GOOD, UNSAFE))
    sources = tree(tmp_path, net="f(bad)\nodd\n")
    result = survey(rules, sources, sources, Policy(), Opinion({"even": Verdict.REFUTED}))
    assert [outcome.verification.verdict.value for outcome in result.remaining if outcome.verification] == [
        "equivalent",
        "equivalent",
        "refuted",
    ]


# Writing


def test_execute_writes(tmp_path: Path) -> None:
    result = execute(run(tmp_path, "bad = 1\r\n", GOOD))
    assert (tmp_path / "net.py").read_bytes() == b"good = 1\r\n"
    assert result.errors == ()


def test_changed_file_is_left_and_others_are_written(tmp_path: Path) -> None:
    sources = tree(tmp_path, net="bad = 1\n", train="bad = 2\n")
    planned = plan(Words((GOOD,)), sources, sources, OFF)
    (tmp_path / "net.py").write_text("mine = 1\n")
    result = execute(planned)
    assert (tmp_path / "net.py").read_text() == "mine = 1\n"
    assert (tmp_path / "train.py").read_text() == "good = 2\n"
    assert [error.path.name for error in result.errors] == ["net.py"]
    assert [outcome.finding.path.name for outcome in result.written] == ["train.py"]
    assert [outcome.status for outcome in result.remaining] == [Status.WITHDRAWN]
    assert result.changed == (tmp_path / "train.py",)


def test_files_of_one_fix_are_left_together(tmp_path: Path) -> None:
    sources = tree(tmp_path, net="bad = 1\n", train="x = 1\n")
    other = EditSet({tmp_path / "train.py": (Edit(0, 0, "y = 2\n"),)})
    rule = Word("AAA001", "bad", "good", elsewhere=lambda path: other)
    planned = plan(Words((rule,)), sources, [tmp_path / "net.py"], OFF)
    (tmp_path / "train.py").write_text("mine = 1\n")
    result = execute(planned)
    assert (tmp_path / "net.py").read_text() == "bad = 1\n"
    assert (tmp_path / "train.py").read_text() == "mine = 1\n"
    assert result.changed == ()


# Tracing back


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.text("xy", max_size=4)), max_size=5))
def test_origin_reads_moved_backwards(parts: list[tuple[int, int, str]]) -> None:
    edits, end = [], 0
    for gap, length, text in parts:
        edits.append(Edit(end + gap + 1, end + gap + 1 + length, text))
        end += gap + length + 1
    encode = Encoder("utf-8", "\n")
    untouched = [at for at in range(end + 3) if not any(edit.start <= at <= edit.end for edit in edits)]
    for at in untouched:
        new = moved(at, edits, encode, after_insertions=True)
        assert origin(new, new, edits, encode) == (at, at)
    for edit in edits:
        if edit.text:
            new = moved(edit.start, edits, encode, after_insertions=False)
            assert origin(new, new + len(edit.text), edits, encode) == (edit.start, edit.end)
