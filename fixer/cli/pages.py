"""`rules` and `explain`: the catalogue."""

from __future__ import annotations

import json
import sys

from fixer.catalogue import CatalogueError, load_rules
from fixer.cli.ending import UserError, emit
from fixer.cli.terminal import colourful, width_of
from fixer.rule import Rule
from fixer.schema import nearest


def list_rules(*, as_json: bool) -> int:
    """Print one line a rule."""
    rules = _rules()
    if as_json:
        emit(json.dumps([_entry(rule) for rule in rules], indent=2) + "\n")
    elif sys.stdout.isatty():
        _print_table(rules)
    else:
        emit("".join(f"{rule.code}  {rule.name:34}  {_mode(rule):12}  {rule.summary}\n" for rule in rules))
    return 0


def explain(word: str) -> int:
    """Print the page of the rule that `word` names."""
    rules = _rules()
    rule = next((rule for rule in rules if word.casefold() in (rule.code.casefold(), rule.name)), None)
    if rule is None:
        known = [name for each in rules for name in (each.code, each.name)]
        hint = nearest(word, known, otherwise="`fixer rules` lists them")
        raise UserError(f"unknown rule {word!r}; {hint}")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console(no_color=not colourful(sys.stdout)).print(Markdown(rule.page()))
    else:
        emit(rule.page() + "\n")
    return 0


def _rules() -> tuple[type[Rule], ...]:
    try:
        return load_rules()
    except CatalogueError as error:
        raise UserError(str(error)) from None


def _entry(rule: type[Rule]) -> dict[str, str | bool]:
    return {
        "code": rule.code,
        "name": rule.name,
        "summary": rule.summary,
        "applicability": rule.applicability.value,
        "contract": rule.contract,
        "default": rule.default,
    }


def _mode(rule: type[Rule]) -> str:
    return rule.applicability.value if rule.default else f"{rule.applicability.value}, off"


def _print_table(rules: tuple[type[Rule], ...]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("code", "name", "fix", "summary", box=box.SIMPLE, pad_edge=False)
    for rule in rules:
        table.add_row(rule.code, rule.name, _mode(rule), rule.summary)
    Console(no_color=not colourful(sys.stdout), width=width_of(sys.stdout)).print(table)
