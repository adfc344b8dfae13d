"""Reports: one module a format, each a function of a `Report` that returns text."""

from __future__ import annotations

from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from fixer.report.model import Report


class Format(str, Enum):
    """The values of `--output-format`."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    GITLAB = "gitlab"
    JUNIT = "junit"

    @property
    def for_people(self) -> bool:
        """Whether colours and a terminal's width matter."""
        return self in (Format.FULL, Format.CONCISE)


def render(report: Report, style: Format, *, colour: bool = False, width: int | None = None) -> str:
    """The report in a format; `colour` and `width` (None: endless) count where people read it."""
    if style.for_people:
        from fixer.report import text

        return text.render(report, concise=style is Format.CONCISE, colour=colour, width=width)
    module: Any = import_module(f"fixer.report.{style.value}")  # so that one format loads one module
    return cast("str", module.render(report))
