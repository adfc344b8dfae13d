"""The code in the documentation: what it says is run, and what it shows is what comes out.

A fenced block that begins with ``$ `` is a *session*: its commands are run, in order, and the rest of the
block is what they print. A block behind a line that holds nothing but a file name in backticks and a colon is
that file; the sessions of the document find it in their folder. Other blocks are parsed only.

``python -m tests.documents regenerate`` writes what the sessions print now into the documents, for review.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent
GENERATED = ROOT / "docs" / "rules"
_WIDTH = 100
_FENCE = re.compile(
    r"(?P<name>^`[^`\s]+`:\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
# These depend on the machine; whatever they say here has been accepted.
_MEASURED = re.compile(r"(?<= to )\de-\d\d\b|(?<= passed in )\S+")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    document: Path
    row: int
    language: str
    text: str
    name: str | None
    """The file that it shows."""

    @property
    def is_session(self) -> bool:
        return self.text.startswith("$ ")

    @property
    def commands(self) -> list[str]:
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT).as_posix()}:{self.row}"


def documents() -> list[Path]:
    """Every Markdown file but those generated from docstrings."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def blocks(document: Path) -> Iterator[Block]:
    """The fenced blocks of a document."""
    text = document.read_text("utf-8")
    for match in _FENCE.finditer(text):
        row = text.count("\n", 0, match.start("language")) + 1
        name = match["name"] and match["name"].strip().strip("`:")
        yield Block(document, row, match["language"], match["text"], name)


def play(document: Path, folder: Path) -> Iterator[tuple[Block, str]]:
    """Run the sessions of a document in a folder with its files; each with its text as it comes out."""
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    for block in blocks(document):
        if block.name:
            path = folder / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.is_session:
            yield block, "\n".join(_printed(command, folder) for command in block.commands)


def _printed(command: str, folder: Path) -> str:
    """A command, and what it prints on both streams."""
    site = folder / "site-packages"
    module = [sys.executable, "-m"]
    install = "pip install --quiet --no-deps --no-index --no-build-isolation --target".split()
    meant = {
        "fixer": [*module, "fixer"],
        "pytest": [*module, *"pytest -p no:cacheprovider -p no:randomly".split()],
        "pip install .": [*module, *install, str(site), "."],
    }
    program, *arguments = [command] if command in meant else shlex.split(command)
    hidden = ("NO_COLOR", "FORCE_COLOR", "VIRTUAL_ENV")
    run = subprocess.run(
        [*meant[program], *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in hidden}
        | {"PYTHONPATH": str(site), "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return f"$ {command}\n{run.stdout}"


def same(shown: str, printed: str) -> bool:
    """Whether two texts differ in their line breaks and measured precision only."""
    one, two = (_MEASURED.sub("…", " ".join(text.split())) for text in (shown, printed))
    return one == two


def _wrapped(text: str) -> str:
    """The text as a terminal of our width would show it; a diff keeps its lines."""
    lines = []
    for line in text.rstrip().splitlines():
        is_note = line.startswith("   = ")
        if len(line) > _WIDTH and (is_note or not line.startswith(("+", "-", " "))):
            indent = " " * (6 if is_note else 4)
            lines += textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """``regenerate``: write what the sessions print now into the documents."""
    if arguments != ["regenerate"]:
        print("usage: python -m tests.documents regenerate", file=sys.stderr)
        return 2
    for document in documents():
        with tempfile.TemporaryDirectory() as folder:
            for block, printed in list(play(document, Path(folder))):
                if not same(block.text, printed):
                    fresh = replace(block, text=_wrapped(printed))
                    text = document.read_text("utf-8").replace(f"\n{block.text}```", f"\n{fresh.text}```", 1)
                    document.write_text(text, "utf-8")
                    print(f"{block}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
