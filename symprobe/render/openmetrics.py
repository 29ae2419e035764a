"""The numbers of a trace for Prometheus, in the OpenMetrics format (prometheus_client)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symprobe.render.text import escape
from symprobe.trace.counts import By
from symprobe.trace.histogram import Histogram
from symprobe.trace.snapshot import Group, Hits, Snapshot

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_NS = 1e-9


def openmetrics(snapshot: Snapshot, by: By | None = None) -> bytes:
    """The text of one scrape.  by: what the calls are grouped by, which becomes a label."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics import exposition

    registry = CollectorRegistry()
    registry.register(_Collector(snapshot, by))
    text: bytes = exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
    return text


class _Collector:
    """What prometheus_client asks for the metrics of one snapshot."""

    def __init__(self, snapshot: Snapshot, by: By | None) -> None:
        self._snapshot = snapshot
        self._by = by
        self._labels = ["function", "path", "offset", *([] if by is None else [str(by)])]

    def collect(self) -> Iterator[Any]:
        """One family after the other."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        snapshot = self._snapshot
        calls = CounterMetricFamily(
            "symprobe_calls", "Calls of a function while it was traced.", labels=self._labels
        )
        for hits, group in self._rows():
            made = hits.calls if group is None else group.calls
            calls.add_metric(self._values(hits, group), made)
        yield calls
        yield from self._latencies()
        yield from self._spans()
        unreturned = GaugeMetricFamily(
            "symprobe_unreturned_calls", "Calls not returned yet.", labels=self._labels[:3]
        )
        for hits in snapshot.hits:
            if hits.unreturned is not None:
                unreturned.add_metric(self._values(hits, None)[:3], hits.unreturned)
        yield unreturned
        totals: tuple[tuple[str, str, int | None], ...] = (
            ("missed_hits", "Hits that the kernel did not hand over.", snapshot.missed),
            ("overflow", "Calls or processes beyond the size of a table.", snapshot.overflow),
            ("events", "Events delivered.", snapshot.events),
            ("events_dropped", "Events for which there was no room.", snapshot.dropped),
        )
        for name, text, number in totals:
            if number is not None:
                yield CounterMetricFamily(f"symprobe_{name}", text, value=number)
        duration = "Seconds since all probes were in place."
        yield GaugeMetricFamily("symprobe_trace_seconds", duration, value=snapshot.duration)

    def _rows(self) -> Iterator[tuple[Hits, Group | None]]:
        """Each series: a function, or a function's calls in one group."""
        for hits in self._snapshot.hits:
            if self._by is None:
                yield hits, None
            for group in hits.by:
                yield hits, group

    def _values(self, hits: Hits, group: Group | None) -> list[str]:
        target = hits.target
        name = escape(target.names[0].partition("@")[0])
        values = [name, escape(target.file.shown), f"{target.offset:#x}"]
        if self._by is not None:
            values.append(escape(str(group.key)) if group is not None else "")
        return values

    def _latencies(self) -> Iterator[Any]:
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(
            "symprobe_call_duration_seconds", "From entry to return.", labels=self._labels
        )
        for hits, group in self._rows():
            times = hits.latency if group is None else group.latency
            if times is not None:
                family.add_metric(self._values(hits, group), _buckets(times), times.total * _NS)
        yield family

    def _spans(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

        if self._snapshot.spans is None:
            return
        family = HistogramMetricFamily(
            "symprobe_span_seconds", "From one function to another.", labels=["key"]
        )
        still_open = GaugeMetricFamily("symprobe_open_spans", "Not closed.", labels=["key"])
        for span in self._snapshot.spans:
            key = escape(str(span.key))
            still_open.add_metric([key], span.open)
            if span.times is not None:
                family.add_metric([key], _buckets(span.times), span.times.total * _NS)
        yield family
        yield still_open


def _buckets(times: Histogram) -> list[tuple[str, float]]:
    """Cumulative counts by upper bounds in seconds: the same bounds in every scrape."""
    found, total = [], 0
    for power, held in enumerate(times.counts[:40]):
        total += held
        if power >= 6:  # from 128 ns on
            found.append((repr((2 << power) * _NS), float(total)))
    return [*found, ("+Inf", float(times.count))]
