"""GitLab: a Code Quality report."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from fixer.outcome import Outcome
from fixer.report.model import Report, place


def render(report: Report) -> str:
    """One entry a finding that is still there; what has been fixed is no longer an issue of the code."""
    seen: Counter[tuple[str, ...]] = Counter()
    entries = []
    for outcome in report.outcomes:
        if not report.gone(outcome):
            # Lines move with every change above them: equal findings of a file are counted instead.
            identity = (outcome.finding.code, report.relative(outcome.finding.path), outcome.finding.message)
            entries.append(_entry(report, outcome, (*identity, str(seen[identity]))))
            seen[identity] += 1
    return json.dumps(entries, indent=2) + "\n"


def _entry(report: Report, outcome: Outcome, identity: tuple[str, ...]) -> dict[str, Any]:
    finding, where = outcome.finding, place(outcome)
    return {
        "check_name": finding.code,
        "description": f"{finding.code} {finding.name}: {finding.message}",
        "fingerprint": hashlib.sha256("\0".join(identity).encode(errors="surrogateescape")).hexdigest(),
        "severity": "major",
        "location": {
            "path": report.relative(finding.path),
            "positions": {
                "begin": {"line": where.row, "column": where.column},
                "end": {"line": where.end_row, "column": where.end_column},
            },
        },
    }
