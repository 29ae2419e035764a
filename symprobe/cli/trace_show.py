"""What `symprobe trace` shows: live on a terminal, as plain tables, as a JSON document."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from symprobe.cli.output import complain, emit, emit_document
from symprobe.cli.trace_export import Published
from symprobe.cli.writing import Output
from symprobe.probe import Reason
from symprobe.render.json import document
from symprobe.render.text import escape
from symprobe.render.trace_json import event_value, report_value
from symprobe.render.trace_modes import event_line, folded_lines
from symprobe.render.trace_text import interval_lines, report_lines, started_lines
from symprobe.trace.events import Event
from symprobe.trace.question import Prepared
from symprobe.trace.report import Report
from symprobe.trace.run import Plan, run
from symprobe.trace.series import SeriesRecorder
from symprobe.trace.session import Tracer
from symprobe.trace.snapshot import Snapshot

LIVE_INTERVAL = 0.5
"""Seconds between two drawings of the live table, and two looks for pages and metrics."""
_UNKNOWN = (Reason.NOT_FOUND, Reason.VERSION_NOT_FOUND)
"""Why a name is no function at all, rather than one that can't be traced."""


class Show:
    """Runs a plan and shows it: live on a terminal, as plain tables, as a JSON document."""

    def __init__(
        self,
        plan: Plan,
        *,
        as_json: bool,
        document: Output | None = None,
        folded: bool = False,
        page: Output | None = None,
        published: Published | None = None,
    ) -> None:
        self._plan = plan
        self._json = as_json
        self._document = document
        self._folded = folded
        self._page = page
        self._published = published
        self._recorder = SeriesRecorder()
        self._tables = plan.interval is not None
        self._previous: Snapshot | None = None

    def prepare(self, prepared: Prepared) -> None:
        """Trace with this mode."""
        self._plan = replace(self._plan, prepared=prepared)

    def events(self, found: Sequence[Event]) -> None:
        """Show events as they come: on stdout, as lines or as JSON objects."""
        targets = self._plan.prepared.targets if self._plan.prepared else ()
        if self._json:
            values = (event_value(event, targets[event.slot].names) for event in found)
            heard = emit_document(json.dumps(value) for value in values)
        else:
            heard = emit(event_line(event, targets) for event in found)
        if not heard:
            raise BrokenPipeError
        sys.stdout.flush()

    def trace(self) -> int:
        """The exit code."""
        plan = self._plan
        if not plan.targets:
            return self._nothing()
        prepared = plan.prepared
        quiet = self._json or self._folded or (prepared and prepared.mode.name == "events")
        watched = self._page is not None or (self._published and self._published.wanted)
        if sys.stdout.isatty() and not (plan.command or plan.interval or quiet):
            with ExitStack() as stack:
                paths = dict.fromkeys(target.file.shown for target in plan.targets)
                live = _Live(stack, ", ".join(map(escape, paths)), plan)
                report = run(
                    replace(plan, interval=LIVE_INTERVAL),
                    live.start,
                    self._drawn(live),
                    self._keep,
                )
        else:
            interval = plan.interval or (LIVE_INTERVAL if watched else None)
            report = run(replace(plan, interval=interval), self._started, self._table, self._keep)
        self._finish(report)
        return 0 if report.holds else 1

    def _drawn(self, live: _Live) -> Callable[[Snapshot], None]:
        """What to do with each snapshot on a terminal."""

        def draw(snapshot: Snapshot) -> None:
            self._keep(snapshot)
            live.draw(snapshot)

        return draw

    def _keep(self, snapshot: Snapshot) -> None:
        """For the page and for others: the numbers of this moment."""
        if self._page is not None:
            self._recorder.add(snapshot)
        if self._published is not None:
            self._published.publish(snapshot)

    def _nothing(self) -> int:
        """No SYMBOL became a target: say why, run nothing."""
        for each in self._plan.rejected:
            complain(f"{each.name}: {each.detail}")
        if self._json or self._document is not None:
            self._write(Report((), 0, self._plan.rejected, 0.0, None, 0, ""))
        there = any(each.reason not in _UNKNOWN for each in self._plan.rejected)
        return 2 if self._plan.strict and there else 1

    def _started(self, tracer: Tracer) -> None:
        for line in started_lines(tracer, quiet=bool(self._plan.command)):
            complain(line)

    def _table(self, snapshot: Snapshot) -> None:
        self._keep(snapshot)
        if self._tables and not (self._json or self._folded):
            self._say(interval_lines(self._previous, snapshot, self._plan.top))
        self._previous = snapshot

    def _finish(self, report: Report) -> None:
        if self._json or self._document is not None:
            self._write(report)
        if self._page is not None:
            from symprobe.render.html import html_page

            self._page.write(html_page(report, self._recorder.series()))
        if self._folded:
            emit_document(folded_lines(row.hits for row in report.rows))
        if not self._json:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
            self._say(report_lines(report, width=width, most=self._plan.top))

    def _say(self, lines: Iterable[str]) -> None:
        """Lines for the reader: on stderr where stdout is the command's, or for other lines."""
        events = self._plan.prepared is not None and self._plan.prepared.mode.name == "events"
        if self._document is not None or self._folded or events:
            sys.stderr.writelines(f"{line}\n" for line in lines)
        elif not emit(lines):
            raise BrokenPipeError

    def _write(self, report: Report) -> None:
        text = document("trace", report_value(report))
        if self._document is None:
            emit_document([text])
        else:
            self._document.write(text + "\n")


class _Live:
    """The table that is redrawn on a terminal; it is gone when the stack is closed."""

    def __init__(self, stack: ExitStack, title: str, plan: Plan) -> None:
        from rich.live import Live

        from symprobe.render.trace_live import LiveModes, LiveTable

        self._stack = stack
        only_calls = plan.prepared is None or plan.prepared.mode.name == "calls"
        self._table = LiveTable(title) if only_calls else LiveModes(title, plan.top)
        self._screen = Live(auto_refresh=False, transient=True)

    def start(self, tracer: Tracer) -> None:
        """Draw it for the first time."""
        self._stack.enter_context(self._screen)
        self.draw(tracer.snapshot())

    def draw(self, snapshot: Snapshot) -> None:
        """Redraw it, for the terminal's size of this moment."""
        size = self._screen.console.size
        table = self._table.update(snapshot, size.width, size.height)
        self._screen.update(table, refresh=True)
