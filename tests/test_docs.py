"""What the documentation says is so: sessions print what they show, code parses, tables are complete."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fixer.catalogue import load_rules
from fixer.cli.app import app
from fixer.config import Config
from fixer.contract import Verdict
from fixer.policy import VerifyMode
from fixer.report import Format
from fixer.rule import Applicability, Rule
from fixer.verify import VerifySettings
from tests.documents import GENERATED, ROOT, Block, blocks, documents, play, same
from tests.rules import changed
from tools import pages

BLOCKS = [block for document in documents() for block in blocks(document)]
WITH_SESSIONS = sorted({block.document for block in BLOCKS if block.is_session})
RULES = [rule for rule in load_rules() if rule.__module__.startswith("fixer_codemods")]
REWRITING = [rule for rule in RULES if rule.applicability is not Applicability.DISPLAY]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
README = (ROOT / "README.md").read_text("utf-8")
VERIFICATION = (ROOT / "docs" / "verification.md").read_text("utf-8")
_HEAD = "import torch\nfrom torch import nn\n\n\n"


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `fixer` command in the documents, by where it stands."""
    for block in BLOCKS:
        for line in block.text.splitlines() if block.language == "sh" else block.commands:
            if line.startswith("fixer "):
                words = shlex.split(line.partition(" > ")[0], comments=True)
                yield f"{block}: {line}", words[1:]
    for document in documents():
        for span in re.findall(r"`fixer ([^`\n]+)`", document.read_text("utf-8")):
            yield f"{document.name}: {span}", shlex.split(span)


def section(text: str, title: str) -> str:
    """What stands below a heading."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


@pytest.mark.slow
@pytest.mark.parametrize("document", WITH_SESSIONS, ids=lambda path: path.name)
def test_sessions_print_what_they_show(document: Path, tmp_path: Path) -> None:
    for block, printed in play(document, tmp_path):
        assert same(block.text, printed), f"{block}: run `python -m tests.documents regenerate`\n{printed}"


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_is_valid(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(block.text)
    config = Config.load(tmp_path)
    assert (config.path == file) == ("tool.fixer" in block.text)


def test_blocks_are_of_a_kind_that_is_checked() -> None:
    """A session may be a diff as well, for its colours."""
    kinds = {"console": True, "diff": None, "python": False, "sh": False, "toml": False}
    for block in BLOCKS:
        assert kinds[block.language] in (None, block.is_session), str(block)


@pytest.mark.parametrize(("place", "words"), list(commands()), ids=lambda value: str(value)[:60])
def test_commands_are_understood(place: str, words: list[str]) -> None:
    name, *arguments = words
    if name.startswith("-"):
        assert name in typer.main.get_command(app).params[0].opts, place
    else:
        with COMMANDS[name].make_context(name, arguments):
            pass


def test_the_readme_has_every_command() -> None:
    assert set(re.findall(r"^\| `fixer (\w+)", README, re.MULTILINE)) == COMMANDS.keys()


def test_the_readme_has_only_options_that_exist() -> None:
    known = {option for command in COMMANDS.values() for given in command.params for option in given.opts}
    table = re.findall(r"^\| `--.*$", section(README, "Commands"), re.MULTILINE)
    shown = {option for row in table for option in re.findall(r"--[\w-]+", row.split("|")[1])}
    assert shown
    assert shown <= known


def test_formats_and_modes_are_complete() -> None:
    row = next(line for line in README.splitlines() if line.startswith("| `--output-format"))
    assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == {style.value for style in Format}
    modes = re.findall(r"^\| `(\w+)`", section(README, "Verification"), re.MULTILINE)
    assert set(modes) == {mode.value for mode in VerifyMode}
    verdicts = re.findall(r"^\| `(\w+)`", section(VERIFICATION, "Verdicts"), re.MULTILINE)
    assert set(verdicts) == {verdict.value for verdict in Verdict}


def test_defaults_of_verification_are_as_told() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `?\"?(\d+)", section(VERIFICATION, "Settings"), re.MULTILINE)
    told = {key: int(number) for key, number in rows}
    told["memory"] <<= 30
    settings = VerifySettings()
    assert told == {key: getattr(settings, key) for key in ("steps", "seeds", "timeout", "memory")}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_readme_has_every_rule(rule: type[Rule]) -> None:
    assert f"\n[{rule.code}](docs/rules/{rule.code}.md) **{rule.name}**: " in README


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_has_its_title_and_headings(rule: type[Rule]) -> None:
    assert rule.page().startswith(f"# {rule.name} ({rule.code})\n")
    for title in ("What it does", "Why it is bad", "Fix safety", "How it is verified"):
        assert section(rule.page(), title).strip()


@pytest.mark.parametrize("rule", REWRITING, ids=lambda rule: rule.code)
def test_the_example_of_a_page_comes_out_as_shown(rule: type[Rule]) -> None:
    before, after = (code(section(rule.page(), title)) for title in ("Example", "Use instead"))
    changed(rule, before, after, unsafe=rule.applicability is Applicability.UNSAFE)


def code(text: str) -> str:
    """The first block of a page's section, with the usual imports if it has none."""
    found = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1] if "import " in found[1] else _HEAD + found[1]


def test_generated_pages_are_not_stale() -> None:
    assert pages.stale() == [], "run `make docs`"


@pytest.mark.parametrize(
    "document", [*documents(), *sorted(GENERATED.glob("*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if not re.match(r"\w+:", target):
            path, _, anchor = target.partition("#")
            assert (document.parent / path).exists(), target
            assert not anchor, f"{target}: anchors are not checked"
