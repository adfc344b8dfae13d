"""Every golden case, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import Case, cases, read, run, write

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Case, tmp_path: Path) -> None:
    write(case.before, tmp_path)

    first = run(case, tmp_path)
    assert first.complaints == ""
    assert first.findings == case.findings
    assert first.tree == case.after
    for name, data in first.tree.items():
        if name.endswith(".py"):
            compile(data, name, "exec")

    second = run(case, tmp_path)
    assert second.tree == first.tree
    assert all(finding in first.findings for finding in second.findings)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_is_well_formed(case: Case) -> None:
    assert case.document["summary"]
    assert case.document.keys() <= {"summary", "unsafe", "finding"}
    assert set(read(case.folder / "after")) <= set(case.before)


def test_most_cases_of_a_rule_change_nothing() -> None:
    changing = dict.fromkeys({case.code for case in CASES}, 0)
    for case in CASES:
        changing[case.code] += 1 if case.after != case.before else -1
    assert {code: surplus for code, surplus in changing.items() if surplus >= 0} == {}
