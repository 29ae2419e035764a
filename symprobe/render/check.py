"""`symprobe check`: a report as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symprobe.contract.check import FileReport, Report
from symprobe.render.json import put_text
from symprobe.render.text import escape


def report_lines(report: Report, *, verbose: bool = False) -> Iterator[str]:
    """One line a broken rule (verbose: a line for those that hold, too), then one that sums up."""
    for file in report.files:
        for outcome in file.outcomes:
            if verbose or not outcome.held:
                mark = "" if not verbose else "held: " if outcome.held else "BROKEN: "
                yield escape(f"{mark}{file.path}: {outcome.rule}: {outcome.detail}")
    yield summary(report)


def summary(report: Report) -> str:
    """How much was checked, and how much of it is broken."""
    checked = [file for file in report.files if not file.error]
    broken = [[o for o in file.outcomes if not o.held] for file in checked]
    rules = sum(len(file.outcomes) for file in checked)
    files = _number(len(checked), "file")
    errors = len(report.errors)
    unchecked = f", {errors} not checked" if errors else ""
    wrong = sum(map(len, broken))
    if wrong:
        places = sum(map(bool, broken))
        return f"broken: {wrong} of {_number(rules, 'rule')}, in {places} of {files}{unchecked}"
    if errors:  # "held" at the beginning of a line would be read as the verdict
        return f"incomplete: {_number(rules, 'rule')} held on {files}{unchecked}"
    return f"held: {_number(rules, 'rule')} on {files}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def report_value(report: Report) -> dict[str, Any]:
    """The JSON document's body."""
    errors = []
    for problem in report.errors:
        value: dict[str, Any] = {}
        put_text(value, "path", problem.path)
        put_text(value, "reason", problem.reason)
        errors.append(value)
    files = [_file_value(file) for file in report.files if not file.error]
    return {"held": report.held, "files": files, "errors": errors}


def _file_value(file: FileReport) -> dict[str, Any]:
    value: dict[str, Any] = {}
    put_text(value, "path", file.path)
    value["held"] = file.held
    value["rules"] = rules = []
    for outcome in file.outcomes:
        rule: dict[str, Any] = {}
        put_text(rule, "rule", outcome.rule)
        rule["kind"] = outcome.kind
        rule["held"] = outcome.held
        put_text(rule, "detail", outcome.detail)
        rules.append(rule)
    return value
