"""`symprobe trace`: its report, and the tables on the way to it, as plain lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from symprobe.probe import ProbeTarget, Rejected
from symprobe.render.text import escape
from symprobe.render.trace_modes import mode_lines, span_lines
from symprobe.render.units import counted
from symprobe.trace.expect import Outcome
from symprobe.trace.links import SECONDS_TO_DETACH, Engine
from symprobe.trace.report import CommandResult, Report, Row
from symprobe.trace.session import Tracer
from symprobe.trace.snapshot import Snapshot

MOST_ZEROS = 20
"""Functions of a file with 0 calls that get a line each; more are told in one line a reason."""
MOST_REJECTED = 50
MOST_ALIASES = 3


def report_lines(report: Report, *, width: int = 80, most: int | None = None) -> Iterator[str]:
    """Per file a table, most calls first; what was measured besides, what was not traced, totals.

    width: columns for pictures.  most: values and stacks that are shown of each function.
    """
    for path, of_file in _by_file(report.rows):
        yield f"{path}:"
        yield f"{'calls':>12} {'calls/s':>11}  function"
        zeros = [row for row in of_file if not row.hits.calls]
        for row in of_file:
            if row.hits.calls or len(zeros) <= MOST_ZEROS:
                yield from _row_lines(row)
        if len(zeros) > MOST_ZEROS:
            yield from _zero_lines(zeros)
    if report.left_out:
        yield f"and {report.left_out} functions with fewer calls (--top)"
    for row in report.rows:
        yield from mode_lines(function_name(row.hits.target), row.hits, width, most)
    if report.spans is not None:
        yield from span_lines(report.spans, width)
    if _has_pictures(report):
        yield ""
    yield from _rejected_lines(report.rejected)
    yield from _total_lines(report)


def started_lines(tracer: Tracer, *, quiet: bool) -> Iterator[str]:
    """When all is attached: what to expect (quiet: only what takes long)."""
    number = len(tracer.targets) - len(tracer.refused)
    if not quiet:
        yield f"tracing {counted(number, 'function')}; Ctrl-C ends"
    if tracer.engine is Engine.PERF_EVENT:
        seconds = round(number * SECONDS_TO_DETACH) or 1
        yield (
            f"this kernel has no uprobe_multi links (Linux 6.6): "
            f"taking {number} probes out will take about {seconds} s"
        )


def function_name(target: ProbeTarget) -> str:
    """How a reader knows the function: demangled, else with its version; aliases behind it."""
    name, demangled = target.names[0], target.demangled[0]
    shown = name if demangled == name.partition("@")[0] else demangled
    others = [alias for alias in target.names[1:] if alias.partition("@")[0] != name]
    if others:
        more = f" and {len(others) - MOST_ALIASES} more" if len(others) > MOST_ALIASES else ""
        shown += f" (= {', '.join(others[:MOST_ALIASES])}{more})"
    return escape(shown)


def rate_text(rate: float) -> str:
    """Calls a second: with a decimal below 100."""
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def interval_lines(previous: Snapshot | None, now: Snapshot, top: int | None) -> Iterator[str]:
    """What -i prints each time: the calls since the table before, and the total so far."""
    before = {id(hit.target): hit.calls for hit in previous.hits} if previous else {}
    seconds = now.duration - (previous.duration if previous else 0.0)
    rows = [(hit.calls - before.get(id(hit.target), 0), hit) for hit in now.hits]
    called = sorted((row for row in rows if row[0]), key=lambda row: -row[0])
    yield f"{now.duration:.1f} s: {sum(new for new, _ in called)} calls"
    for new, hit in called[:top]:
        rate = rate_text(new / seconds) if seconds > 0 else "-"
        yield f"{new:>12} {rate:>11}  {function_name(hit.target)}"


def _has_pictures(report: Report) -> bool:
    hits = [row.hits for row in report.rows]
    return report.spans is not None or any(h.latency or h.values or h.stacks for h in hits)


def _by_file(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each file together; the file with the most called function first."""
    paths = list(dict.fromkeys(row.hits.target.file.shown for row in rows))
    return [
        (escape(path), [row for row in rows if row.hits.target.file.shown == path])
        for path in paths
    ]


def _row_lines(row: Row) -> Iterator[str]:
    note = f"  [{escape(row.note)}]" if row.note else ""
    name = function_name(row.hits.target)
    yield f"{row.hits.calls:>12} {rate_text(row.rate):>11}  {name}{note}"
    for group in row.hits.by:
        yield f"{group.calls:>12} {'':>11}    {escape(str(group.key))}"


def _zero_lines(zeros: list[Row]) -> Iterator[str]:
    by_reason = sorted(zeros, key=lambda row: row.reason)
    for reason, alike in groupby(by_reason, key=lambda row: row.reason):
        yield f"{0:>12} {'0.0':>11}  {counted(len(list(alike)), 'function')}  [{escape(reason)}]"


def _rejected_lines(rejected: Sequence[Rejected]) -> Iterator[str]:
    if rejected:
        yield f"not traced ({len(rejected)}):"
    for each in rejected[:MOST_REJECTED]:
        yield f"  {escape(each.name)}: {escape(each.detail)}"
    if len(rejected) > MOST_REJECTED:
        yield f"  and {len(rejected) - MOST_REJECTED} more (--json lists all)"


def _total_lines(report: Report) -> Iterator[str]:
    calls = sum(row.hits.calls for row in report.rows)
    functions = counted(len(report.rows) + report.left_out, "function")
    total = "" if report.left_out else f"{counted(calls, 'call')} of "
    yield f"{total}{functions} in {report.duration:.2f} s ({report.engine})"
    if report.events is not None:
        yield f"{counted(report.events, 'event')}, {report.dropped} dropped"
    if report.missed:
        yield f"missed: {report.missed} hits that the kernel did not hand over, the counts are low"
    if report.overflow:
        yield f"overflow: {report.overflow} calls or processes beyond the tables' size"
    if report.command is not None:
        yield _command_line(report.command)
    for outcome in report.expectations:
        yield _outcome_line(outcome)


def _command_line(command: CommandResult) -> str:
    text = escape(" ".join(command.argv))
    if command.ended is None:
        return f"command: {text}: still running"
    how = f"exit {command.ended.exit}"
    if command.ended.signal is not None:
        how = f"killed by {command.ended.signal}"
    return f"command: {text}: {how}{', ended by symprobe' if command.stopped else ''}"


def _outcome_line(outcome: Outcome) -> str:
    verdict = "held" if outcome.held else "FAILED"
    detail = f", {escape(outcome.detail)}" if outcome.detail else ""
    text = f"{escape(outcome.text)}: {verdict} ({outcome.left} and {outcome.right}{detail})"
    return f"expected {text}"
