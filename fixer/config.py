"""What the user has set: `[tool.fixer]` of the nearest `pyproject.toml`, and the command line over it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from fixer import schema
from fixer.discovery import PYTHON_FILES, absolute, compile_patterns
from fixer.policy import VerifyMode
from fixer.report import Format
from fixer.source import reason_of
from fixer.verify import Device, HarnessConfig, VerifySettings

tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


class ConfigError(Exception):
    """The configuration cannot be used. The message is one line: the file, the key and the remedy."""

    def __init__(self, path: Path | None, message: str) -> None:
        super().__init__(path, message)  # both, so that the error survives pickling
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


_MOST_JOBS = 8
"""More jobs at once than this gain little and cost a process with torch each."""


@dataclass(frozen=True)
class Config:
    """All settings; what nobody has set has its default."""

    root: Path
    """The folder that patterns are relative to: the configuration file's own, or that of the run."""
    path: Path | None = None
    """The configuration file, None if there is none."""
    select: tuple[str, ...] = ()
    """Rules to run; none stands for all that are on by default."""
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Rules to ignore in the files that a pattern matches; with a `!` before it, in all other files."""
    include: tuple[str, ...] = PYTHON_FILES
    exclude: tuple[str, ...] = ()
    respect_gitignore: bool = True
    unsafe_fixes: bool = False
    verify: VerifyMode = VerifyMode.AUTO
    verify_settings: VerifySettings = field(default_factory=VerifySettings)
    jobs: int | None = None
    """Processes to use; None for as many as there are cores."""
    output_format: Format = Format.FULL
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options of rules, by code or name: `[tool.fixer.rules.PRM301]`."""
    overridden: frozenset[str] = frozenset()
    """Keys whose value comes from the command line."""

    @classmethod
    def load(cls, start: Path, file: Path | None = None) -> Config:
        """Read `file`, or the nearest `pyproject.toml` at or above `start` that has a `[tool.fixer]`."""
        if file is not None:
            config = _parse(file, _bytes_of(file))
            if config is None:
                raise ConfigError(file, "has no [tool.fixer]; add it or name another file")
            return config
        folder = Path(absolute(start))
        for path in (above / "pyproject.toml" for above in (folder, *folder.parents)):
            if path.is_file() and b"fixer" in (data := _bytes_of(path)) and (config := _parse(path, data)):
                return config
        return cls(root=folder)

    def override(self, **given: Any) -> Config:
        """The same settings with those of the command line over them; None stands for not given.

        `extend_select`, `ignore` and `exclude` add to what the file says; a new `select` starts from nothing.
        """
        values = {key: value for key, value in given.items() if value is not None}
        base = replace(self, extend_select=(), ignore=()) if "select" in values else self
        overridden = self.overridden | values.keys()
        for key in values.keys() & {"select", "extend_select", "ignore"}:
            values[key] = tuple(word.strip() for words in values[key] for word in words.split(","))
        for key in values.keys() & {"include", "exclude"}:
            values[key] = tuple(values[key])
            try:
                compile_patterns(values[key])
            except ValueError as error:
                raise ConfigError(None, f"{key}: {error}") from None
        for key, kind in (("verify", VerifyMode), ("output_format", Format)):
            if key in values:
                values[key] = kind(values[key])
        for key in values.keys() & {"extend_select", "ignore", "exclude"}:
            values[key] = (*getattr(base, key), *values[key])
        if "python" in values:
            python = _python(str(values.pop("python")), Path.cwd())  # verification works in another folder
            values["verify_settings"] = replace(self.verify_settings, python=python)
        return replace(base, **values, overridden=overridden)

    @property
    def verification(self) -> VerifySettings:
        """How verification runs, with as many jobs at once as there may be processes."""
        return replace(self.verify_settings, at_once=self.jobs or min(os.cpu_count() or 1, _MOST_JOBS))

    def blame(self, key: str, message: str) -> ConfigError:
        """An error about a setting, which names the file that it comes from."""
        if key.replace("-", "_") in self.overridden:
            return ConfigError(None, f"--{key}: {message}")
        return ConfigError(self.path, f"{key}: {message}")

    def options(self, code: str, name: str) -> Mapping[str, Any]:
        """The options of a rule, which the file names by its code or its name."""
        return {**self.rules.get(name, {}), **self.rules.get(code, {})}


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(path, reason_of(error).replace("exclude it", "name another file")) from None


def _parse(path: Path, data: bytes) -> Config | None:
    """Read a configuration file: its `[tool.fixer]`, None if it has only other tools, or all of it."""
    try:
        section = tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(path, f"not valid TOML: {error}; correct it") from None
    place = ""
    if path.name == "pyproject.toml" or "tool" in section:
        place = "[tool.fixer] "
        tools = section.get("tool", {})
        if not isinstance(tools, dict) or "fixer" not in tools:
            return None
        section = tools["fixer"]
    folder = Path(absolute(path)).parent
    try:
        settings = schema.table(_SETTINGS)(section, folder)
    except ValueError as error:
        raise ConfigError(path, f"{place}{error}") from None
    verify = settings.pop("verify", {})
    mode = {"verify": verify.pop("mode")} if "mode" in verify else {}
    python = {"python": settings.pop("python")} if "python" in settings else {}
    harnesses = verify.pop("harness", ())
    return Config(
        root=folder,
        path=path,
        verify_settings=VerifySettings(harnesses=harnesses, **verify, **python),
        **mode,
        **settings,
    )


def _patterns(value: Any, folder: Path) -> tuple[str, ...]:
    patterns = schema.texts(value, folder)
    compile_patterns(patterns)
    return patterns


def _per_file_ignores(value: Any, folder: Path) -> dict[str, tuple[str, ...]]:
    ignores = schema.each(schema.texts)(value, folder)
    for pattern in ignores:
        if not compile_patterns([pattern.removeprefix("!")]).patterns:
            raise ValueError(f"{pattern!r} is not a pattern")
    return ignores


def _python(value: Any, folder: Path) -> Path:
    """A path, or a bare command such as `python3.11`, which is looked up where it is needed."""
    is_command = Path(schema.text(value, folder)).name == value
    return Path(value) if is_command and not (folder / value).exists() else schema.path(value, folder)


def _verify(value: Any, folder: Path) -> dict[str, Any]:
    """A mode, or a table that may hold one."""
    if not isinstance(value, (str, dict)):
        raise ValueError(
            f"must be a table or a mode; {schema.nearest('', [mode.value for mode in VerifyMode])}"
        )
    return _VERIFY_TABLE({"mode": value} if isinstance(value, str) else value, folder)


def _harnesses(value: Any, folder: Path) -> tuple[HarnessConfig, ...]:
    if not isinstance(value, list):
        raise ValueError("must be an array of tables: [[tool.fixer.verify.harness]]")
    return tuple(HarnessConfig.parse(schema.mapping(item, folder), folder) for item in value)


def _rule_options(value: Any, folder: Path) -> Mapping[str, Any]:
    """What every rule has; a rule has no options of its own."""
    return schema.table({"prefer": schema.text})(value, folder)


_VERIFY_TABLE = schema.table(
    {
        "mode": schema.choice(VerifyMode),
        "steps": schema.positive_integer,
        "seeds": schema.positive_integer,
        "device": schema.choice(Device),
        "timeout": schema.seconds,
        "memory": schema.memory,
        "roots": schema.paths,
        "harness": _harnesses,
    }
)
_SETTINGS: Mapping[str, schema.Reader] = {
    "select": schema.texts,
    "extend-select": schema.texts,
    "ignore": schema.texts,
    "per-file-ignores": _per_file_ignores,
    "include": _patterns,
    "exclude": _patterns,
    "respect-gitignore": schema.boolean,
    "unsafe-fixes": schema.boolean,
    "verify": _verify,
    "python": _python,
    "jobs": schema.positive_integer,
    "output-format": schema.choice(Format),
    "rules": schema.each(_rule_options),
}
