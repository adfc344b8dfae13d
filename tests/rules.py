"""Two helpers for tests of rules: `unchanged` and `changed`; nothing is verified and nothing written.

Code is given dedented or not, as one file or as a tree of files by name. `changed` also checks that every
result parses and that a second run has nothing left to fix.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from textwrap import dedent

from fixer.apply import plan
from fixer.engine import Engine
from fixer.outcome import Status
from fixer.policy import Policy, VerifyMode
from fixer.rule import Finding, Rule
from fixer.source import Source

Files = Mapping[str, str]
ROOT = Path("/tree")


def sources(files: Files) -> dict[Path, Source]:
    """The files of a tree that exists in memory only."""
    return {ROOT / name: Source(ROOT / name, dedent(text).encode()) for name, text in files.items()}


def analyse(files: Files, rule: type[Rule]) -> list[Finding]:
    """What a rule finds in a tree; a file that cannot be worked on fails the test."""
    tree = sources(files)
    analysis = Engine([rule()]).analyse(tree, tree)
    assert analysis.errors == ()
    return list(analysis.findings)


def fixed(files: Files, rule: type[Rule], *, unsafe: bool = False) -> dict[str, str]:
    """The tree after a rule's fixes; one that is withdrawn, or a rule that never comes to an end, fails."""
    tree = sources(files)
    policy = Policy(unsafe_fixes=unsafe, verify=VerifyMode.OFF)
    result = plan(Engine([rule()]), tree, tree, policy)
    assert result.errors == ()
    assert [outcome.reason for outcome in result.remaining if outcome.status is Status.WITHDRAWN] == []
    return {str(path.relative_to(ROOT)): source.text for path, source in result.finals.items()}


def expect(actual: Files, wanted: Files) -> None:
    """Fail with a diff where two trees differ."""
    assert actual.keys() == wanted.keys()
    for name, text in wanted.items():
        lines = unified_diff(text.splitlines(), actual[name].splitlines(), "wanted", name, lineterm="")
        assert actual[name] == text, "\n".join(lines)


def unchanged(rule: type[Rule], code: str | Files, *, findings: int = 0) -> list[Finding]:
    """Check that a rule rewrites nothing, even with unsafe fixes, and makes so many findings (none)."""
    files = {"net.py": code} if isinstance(code, str) else code
    found = analyse(files, rule)
    assert len(found) == findings, [finding.message for finding in found]
    expect(fixed(files, rule, unsafe=True), {name: dedent(text) for name, text in files.items()})
    return found


def changed(
    rule: type[Rule], before: str | Files, after: str | Files, *, unsafe: bool = False
) -> list[Finding]:
    """Check that a rule turns `before` into `after`; with `unsafe`, only if unsafe fixes are allowed.

    Of several files `after` names those that change. Returns the findings in `before`.
    """
    files = {"net.py": before} if isinstance(before, str) else before
    wanted = {"net.py": after} if isinstance(after, str) else after
    start = {name: dedent(text) for name, text in files.items()}
    expected = start | {name: dedent(text) for name, text in wanted.items()}
    if unsafe:
        expect(fixed(files, rule), start)
    expect(fixed(files, rule, unsafe=unsafe), expected)
    return analyse(files, rule)
