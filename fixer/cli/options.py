"""The options that commands share, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from fixer.policy import VerifyMode
from fixer.report import Format


def _path(text: str) -> Path:
    """A path that somebody has named: an unset variable in a script must not stand for the whole folder."""
    if not text:
        raise typer.BadParameter("a path is empty; name a file or folder, or leave it out")
    return Path(text)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `check`, `apply` and `verify` are given; None stands for what the configuration says."""

    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATHS",
            parser=_path,
            help="Files and folders, `-` for standard input; `.` if none is given.",
            show_default=False,
        ),
    ] = None
    select: Annotated[
        list[str] | None, typer.Option("--select", metavar="RULES", help="Run only these rules.")
    ] = None
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="RULES", help="Leave these rules out.")
    ] = None
    unsafe_fixes: Annotated[
        bool | None,
        typer.Option(
            "--unsafe-fixes/--no-unsafe-fixes",
            help="Also take fixes that may change behaviour or could not be proven.",
            show_default=False,
        ),
    ] = None
    verify: Annotated[
        VerifyMode | None,
        typer.Option(
            help="auto: write what is proven, and the rest only with --unsafe-fixes. "
            "require: write nothing unproven. off: run nothing.",
            show_default=False,
        ),
    ] = None
    python: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", readable=False, help="The interpreter that runs the code: one that has its torch."
        ),
    ] = None
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, metavar="N", help="How many fixes to run at the same time."),
    ] = None
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run everything afresh, and keep no verdicts for later.")
    ] = False
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", readable=False, help="Read this file, not the nearest pyproject.toml."),
    ] = None
    output_format: Annotated[Format | None, typer.Option(help="How to report.", show_default=False)] = None
    output_file: Annotated[
        Path | None,
        typer.Option("--output-file", "-o", metavar="FILE", readable=False, help="Write the report there."),
    ] = None
    stdin_filename: Annotated[
        Path | None,
        typer.Option(metavar="NAME", readable=False, help="The name of the file that standard input holds."),
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the report and nothing else.")] = False
    show_traceback: Annotated[
        bool, typer.Option("--show-traceback", help="Show where an internal error happened.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class ApplyOptions(Options):
    """What `apply` is given beside."""

    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "--diff", help="Print the changes as a diff and write nothing."),
    ] = False


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(Options):
    """What `verify` is given beside."""

    against: Annotated[
        str | None,
        typer.Option(
            metavar="GITREV",
            help="Compare every nn.Module whose code has changed since this commit, instead of fixes.",
            show_default=False,
        ),
    ] = None
    renamed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW", help="With --against: this class was called OLD.", show_default=False
        ),
    ] = None


GivenT = TypeVar("GivenT", bound=Options)


def taking(options: type[GivenT], run: Callable[[GivenT], None]) -> Callable[..., None]:
    """A function with the fields of `options` as its parameters, as Typer wants it."""

    def command(**given: Any) -> None:
        run(options(**given))

    hints = get_type_hints(options, include_extras=True)
    signature = inspect.signature(options)
    parameters = [
        parameter.replace(annotation=hints[name]) for name, parameter in signature.parameters.items()
    ]
    command.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    command.__annotations__ = hints
    command.__doc__ = run.__doc__
    command.__name__ = run.__name__
    return command
