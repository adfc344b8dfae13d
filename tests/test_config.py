import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fixer.config import Config, ConfigError
from fixer.policy import VerifyMode
from fixer.report import Format
from fixer.verify import HarnessConfig, VerifySettings

EVERYTHING = """
[tool.fixer]
select = ["PRM1"]
extend-select = ["PRM202"]
ignore = ["PRM103"]
include = ["*.py", "bin/tool"]
exclude = ["old", "!build"]
respect-gitignore = false
unsafe-fixes = true
python = "env/bin/python"
jobs = 3
output-format = "json"

[tool.fixer.per-file-ignores]
"tests/**" = ["PRM1", "module-backward"]
"!src/**" = ["ALL"]

[tool.fixer.rules.PRM301]
prefer = "Rewrite"

[tool.fixer.verify]
mode = "require"
steps = 5
seeds = 3
timeout = 2
memory = "1.5 GB"
roots = ["src"]

[[tool.fixer.verify.harness]]
target = "pkg/net.py:Gate"
args = [3]

[[tool.fixer.verify.harness]]
target = "pkg.net:Net"
factory = "tests/make.py:net"
"""


def project(folder: Path, text: str, name: str = "pyproject.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def message_of(folder: Path, text: str, name: str = "pyproject.toml") -> str:
    """What is wrong with a configuration file, without the file's name."""
    path = project(folder, text, name)
    with pytest.raises(ConfigError) as caught:
        Config.load(folder, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


class TestLoad:
    def test_defaults(self, tmp_path: Path) -> None:
        config = Config.load(tmp_path)
        assert config == Config(root=tmp_path)
        assert (config.verify, config.output_format) == (VerifyMode.AUTO, Format.FULL)
        assert config.verify_settings == VerifySettings()

    def test_everything(self, tmp_path: Path) -> None:
        path = project(tmp_path, EVERYTHING)
        assert Config.load(tmp_path) == Config(
            root=tmp_path,
            path=path,
            select=("PRM1",),
            extend_select=("PRM202",),
            ignore=("PRM103",),
            per_file_ignores={"tests/**": ("PRM1", "module-backward"), "!src/**": ("ALL",)},
            include=("*.py", "bin/tool"),
            exclude=("old", "!build"),
            respect_gitignore=False,
            unsafe_fixes=True,
            verify=VerifyMode.REQUIRE,
            verify_settings=VerifySettings(
                python=tmp_path / "env/bin/python",
                steps=5,
                seeds=3,
                timeout=2.0,
                memory=3 << 29,
                harnesses=(
                    HarnessConfig(f"{tmp_path}/pkg/net.py:Gate", args=(3,)),
                    HarnessConfig("pkg.net:Net", factory=f"{tmp_path}/tests/make.py:net"),
                ),
                roots=(tmp_path / "src",),
            ),
            jobs=3,
            output_format=Format.JSON,
            rules={"PRM301": {"prefer": "Rewrite"}},
        )

    def test_nearest_file_that_speaks_of_us(self, tmp_path: Path) -> None:
        project(tmp_path, "[tool.fixer]\njobs = 1\n")
        nearest = project(tmp_path / "a", "[tool.fixer]\njobs = 2\n")
        project(tmp_path / "a/b", "[project]\nname = 'a prefixer: no section of ours'\n")
        project(tmp_path / "a/b/c", "this is not TOML, and not about us\n")
        (tmp_path / "a/b/c/pyproject.toml.d").mkdir()
        config = Config.load(tmp_path / "a/b/c/../c")
        assert (config.path, config.root, config.jobs) == (nearest, tmp_path / "a", 2)

    def test_empty_section_is_enough(self, tmp_path: Path) -> None:
        path = project(tmp_path, "[tool.fixer]\n")
        assert Config.load(tmp_path) == Config(root=tmp_path, path=path)

    def test_named_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        project(tmp_path, "[tool.fixer]\njobs = 1\n")
        project(tmp_path, "jobs = 2\nverify = 'off'\npython = 'bin/python'\n", "conf/fixer.toml")
        monkeypatch.chdir(tmp_path)
        config = Config.load(tmp_path, Path("conf/fixer.toml"))
        assert (config.jobs, config.verify, config.root) == (2, VerifyMode.OFF, tmp_path / "conf")
        assert config.verify_settings.python == tmp_path / "conf/bin/python"

    def test_mark_at_the_start_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_bytes(b"\xef\xbb\xbf[tool.fixer]\r\njobs = 2\r\n")
        assert Config.load(tmp_path).jobs == 2

    def test_python_as_a_command_a_folder_or_in_the_home_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def python(value: str) -> Path | None:
            project(tmp_path, f"[tool.fixer]\npython = '{value}'\n")
            return Config.load(tmp_path).verify_settings.python

        monkeypatch.setenv("HOME", "/home/me")
        (tmp_path / "env").mkdir()
        assert python("python3.9") == Path("python3.9")
        assert python("env") == tmp_path / "env"
        assert python("~/env/bin/python") == Path("/home/me/env/bin/python")
        assert python("/usr/bin/python") == Path("/usr/bin/python")

    @pytest.mark.parametrize(
        ("size", "expected"),
        [
            ("8 GB", 8 << 30),
            ("8GiB", 8 << 30),
            ("512 mb", 512 << 20),
            ("0.5 KB", 512),
            ("7 B", 7),
            ("1TB", 1 << 40),
        ],
    )
    def test_memory(self, tmp_path: Path, size: str, expected: int) -> None:
        project(tmp_path, f"[tool.fixer.verify]\nmemory = '{size}'\n")
        assert Config.load(tmp_path).verify_settings.memory == expected


class TestErrors:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("slect = []", "unknown key 'slect'; did you mean 'select'?"),
            ("unsafe_fixes = true", "unknown key 'unsafe_fixes'; did you mean 'unsafe-fixes'?"),
            ("select = 'PRM1'", "select: must be an array of strings"),
            ("ignore = [1]", "ignore: must be an array of strings"),
            ("unsafe-fixes = 1", "unsafe-fixes: must be true or false"),
            ("respect-gitignore = 'no'", "respect-gitignore: must be true or false"),
            ("jobs = 0", "jobs: must be a whole number from 1"),
            ("jobs = true", "jobs: must be a whole number from 1"),
            ("jobs = 1.5", "jobs: must be a whole number from 1"),
            ("python = 3.11", "python: must be a string"),
            ("python = ''", "python: must be a string"),
            (
                "python = '~nobody-of-this-name/python'",
                "python: '~nobody-of-this-name/python' names the home",
            ),
            ("output-format = 'jsn'", "output-format: unknown value 'jsn'; did you mean 'json'?"),
            ("output-format = []", "output-format: unknown value []; use one of "),
            (
                "verify = 'always'",
                "verify: mode: unknown value 'always'; use one of 'auto', 'off', 'require'",
            ),
            ("verify = true", "verify: must be a table"),
            ("verify = {step = 1}", "verify: unknown key 'step'; did you mean 'steps'?"),
            ("verify = {timeout = 0}", "verify: timeout: must be a number of seconds above 0"),
            ("verify = {timeout = inf}", "verify: timeout: must be a number of seconds above 0"),
            ("verify = {timeout = nan}", "verify: timeout: must be a number of seconds above 0"),
            ("verify = {memory = 8}", 'verify: memory: must be a size such as "8 GB"'),
            ("verify = {memory = '8 G'}", 'verify: memory: must be a size such as "8 GB"'),
            ("verify = {harness = {}}", "verify: harness: must be an array of tables"),
            ("verify = {harness = [1]}", "verify: harness: must be a table"),
            ("verify = {harness = [{}]}", "verify: harness: `target` must be a string"),
            ("verify = {harness = [{target = 'a.py:B', arg = 1}]}", "verify: harness: unknown key 'arg'"),
            ("exclude = ['!']", "exclude: not a pattern as in a .gitignore"),
            ("include = ['a[z-a]']", "include: not a pattern as in a .gitignore"),
            ("per-file-ignores = ['PRM1']", "per-file-ignores: must be a table"),
            ("per-file-ignores = {'a.py' = 'PRM1'}", "per-file-ignores: a.py: must be an array of strings"),
            ("per-file-ignores = {'!' = []}", "per-file-ignores: '!' is not a pattern"),
            ("per-file-ignores = {'a[z-a]' = []}", "per-file-ignores: not a pattern as in a .gitignore"),
            ("rules = {PRM101 = 1}", "rules: PRM101: must be a table"),
            ("rules = {PRM101 = {prefer = 1}}", "rules: PRM101: prefer: must be a string"),
            (
                "rules = {PRM101 = {preferr = 'a'}}",
                "rules: PRM101: unknown key 'preferr'; did you mean 'prefer'?",
            ),
            ("verify = true", "verify: must be a table or a mode; use one of 'auto', 'off', 'require'"),
            ("python = ''", "python: must be a string that is not empty"),
        ],
    )
    def test_key_and_remedy_are_named(self, tmp_path: Path, line: str, message: str) -> None:
        assert message_of(tmp_path, f"[tool.fixer]\n{line}\n").startswith(f"[tool.fixer] {message}")
        assert message_of(tmp_path, f"{line}\n", "fixer.toml").startswith(message)

    @pytest.mark.parametrize(
        "text", ["[tool.fixer\n", "[tool.fixer]\njobs = 1\njobs = 2\n", "[tool]\nfixer = \n"]
    )
    def test_broken_toml(self, tmp_path: Path, text: str) -> None:
        assert message_of(tmp_path, text).startswith("not valid TOML: ")

    def test_not_utf_8(self, tmp_path: Path) -> None:
        path = tmp_path / "pyproject.toml"
        path.write_bytes(b"[tool.fixer]\n# \xff\n")
        with pytest.raises(ConfigError, match="not valid TOML"):
            Config.load(tmp_path)

    @pytest.mark.parametrize("text", ["tool = 1\n", "[tool]\nother = 'fixer'\n", ""])
    def test_named_file_without_our_section(self, tmp_path: Path, text: str) -> None:
        assert message_of(tmp_path, text) == "has no [tool.fixer]; add it or name another file"

    def test_named_file_with_other_name_and_our_section(self, tmp_path: Path) -> None:
        file = project(tmp_path, "[tool.fixer]\njobs = 2\n[tool.other]\n", "ci.toml")
        assert Config.load(tmp_path, file).jobs == 2

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="this is a folder, not a file; name a file"):
            Config.load(tmp_path, tmp_path)

    def test_section_that_is_no_table(self, tmp_path: Path) -> None:
        assert message_of(tmp_path, "[tool]\nfixer = 1\n") == "[tool.fixer] must be a table"

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"gone\.toml: there is no such file; check the path"):
            Config.load(tmp_path, tmp_path / "gone.toml")

    def test_error_survives_pickling(self) -> None:
        error = ConfigError(Path("fixer.toml"), "broken")
        assert str(pickle.loads(pickle.dumps(error))) == str(error) == "fixer.toml: broken"


class TestOverride:
    FILE = Config(
        root=Path("/p"),
        path=Path("/p/pyproject.toml"),
        select=("PRM1",),
        extend_select=("PRM202",),
        ignore=("PRM103",),
        exclude=("old",),
        jobs=3,
        unsafe_fixes=True,
    )

    def test_nothing_given(self) -> None:
        given = {field.name: None for field in fields(Config) if field.name not in ("root", "path")}
        assert self.FILE.override(**given) == self.FILE

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"jobs": 1}, {"jobs": 1}),
            ({"unsafe_fixes": False}, {"unsafe_fixes": False}),
            ({"verify": "require"}, {"verify": VerifyMode.REQUIRE}),
            ({"output_format": Format.SARIF}, {"output_format": Format.SARIF}),
            ({"include": ["*.pyw"]}, {"include": ("*.pyw",)}),
            ({"exclude": ["new"]}, {"exclude": ("old", "new")}),
            ({"ignore": ["PRM2, PRM3"]}, {"ignore": ("PRM103", "PRM2", "PRM3")}),
            ({"extend_select": ["PRM3"]}, {"extend_select": ("PRM202", "PRM3")}),
            ({"select": ["PRM103"]}, {"select": ("PRM103",), "extend_select": (), "ignore": ()}),
            (
                {"select": ["ALL"], "ignore": ["PRM2"]},
                {"select": ("ALL",), "extend_select": (), "ignore": ("PRM2",)},
            ),
        ],
    )
    def test_command_line_over_the_file(self, given: dict[str, Any], expected: dict[str, Any]) -> None:
        config = self.FILE.override(**given)
        changed = {
            field.name: getattr(config, field.name)
            for field in fields(Config)
            if getattr(config, field.name) != getattr(self.FILE, field.name)
        }
        assert changed == {**expected, "overridden": frozenset(given)}

    def test_python(self) -> None:
        assert self.FILE.override(python=Path("env")).verify_settings == VerifySettings(python=Path("env"))

    @pytest.mark.parametrize("given", [".venv", "./.venv", "sub/../.venv/bin/python"])
    def test_python_is_absolute(self, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is started in another folder."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / ".venv").mkdir()
        python = self.FILE.override(python=Path(given)).verify_settings.python
        assert python == tmp_path / given

    def test_what_is_no_pattern(self) -> None:
        with pytest.raises(ConfigError, match=r"^exclude: not a pattern as in a \.gitignore"):
            self.FILE.override(exclude=["!"])

    def test_blame_names_the_file_only_where_the_setting_comes_from_it(self) -> None:
        assert str(self.FILE.blame("select", "x")) == "/p/pyproject.toml: select: x"
        assert str(self.FILE.override(select=["A"]).blame("select", "x")) == "--select: x"


def test_options_of_a_rule() -> None:
    config = Config(Path("/p"), rules={"PRM301": {"a": 1, "b": 1}, "module-backward": {"b": 2, "c": 2}})
    assert config.options("PRM301", "module-backward") == {"a": 1, "b": 1, "c": 2}
    assert config.options("PRM101", "projection-in-forward") == {}
