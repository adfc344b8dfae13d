"""The commands: what they take and what they call."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from fixer import __version__
from fixer.cli.ending import ending
from fixer.cli.options import ApplyOptions, Options, VerifyOptions, taking

app = typer.Typer(
    name="fixer",
    help="Find and fix PyTorch parameter-update bugs, and run the code before and after to prove each fix.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help starts twice as fast
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Listing(str, Enum):
    """The values of `fixer rules --output-format`."""

    TEXT = "text"
    JSON = "json"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fixer {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def _check(options: Options) -> None:
    """Report what is wrong and write nothing.

    The code is not run; --verify=auto has the fixes verified too.

    Exit code: 0 clean, 1 findings, 2 could not work.
    """
    with ending(options.show_traceback) as end:
        from fixer.cli.run import check

        end.code = check(options)


def _apply(options: ApplyOptions) -> None:
    """Verify the fixes and write them.

    Exit code: 0 nothing left to fix, 1 something that was reported is left, 2 error.
    """
    with ending(options.show_traceback) as end:
        from fixer.cli.run import apply

        end.code = apply(options)


def _verify(options: VerifyOptions) -> None:
    """Run every fix, say whether it is proven, and write nothing.

    With --against, what you have changed by hand since a commit is run instead, class by class.

    Exit code: 0 all are proven, 1 not all, 2 error.
    """
    with ending(options.show_traceback) as end:
        from fixer.cli.run import verify

        if options.against is None and not options.renamed:
            end.code = verify(options)
        else:
            from fixer.cli.against import verify_against

            end.code = verify_against(options)


app.command("check")(taking(Options, _check))
app.command("apply")(taking(ApplyOptions, _apply))
app.command("verify")(taking(VerifyOptions, _verify))


@app.command()
def rules(
    output_format: Annotated[Listing, typer.Option(help="How to list them.")] = Listing.TEXT,
) -> None:
    """List the rules."""
    with ending() as end:
        from fixer.cli.pages import list_rules

        end.code = list_rules(as_json=output_format is Listing.JSON)


@app.command()
def clean() -> None:
    """Remove the verdicts that are kept in this folder and below."""
    with ending() as end:
        from pathlib import Path

        from fixer.cli.ending import say
        from fixer.verify.cache import clean as remove

        for folder in remove(Path.cwd()):
            say(f"removed {folder}")
        end.code = 0


@app.command()
def explain(rule: Annotated[str, typer.Argument(help="A code or a name, such as PRM101.")]) -> None:
    """Show the page of a rule."""
    with ending() as end:
        from fixer.cli.pages import explain as show

        end.code = show(rule)
