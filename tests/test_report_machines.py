"""What other programs read: JSON, SARIF, GitHub, GitLab, JUnit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from fixer.contract import Verdict, Verification
from fixer.engine import FileError
from fixer.outcome import Status
from fixer.report import Format, render
from fixer.rule import Applicability
from tests.plugin.toy_rules import Double
from tests.reports import BASE, outcome, report

MACHINES = [style for style in Format if not style.for_people]
BROKEN = FileError(BASE / "broken.py", "not valid Python; correct it", 3)


def load(style: Format, *outcomes: Any, **given: Any) -> Any:
    return json.loads(render(report(*outcomes, **given), style))


@pytest.mark.parametrize("style", [Format.JSON, Format.GITLAB])
def test_nothing_is_an_empty_array(style: Format) -> None:
    assert load(style) == []


@pytest.mark.parametrize("style", MACHINES)
def test_odd_text_survives(style: Format) -> None:
    odd = outcome("s = '日\x01'; bad = 1\n", name="ä b,c:%.py", help="a\nb <&> %0A ::", also={"y.py": "é"})
    text = render(report(odd, errors=(FileError(BASE / "x\x02.py", "a\nb"),)), style)
    if style is Format.JUNIT:
        ET.fromstring(text)
    elif style is Format.GITHUB:
        assert len(text.splitlines()) == 2
    else:
        json.loads(text)


def test_json_shape() -> None:
    proof = Verification(Verdict.EQUIVALENT, "all agree", {"steps": 20})
    (entry,) = load(Format.JSON, outcome("x = 'é'; bad\n", verification=proof, help="Think."))
    path = str(BASE / "net.py")
    assert entry == {
        "code": "AAA001",
        "name": "bad-word",
        "message": "`bad` is wrong",
        "help": "Think.",
        "filename": path,
        "location": {"row": 1, "column": 10},
        "end_location": {"row": 1, "column": 13},
        "fix": {
            "applicability": "safe",
            "message": "Write `good`",
            "edits": [
                {
                    "filename": path,
                    "content": "good",
                    "location": {"row": 1, "column": 10},
                    "end_location": {"row": 1, "column": 13},
                }
            ],
        },
        "alternatives": [],
        "url": None,
        "status": "found",
        "reason": None,
        "verification": {"verdict": "equivalent", "reason": "all agree", "evidence": {"steps": 20}},
    }


def test_json_without_fix() -> None:
    (entry,) = load(Format.JSON, outcome("bad\n", fixable=False, status=Status.NO_FIX))
    assert (entry["fix"], entry["verification"], entry["status"]) == (None, None, "no-fix")


def test_json_edits_have_the_newlines_of_their_file() -> None:
    (entry,) = load(Format.JSON, outcome("bad\n", also={"crlf.py": "a\r\nb\r\n"}))
    edits = {Path(edit["filename"]).name: edit["content"] for edit in entry["fix"]["edits"]}
    assert edits == {"net.py": "good", "crlf.py": "z\r\n"}


def test_sarif_result_has_rule_place_and_fixes() -> None:
    found = outcome("a\nbad\n", name="sub/net.py", alternative="better", also={"train.py": "x\n"})
    given = report(found, errors=(BROKEN,))
    log = json.loads(render(type(given)(given.outcomes, given.errors, BASE, (Double,)), Format.SARIF))
    (run,) = log["runs"]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["TOY101"]
    assert run["tool"]["driver"]["rules"][0]["help"]["markdown"].startswith("# toys")
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("AAA001", "warning")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "sub/net.py", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 4}
    assert [fix["description"]["text"] for fix in result["fixes"]] == [
        "Write `good` (safe)",
        "Write `better` (safe)",
    ]
    changes = result["fixes"][0]["artifactChanges"]
    assert [change["artifactLocation"]["uri"] for change in changes] == ["sub/net.py", "train.py"]
    assert changes[0]["replacements"] == [
        {"deletedRegion": place["region"], "insertedContent": {"text": "good"}}
    ]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == BROKEN.message


def test_sarif_says_nothing_of_fixes_that_are_done_or_only_shown() -> None:
    done = outcome("bad\n", status=Status.FIXED)
    shown = outcome("bad\n", applicability=Applicability.DISPLAY)
    results = load(Format.SARIF, done, shown)["runs"][0]["results"]
    assert [result.get("fixes", []) for result in results] == [[], []]
    assert results[0]["level"] == "note"


def test_sarif_names_with_spaces_are_uris() -> None:
    result = load(Format.SARIF, outcome("bad\n", name="a b/ü.py"))["runs"][0]["results"][0]
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == "a%20b/%C3%BC.py"


def test_github_commands() -> None:
    lines = render(report(outcome("a\nbad\n"), errors=(BROKEN,)), Format.GITHUB).splitlines()
    place = "file=net.py,line=2,endLine=2,col=1,endColumn=4"
    assert lines == [
        f"::error title=fixer (AAA001),{place}::net.py:2:1: AAA001 `bad` is wrong",
        "::error title=fixer,file=broken.py,line=3::broken.py: not valid Python; correct it",
    ]


def test_github_escapes() -> None:
    (line,) = render(report(outcome("bad\n", name="a,b:c%.py")), Format.GITHUB).splitlines()
    assert "file=a%2Cb%3Ac%25.py," in line


def test_github_fixed_is_a_notice_and_a_tall_span_has_no_columns() -> None:
    done = outcome("bad(\n)\n", until=")", status=Status.FIXED)
    (line,) = render(report(done), Format.GITHUB).splitlines()
    assert line.startswith("::notice title=fixer (AAA001),file=net.py,line=1,endLine=2::")


def test_gitlab_fingerprints_survive_moved_lines_and_tell_twins_apart() -> None:
    first, second = outcome("bad\n"), outcome("x\n\nbad\n")
    one = load(Format.GITLAB, first, second)
    moved = load(Format.GITLAB, second, first)
    assert [item["fingerprint"] for item in one] == [item["fingerprint"] for item in moved]
    assert one[0]["fingerprint"] != one[1]["fingerprint"]
    assert one[0]["location"]["path"] == "net.py"


def test_gitlab_leaves_out_what_is_fixed() -> None:
    assert load(Format.GITLAB, outcome("bad\n", status=Status.FIXED)) == []


def test_dry_run_leaves_findings_and_their_fixes_in() -> None:
    done = outcome("bad\n", status=Status.FIXED)
    assert len(load(Format.GITLAB, done, dry_run=True)) == 1
    assert len(load(Format.SARIF, done, dry_run=True)["runs"][0]["results"][0]["fixes"]) == 1


def test_junit_counts() -> None:
    outcomes = [outcome("bad\n"), outcome("bad\n", status=Status.FIXED), outcome("bad\n", name="z.py")]
    root = ET.fromstring(render(report(*outcomes, errors=(BROKEN,)), Format.JUNIT))
    suites = [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root]
    assert suites == [("net.py", "2", "1"), ("z.py", "1", "1"), ("broken.py", "1", "0")]
    assert root.findall(".//failure")[0].get("message") == "`bad` is wrong"


def test_junit_of_a_clean_run_is_not_empty() -> None:
    root = ET.fromstring(render(report(), Format.JUNIT))
    assert len(root.findall(".//testcase")) == 1
