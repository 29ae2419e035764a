"""A report as JUnit XML: a test suite a file, a test case a rule.

Checked against the schema of Jenkins' xunit plugin (junit-10.xsd), the strictest in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from symprobe.contract.check import FileReport, Report
from symprobe.contract.judge import Outcome
from symprobe.render.text import escape


def junit_lines(report: Report) -> Iterator[str]:
    """The document, line by line."""
    suites = [_suite(file) for file in report.files]
    suites += [_suite(FileReport(p.path, (), p.reason)) for p in report.problems]
    tests = sum(len(file.outcomes) + bool(file.error) for file in report.files)
    failures = sum(not o.held for file in report.files for o in file.outcomes)
    errors = len(report.errors)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    tests += len(report.problems)
    yield (
        f'<testsuites name="symprobe check" tests="{tests}" failures="{failures}" '
        f'errors="{errors}">'
    )
    for suite in suites:
        yield from suite
    yield "</testsuites>"


def _suite(file: FileReport) -> Iterator[str]:
    tests = len(file.outcomes) + bool(file.error)
    failures = sum(not outcome.held for outcome in file.outcomes)
    yield (
        f"  <testsuite name={_attribute(file.path)} tests={quoteattr(str(tests))} "
        f'failures="{failures}" errors="{int(bool(file.error))}">'
    )
    if file.error:
        yield f'    <testcase classname={_attribute(file.path)} name="readable">'
        yield f'      <error message={_attribute(file.error)} type="unreadable"/>'
        yield "    </testcase>"
    for outcome in file.outcomes:
        yield from _case(file.path, outcome)
    yield "  </testsuite>"


def _case(path: str, outcome: Outcome) -> Iterator[str]:
    opening = f"    <testcase classname={_attribute(path)} name={_attribute(outcome.rule)}"
    if outcome.held:
        yield f"{opening}/>"
        return
    yield f"{opening}>"
    yield f"      <failure message={_attribute(outcome.detail)} type={quoteattr(outcome.kind)}/>"
    yield "    </testcase>"


def _attribute(text: str) -> str:
    """Quoted, without the characters that XML has no way to write."""
    return quoteattr(escape(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff"))
