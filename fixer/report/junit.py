"""JUnit XML, for servers that show test results: a suite a file, a failed case a finding."""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree as ET

from fixer.outcome import Outcome, Status
from fixer.report.evidence import summary
from fixer.report.model import Report, place, remark

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """A document that a server takes as it is; a run without findings holds one passed case."""
    root = ET.Element("testsuites", name="fixer")
    for name, outcomes in groupby(report.outcomes, lambda item: report.relative(item.finding.path)):
        cases = list(outcomes)
        failures = sum(item.status is not Status.FIXED for item in cases)
        counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0"}
        suite = ET.SubElement(root, "testsuite", {"name": _clean(name), **counts})
        for outcome in cases:
            _case(suite, name, outcome)
    for error in report.errors:
        name = _clean(report.relative(error.path))
        suite = ET.SubElement(root, "testsuite", name=name, tests="1", failures="0", errors="1")
        case = ET.SubElement(suite, "testcase", name="file", classname=name, file=name)
        ET.SubElement(case, "error", message=_clean(error.message))
    if not len(root):
        suite = ET.SubElement(root, "testsuite", name="fixer", tests="1", failures="0", errors="0")
        ET.SubElement(suite, "testcase", name="no findings", classname="fixer")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, name: str, outcome: Outcome) -> None:
    finding, where = outcome.finding, place(outcome)
    title = f"{finding.code} {finding.name} ({where.row}:{where.column})"
    attributes = {"name": title, "classname": _clean(name), "file": _clean(name), "line": str(where.row)}
    case = ET.SubElement(suite, "testcase", attributes)
    parts = [f"line {where.row}, column {where.column}: {finding.message}", remark(outcome)]
    parts += summary(outcome.verification) if outcome.verification else []
    body = _clean("\n".join(part for part in parts if part))
    if outcome.status is Status.FIXED:
        ET.SubElement(case, "system-out").text = body
    else:
        ET.SubElement(case, "failure", message=_clean(finding.message), type=finding.code).text = body


def _clean(text: str) -> str:
    """XML cannot hold most control characters, not even escaped."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
