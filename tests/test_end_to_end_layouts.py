"""A fix does not depend on how a file is written: it commutes with newlines, tabs, encodings and marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fixer.apply import plan
from fixer.catalogue import load_rules
from fixer.engine import Engine
from fixer.outcome import Plan
from fixer.policy import Policy, VerifyMode
from fixer.source import Source
from tests.golden import GOLDEN, Case, Tree, cases, read

EXAMPLES = GOLDEN.parent / "examples"
ROOT = Path("/tree")
POLICY = Policy(unsafe_fixes=True, verify=VerifyMode.OFF)

Layout = Callable[[str], bytes]


def latin(text: str) -> bytes:
    return f"# coding: latin-1\n# é\n{text}".encode("latin-1")


LAYOUTS: Mapping[str, Layout] = {
    "carriage returns": lambda text: text.replace("\n", "\r\n").encode(),
    "old mac": lambda text: text.replace("\n", "\r").encode(),
    "tabs": lambda text: text.replace("    ", "\t").encode(),
    "mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "latin-1": latin,
    "no final newline": lambda text: text.rstrip("\n").encode(),
    "emoji above": lambda text: f"# 😀\n{text}".encode(),
    "emoji and carriage returns": lambda text: f"# 😀\n{text}".replace("\n", "\r\n").encode(),
}


def fixed(files: Tree) -> Plan:
    """What all rules together make of a tree."""
    sources = {ROOT / name: Source(ROOT / name, data) for name, data in files.items()}
    result = plan(Engine([rule() for rule in load_rules()]), sources, sources, POLICY)
    assert result.errors == ()
    return result


def python_files(folder: Path) -> dict[str, str]:
    """The Python files of a tree in the plainest layout."""
    found = read(folder).items()
    return {
        name: data.decode("utf-8-sig").replace("\r\n", "\n") for name, data in found if name.endswith(".py")
    }


def commutes(folder: Path, name: str) -> None:
    """Check that fixing and laying out come to the same in either order."""
    layout, files = LAYOUTS[name], python_files(folder)
    plain = fixed({path: text.encode() for path, text in files.items()})
    other = fixed({path: layout(text) for path, text in files.items()})
    for path in files:
        wanted, new = layout(plain.finals[ROOT / path].text), other.finals[ROOT / path].data
        if name == "no final newline":  # the last statement goes, and the line above it keeps its end
            wanted, new = wanted.rstrip(b"\n"), new.rstrip(b"\n")
        assert new == wanted
        compile(new, path, "exec")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fixes_of_the_examples_commute_with_layouts(layout: str) -> None:
    commutes(EXAMPLES, layout)


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_fixes_of_the_golden_cases_commute_with_layouts(case: Case) -> None:
    for layout in LAYOUTS:
        commutes(case.folder / "before", layout)
