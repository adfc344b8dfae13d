"""SARIF 2.1.0, for code-scanning services; fixes included."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fixer._version import __version__
from fixer.engine import FileError
from fixer.outcome import Outcome, Status
from fixer.report.json import entry
from fixer.report.model import Report, alternatives, place, remark
from fixer.rule import Applicability, Fix, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report) -> str:
    """One run with every rule of the catalogue and a result a finding."""
    indices = {rule.code: number for number, rule in enumerate(report.rules)}
    run = {
        "tool": {
            "driver": {
                "name": "fixer",
                "version": __version__,
                "rules": [_rule(rule) for rule in report.rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"uri": f"{report.base.as_uri()}/"}},
        "invocations": [
            {
                "executionSuccessful": not report.errors,
                "toolExecutionNotifications": [_notification(report, error) for error in report.errors],
            }
        ],
        "results": [_result(report, outcome, indices) for outcome in report.outcomes],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, default=str) + "\n"


def _rule(rule: type[Rule]) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "help": {"text": rule.page() or rule.summary, "markdown": rule.page() or rule.summary},
        "properties": {"applicability": rule.applicability.value, "contract": rule.contract},
    }


def _result(report: Report, outcome: Outcome, indices: dict[str, int]) -> dict[str, Any]:
    finding, where = outcome.finding, place(outcome)
    parts = (f"{finding.message}.", finding.help, remark(outcome))
    region = _region((where.row, where.column), (where.end_row, where.end_column))
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": "note" if outcome.status is Status.FIXED else "warning",
        "message": {"text": " ".join(part for part in parts if part)},
        "locations": [
            {"physicalLocation": {"artifactLocation": _artifact(report, finding.path), "region": region}}
        ],
        "properties": {key: entry(outcome)[key] for key in ("status", "reason", "verification")},
    }
    if finding.code in indices:
        result["ruleIndex"] = indices[finding.code]
    fixes = [fix for fix in (outcome.fix, *alternatives(outcome)) if fix and fix.edits]
    if fixes and not report.gone(outcome):
        result["fixes"] = [
            _fix(report, outcome, fix) for fix in fixes if fix.applicability is not Applicability.DISPLAY
        ]
    return result


def _fix(report: Report, outcome: Outcome, fix: Fix) -> dict[str, Any]:
    changes = []
    for path, edits in sorted(fix.edits.files.items()):
        source = outcome.sources[path]
        replacements = [
            {
                "deletedRegion": _region(source.location(edit.start), source.location(edit.end)),
                "insertedContent": {"text": edit.text.replace("\n", source.newline)},
            }
            for edit in edits
        ]
        changes.append({"artifactLocation": _artifact(report, path), "replacements": replacements})
    return {
        "description": {"text": f"{fix.message} ({fix.applicability.value})"},
        "artifactChanges": changes,
    }


def _notification(report: Report, error: FileError) -> dict[str, Any]:
    location = {"physicalLocation": {"artifactLocation": _artifact(report, error.path)}}
    return {"level": "error", "message": {"text": error.message}, "locations": [location]}


def _artifact(report: Report, path: Path) -> dict[str, str]:
    name = report.relative(path)
    if Path(name).is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(os.fsencode(name)), "uriBaseId": "SRCROOT"}


def _region(start: tuple[int, int], end: tuple[int, int]) -> dict[str, int]:
    return {"startLine": start[0], "startColumn": start[1], "endLine": end[0], "endColumn": end[1]}
