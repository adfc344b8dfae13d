from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixer.config import Config, ConfigError
from fixer.selection import Selection


@dataclass(frozen=True)
class Rule:
    code: str
    name: str
    default: bool = True


RULES = (
    Rule("PRM101", "projection-in-forward"),
    Rule("PRM103", "parameter-updated-in-forward"),
    Rule("PRM202", "parameter-data-rebound", default=False),
    Rule("PRM301", "module-backward"),
    Rule("XYZ101", "other-rule"),
)
ROOT = Path("/p")


def selection(**settings: Any) -> Selection[Rule]:
    return Selection.of(RULES, Config(ROOT, path=ROOT / "pyproject.toml", **settings))


def numbers(*words: str, extend: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> list[str]:
    """The codes that run, without the leading letters of ours."""
    chosen = selection(select=words, extend_select=extend, ignore=ignore)
    return [rule.code.removeprefix("PRM") for rule in chosen.rules]


class TestRules:
    def test_default(self) -> None:
        assert numbers() == ["101", "103", "301", "XYZ101"]

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("PRM", ["101", "103", "202", "301"]),
            ("PRM1", ["101", "103"]),
            ("PRM10", ["101", "103"]),
            ("PRM101", ["101"]),
            ("prm101", ["101"]),
            ("module-backward", ["301"]),
            ("parameter-data-rebound", ["202"]),
            ("ALL", ["101", "103", "202", "301", "XYZ101"]),
        ],
    )
    def test_select(self, word: str, expected: list[str]) -> None:
        assert numbers(word) == expected

    def test_several_words(self) -> None:
        assert numbers("PRM301", "PRM1", "PRM101") == ["101", "103", "301"]

    def test_extend(self) -> None:
        assert numbers(extend=("PRM202",)) == ["101", "103", "202", "301", "XYZ101"]
        assert numbers("PRM1", extend=("XYZ",)) == ["101", "103", "XYZ101"]

    @pytest.mark.parametrize(
        ("select", "ignore", "expected"),
        [
            ((), ("PRM1",), ["301", "XYZ101"]),
            ((), ("ALL",), []),
            ((), ("other-rule", "module-backward"), ["101", "103"]),
            (("PRM",), ("PRM1",), ["202", "301"]),
            (("PRM101",), ("PRM1",), ["101"]),
            (("PRM1",), ("PRM1",), []),
            (("PRM101",), ("projection-in-forward",), []),
            (("PRM1", "projection-in-forward"), ("PRM10",), ["101"]),
            (("ALL",), ("PRM",), ["XYZ101"]),
            (("PRM",), ("ALL",), ["101", "103", "202", "301"]),
        ],
    )
    def test_longer_word_wins(
        self, select: tuple[str, ...], ignore: tuple[str, ...], expected: list[str]
    ) -> None:
        assert numbers(*select, ignore=ignore) == expected


class TestFiles:
    def test_nothing_is_ignored(self) -> None:
        assert selection().allows(ROOT / "a.py", "PRM101")

    @pytest.mark.parametrize(
        ("pattern", "path", "allowed"),
        [
            ("tests/**", "/p/tests/a/b.py", False),
            ("tests/**", "/p/a/tests/b.py", True),
            ("tests", "/p/a/tests/b.py", False),
            ("/a.py", "/p/a.py", False),
            ("/a.py", "/p/b/a.py", True),
            ("/a.py", "/a.py", True),
            ("*", "/q/a.py", True),
            ("!src/**", "/p/src/a.py", True),
            ("!src/**", "/p/a.py", False),
        ],
    )
    def test_patterns(self, pattern: str, path: str, allowed: bool) -> None:
        chosen = selection(per_file_ignores={pattern: ("PRM1",)})
        assert chosen.allows(Path(path), "PRM101") is allowed
        assert chosen.allows(Path(path), "PRM301")

    def test_relative_path(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        config = Config(tmp_path, per_file_ignores={"/a.py": ("ALL",)})
        assert not Selection.of(RULES, config).allows(Path("b/../a.py"), "PRM101")


class TestErrors:
    @pytest.mark.parametrize("key", ["select", "extend_select", "ignore"])
    @pytest.mark.parametrize(
        ("word", "remedy"),
        [
            ("PRM111", "did you mean 'PRM101' or 'PRM301' or 'PRM103'?"),
            ("PRM999", "`fixer rules` lists them"),
            ("projection-in-foward", "did you mean 'projection-in-forward'?"),
            ("E501", "`fixer rules` lists them"),
        ],
    )
    def test_word_that_means_no_rule(self, key: str, word: str, remedy: str) -> None:
        with pytest.raises(ConfigError) as caught:
            selection(**{key: (word,)})
        place = f"/p/pyproject.toml: {key.replace('_', '-')}: "
        assert str(caught.value).startswith(f"{place}unknown rule {word!r}; {remedy}")

    @pytest.mark.parametrize("key", ["select", "extend_select", "ignore"])
    def test_empty_word(self, key: str) -> None:
        with pytest.raises(ConfigError, match="a rule is empty; name one that `fixer rules` lists, or ALL"):
            selection(**{key: ("PRM1", "")})

    def test_in_ignores_of_files(self) -> None:
        with pytest.raises(ConfigError, match="per-file-ignores: unknown rule 'QQQ'"):
            selection(per_file_ignores={"a.py": ("QQQ",)})

    @pytest.mark.parametrize("word", ["PRM1", "ALL", "module-backwards"])
    def test_options_of_no_single_rule(self, word: str) -> None:
        with pytest.raises(ConfigError, match=f"rules: unknown rule '{word}'"):
            selection(rules={word: {}})

    def test_options_by_name(self) -> None:
        assert selection(rules={"module-backward": {"a": 1}}).rules
