"""Which rules run, and on which files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from fixer.config import Config
from fixer.discovery import Patterns, absolute, compile_patterns
from fixer.schema import nearest

ALL = "ALL"
_EXACT = 1000  # more than any prefix is long


class Named(Protocol):
    """What selection needs to know of a rule; rules and their classes both have it."""

    @property
    def code(self) -> str:
        """``PRM101``."""
        ...

    @property
    def name(self) -> str:
        """``projection-in-forward``."""
        ...

    @property
    def default(self) -> bool:
        """Whether the rule runs where nothing is selected."""
        ...


RuleT = TypeVar("RuleT", bound=Named)


@dataclass(frozen=True)
class Selection(Generic[RuleT]):
    """The rules that a configuration selects.

    A rule is meant by its code, its name, the beginning of its code, or `ALL`. Where a rule is both selected
    and ignored, the longer word wins, and `ignore` if they are alike. A rule that is off by default runs if
    any word of `select` or `extend-select` means it.
    """

    rules: tuple[RuleT, ...]
    """Those that run on any file."""
    _ignored: tuple[_IgnoredInFiles, ...]

    @classmethod
    def of(cls, rules: Sequence[RuleT], config: Config) -> Selection[RuleT]:
        """Choose among `rules`; a word that means none of them is a `ConfigError`."""
        select = _meant("select", config.select, rules, config)
        extend = _meant("extend-select", config.extend_select, rules, config)
        ignore = _meant("ignore", config.ignore, rules, config)
        by_default = {} if config.select else {rule.code: 0 for rule in rules if rule.default}
        for word in config.rules:
            if not any(_weight(word, rule) == _EXACT for rule in rules):
                raise config.blame("rules", _unknown(word, rules))
        wanted = [by_default, select, extend]
        return cls(
            tuple(
                rule
                for rule in rules
                if max(weights.get(rule.code, -1) for weights in wanted) > ignore.get(rule.code, -1)
            ),
            tuple(
                _IgnoredInFiles.of(pattern, config.root, _meant("per-file-ignores", words, rules, config))
                for pattern, words in config.per_file_ignores.items()
            ),
        )

    def allows(self, path: Path, code: str) -> bool:
        """Whether a rule that runs may look at a file."""
        return not any(code in ignored.codes and ignored.covers(absolute(path)) for ignored in self._ignored)


@dataclass(frozen=True)
class _IgnoredInFiles:
    """An entry of `per-file-ignores`."""

    patterns: Patterns
    others: bool
    """Whether it is about the files that do not match."""
    codes: frozenset[str]

    @classmethod
    def of(cls, pattern: str, root: Path, codes: Iterable[str]) -> _IgnoredInFiles:
        spec = compile_patterns([pattern.removeprefix("!")])
        return cls(Patterns(absolute(root), spec), pattern.startswith("!"), frozenset(codes))

    def covers(self, path: str) -> bool:
        return bool(self.patterns.say(path)) != self.others


def _meant(key: str, words: Iterable[str], rules: Iterable[Named], config: Config) -> dict[str, int]:
    """The codes that the words mean, and how closely."""
    meant: dict[str, int] = {}
    for word in words:
        weights = {rule.code: weight for rule in rules if (weight := _weight(word, rule))}
        if not weights:
            raise config.blame(key, _unknown(word, rules))
        meant.update((code, max(weight, meant.get(code, 0))) for code, weight in weights.items())
    return meant


def _weight(word: str, rule: Named) -> int:
    """How closely a word means a rule: 0 for not at all."""
    if word.upper() == rule.code or word.lower() == rule.name:
        return _EXACT
    if word.upper() == ALL:
        return 1
    return 1 + len(word) if word and rule.code.startswith(word.upper()) else 0


def _unknown(word: str, rules: Iterable[Named]) -> str:
    if not word:
        return f"a rule is empty; name one that `fixer rules` lists, or {ALL}"
    known = [known for rule in rules for known in (rule.code, rule.name)]
    return f"unknown rule {word!r}; {nearest(word, known, otherwise='`fixer rules` lists them')}"
