"""JSON: an array in Ruff's shape, with what verification said of each fix."""

from __future__ import annotations

import json
from typing import Any

from fixer.outcome import Outcome
from fixer.report.evidence import verification_data
from fixer.report.model import Report, alternatives, place, remark
from fixer.rule import Fix


def render(report: Report) -> str:
    """One object a finding; the array is empty where nothing was found."""
    return json.dumps([entry(outcome) for outcome in report.outcomes], indent=2, default=str) + "\n"


def entry(outcome: Outcome) -> dict[str, Any]:
    """A finding, its fix, and what became of both."""
    finding, where = outcome.finding, place(outcome)
    return {
        "code": finding.code,
        "name": finding.name,
        "message": finding.message,
        "help": finding.help,
        "filename": str(finding.path),
        "location": {"row": where.row, "column": where.column},
        "end_location": {"row": where.end_row, "column": where.end_column},
        "fix": outcome.fix and _fix(outcome, outcome.fix),
        "alternatives": [_fix(outcome, fix) for fix in alternatives(outcome)],
        "url": None,
        "status": outcome.status.value,
        "reason": remark(outcome),
        "verification": outcome.verification and verification_data(outcome.verification),
    }


def _fix(outcome: Outcome, fix: Fix) -> dict[str, Any]:
    edits = []
    for path, edit in fix.edits:
        source = outcome.sources[path]
        (row, column), (end_row, end_column) = source.location(edit.start), source.location(edit.end)
        edits.append(
            {
                "filename": str(path),
                "content": edit.text.replace("\n", source.newline),
                "location": {"row": row, "column": column},
                "end_location": {"row": end_row, "column": end_column},
            }
        )
    return {"applicability": fix.applicability.value, "message": fix.message, "edits": edits}
