"""`symprobe trace` on a terminal: a table that is redrawn while the trace runs (rich)."""

from __future__ import annotations

from collections import deque
from typing import Any

from symprobe.render.trace_modes import mode_lines, span_lines
from symprobe.render.trace_text import function_name, rate_text
from symprobe.trace.snapshot import Hits, Snapshot

_BARS = " ▁▂▃▄▅▆▇█"
_HISTORY = 20
"""Rates kept for a sparkline."""


def sparkline(rates: deque[float], width: int = _HISTORY) -> str:
    """The last rates as bars, the highest of them full; empty cells before the first."""
    most = max(rates, default=0.0)
    bars = "".join(_BARS[round(rate / most * (len(_BARS) - 1))] if most else " " for rate in rates)
    return bars[-width:].rjust(width)


class LiveModes:
    """What a mode has measured so far, of the functions called most: as many lines as fit."""

    def __init__(self, title: str, top: int | None) -> None:
        self._title = title
        self._top = top

    def update(self, snapshot: Snapshot, width: int, height: int) -> Any:
        """The rich text for this moment, for a terminal of that size."""
        from rich.text import Text

        lines = [self._title, f"{snapshot.calls} calls in {snapshot.duration:.0f} s, Ctrl-C ends"]
        for hit in sorted(snapshot.hits, key=lambda hit: -hit.calls):
            lines += mode_lines(function_name(hit.target), hit, width - 1, self._top)
            if len(lines) > height:
                break
        if snapshot.spans is not None:
            lines += span_lines(snapshot.spans, width - 1)
        shown = "\n".join(line[: width - 1] for line in lines[: max(1, height - 1)])
        return Text(shown, no_wrap=True)


class LiveTable:
    """Calls, calls/s and its history of the functions called most, in as many rows as fit."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._previous: Snapshot | None = None
        self._rates: dict[int, deque[float]] = {}

    def update(self, snapshot: Snapshot, width: int, height: int) -> Any:
        """The rich table for this moment, for a terminal of that size."""
        from rich.table import Table
        from rich.text import Text

        self._learn(snapshot)
        table = Table(title=Text(self._title), title_justify="left", expand=True, box=None)
        table.add_column("calls", justify="right", no_wrap=True)
        table.add_column("calls/s", justify="right", no_wrap=True)
        wide = width >= 80
        if wide:
            table.add_column("", no_wrap=True, style="green")
        table.add_column("function", no_wrap=True, overflow="ellipsis", ratio=1)
        fitting = sorted(snapshot.hits, key=lambda hit: -hit.calls)[: max(1, height - 5)]
        for hit in fitting:
            rates = self._rates[id(hit.target)]
            cells = [str(hit.calls), rate_text(rates[-1] if rates else 0.0)]
            if wide:
                cells.append(sparkline(rates))
            table.add_row(*cells, Text(function_name(hit.target)))
        hidden = len(snapshot.hits) - len(fitting)
        more = f", {hidden} functions more" if hidden else ""
        table.caption = Text(
            f"{snapshot.calls} calls in {snapshot.duration:.0f} s{more}, Ctrl-C ends"
        )
        table.caption_justify = "left"
        return table

    def _learn(self, snapshot: Snapshot) -> None:
        """Add the rates since the snapshot before."""
        previous = self._previous
        before = {id(hit.target): hit.calls for hit in previous.hits} if previous else {}
        seconds = snapshot.duration - (previous.duration if previous else 0.0)
        for hit in snapshot.hits:
            rates = self._rates.setdefault(id(hit.target), deque(maxlen=_HISTORY))
            rates.append(_rate(hit, before.get(id(hit.target), 0), seconds))
        self._previous = snapshot


def _rate(hit: Hits, before: int, seconds: float) -> float:
    return (hit.calls - before) / seconds if seconds > 0 else 0.0
