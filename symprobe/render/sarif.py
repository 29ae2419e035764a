"""A report as SARIF 2.1.0 (OASIS): what code scanning services show beside a change."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

from symprobe.contract.check import Report
from symprobe.contract.rules import RuleKind
from symprobe.render.text import escape

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES = {
    RuleKind.REQUIRE: "A required symbol is defined and exported",
    RuleKind.REQUIRE_IMPORTED: "A required symbol is imported",
    RuleKind.FORBID: "A forbidden symbol is neither exported nor imported",
    RuleKind.FORBID_EXPORTED: "A forbidden symbol is not exported",
    RuleKind.FORBID_IMPORTED: "A forbidden symbol is not imported",
    RuleKind.MAX_VERSION: "No symbol version above a limit is required",
    RuleKind.NO_MISSING: "The loader finds every library and version",
    RuleKind.NO_UNRESOLVED: "Every symbol is defined by some library",
    RuleKind.LINKAGE: "The file is linked as promised",
    RuleKind.HARDENING: "The file is hardened as promised",
    RuleKind.SONAME: "The soname is the one promised",
    RuleKind.NO_RPATH: "There is neither RPATH nor RUNPATH",
    RuleKind.PROBE: "A function can be probed, and no copy of it is inlined",
}
_EXISTS = {"exists": "A file that the contract names is there"}


def sarif_document(report: Report, version: str) -> str:
    """The document: one result a broken rule, one notification for what could not be checked.

    version: of symprobe.
    """
    descriptions: dict[str, str] = {**{str(k): v for k, v in _RULES.items()}, **_EXISTS}
    rules = [
        {"id": name, "shortDescription": {"text": text}, "defaultConfiguration": {"level": "error"}}
        for name, text in descriptions.items()
    ]
    numbers = {name: number for number, name in enumerate(descriptions)}
    results = [
        {
            "ruleId": outcome.kind,
            "ruleIndex": numbers[outcome.kind],
            "level": "error",
            "message": {"text": escape(f"{outcome.rule}: {outcome.detail}")},
            "locations": [_location(file.path)],
        }
        for file in report.files
        for outcome in file.outcomes
        if not outcome.held
    ]
    notifications = [
        {
            "level": "error",
            "message": {"text": escape(f"not checked: {problem.reason}")},
            "locations": [_location(problem.path)],
        }
        for problem in report.errors
    ]
    driver: dict[str, Any] = {"name": "symprobe", "version": version, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": not notifications,
                "toolExecutionNotifications": notifications,
            }
        ],
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _location(path: str) -> dict[str, Any]:
    """A binary file has no lines; services that show results want one all the same."""
    uri = quote(os.fsencode(path))
    if path.startswith("/"):
        uri = f"file://{uri}"
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}
