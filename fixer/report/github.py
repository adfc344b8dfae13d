"""GitHub Actions: workflow commands that become annotations of a pull request."""

from __future__ import annotations

from fixer.outcome import Outcome, Status
from fixer.report.model import Report, place, remark


def render(report: Report) -> str:
    """One command a finding and an error."""
    lines = [_annotation(report, outcome) for outcome in report.outcomes]
    for error in report.errors:
        name = report.relative(error.path)
        row = f",line={error.row}" if error.row else ""
        message = _data(f"{name}: {error.message}")
        lines.append(f"::error title=fixer,file={_property(name)}{row}::{message}")
    return "".join(f"{line}\n" for line in lines)


def _annotation(report: Report, outcome: Outcome) -> str:
    finding, where = outcome.finding, place(outcome)
    name = report.relative(finding.path)
    level = "notice" if outcome.status is Status.FIXED else "error"
    properties = {
        "title": f"fixer ({finding.code})",
        "file": name,
        "line": str(where.row),
        "endLine": str(where.end_row),
    }
    if where.row == where.end_row:  # GitHub rejects columns of a span of several lines
        properties |= {"col": str(where.column), "endColumn": str(where.end_column)}
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    parts = (f"{name}:{where.row}:{where.column}: {finding.code} {finding.message}", remark(outcome))
    return f"::{level} {listed}::{_data('; '.join(part for part in parts if part))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
