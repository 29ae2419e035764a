"""A report as workflow commands of GitHub Actions: an annotation for each broken rule."""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.contract.check import Report
from symprobe.render.check import summary
from symprobe.render.text import escape


def github_lines(report: Report) -> Iterator[str]:
    """`::error file=…,title=…::message`, then a notice that sums up."""
    for file in report.files:
        for outcome in file.outcomes:
            if not outcome.held:
                yield _command("error", file.path, outcome.rule, outcome.detail)
    for problem in report.errors:
        yield _command("error", problem.path, "not checked", problem.reason)
    yield f"::notice title=symprobe check::{_data(summary(report))}"


def _command(level: str, path: str, title: str, message: str) -> str:
    return f"::{level} file={_property(path)},title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return escape(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
