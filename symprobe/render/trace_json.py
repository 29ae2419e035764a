"""`symprobe trace`: the JSON document (docs/schema/trace.json)."""

from __future__ import annotations

import math
from typing import Any

from symprobe.render.json import put_text, texts
from symprobe.render.resolve import rejected_value
from symprobe.trace.events import Event
from symprobe.trace.histogram import Histogram
from symprobe.trace.report import CommandResult, Report, Row
from symprobe.trace.snapshot import Span, Stack
from symprobe.trace.valuetype import Unreadable, Value


def report_value(report: Report) -> dict[str, Any]:
    """The document's body."""
    value: dict[str, Any] = {
        "mode": report.mode,
        "targets": [_target(row, report.mode) for row in report.rows],
        "left_out": report.left_out,
        "rejected": [rejected_value(each) for each in report.rejected],
        "duration": report.duration,
        "missed": report.missed,
        "overflow": report.overflow,
        "engine": report.engine,
        "command": None if report.command is None else _command(report.command),
        "expectations": [],
    }
    if report.spans is not None:
        value["spans"] = [_span(span) for span in report.spans]
    if report.events is not None:
        value |= {"events": report.events, "dropped": report.dropped}
    for outcome in report.expectations:
        shown: dict[str, Any] = {}
        put_text(shown, "text", outcome.text)
        shown |= {"held": outcome.held, "left": outcome.left, "right": outcome.right}
        put_text(shown, "detail", outcome.detail)
        value["expectations"].append(shown)
    return value


def _target(row: Row, mode: str) -> dict[str, Any]:
    target = row.hits.target
    value: dict[str, Any] = {
        "names": texts(target.names),
        "demangled": texts(target.demangled),
    }
    put_text(value, "path", target.file.shown)
    value |= {
        "build_id": target.build_id,
        "offset": target.offset,
        "probed": row.probed,
        "address": target.vaddr,
        "kind": target.kind,
        "calls": row.hits.calls,
        "rate": row.rate,
        "by": [],
    }
    for group in row.hits.by:
        shown: dict[str, Any] = {}
        if isinstance(group.key, str):
            put_text(shown, "key", group.key)
        else:
            shown["key"] = group.key
        shown["calls"] = group.calls
        if group.latency is not None:
            shown["latency"] = times_value(group.latency)
        value["by"].append(shown)
    value |= _measured(row, mode)
    put_text(value, "note", row.note)
    return value


def _command(command: CommandResult) -> dict[str, Any]:
    ended = command.ended
    return {
        "argv": texts(command.argv),
        "exit": None if ended is None else ended.exit,
        "signal": None if ended is None else ended.signal,
        "stopped": command.stopped,
    }


def event_value(event: Event, names: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object of one event (docs/schema/trace-event.json). names: of its target."""
    value: dict[str, Any] = {
        "event": "call" if event.duration_ns is None else "return",
        "time_ns": event.time_ns,
    }
    put_text(value, "comm", event.comm)
    value |= {"pid": event.pid, "tid": event.tid}
    put_text(value, "function", names[0].partition("@")[0])
    shown: dict[str, Any] = {}
    for label, each in event.values.items():
        _put_value(value if label == "retval" else shown, label, each)
    value["args"] = shown
    if event.duration_ns is not None:
        value["duration_ns"] = event.duration_ns
    return value


def times_value(times: Histogram) -> dict[str, Any]:
    """The JSON object of a histogram of times."""
    return {
        "count": times.count,
        "min_ns": times.least,
        "max_ns": times.most,
        "mean_ns": times.mean,
        "p50_ns": times.percentile(0.5),
        "p90_ns": times.percentile(0.9),
        "p99_ns": times.percentile(0.99),
        "buckets": [
            {"from_ns": bucket.start, "to_ns": bucket.end, "count": bucket.held}
            for bucket in times.buckets()
        ],
    }


_NO_TIMES: dict[str, Any] = {
    "count": 0,
    "min_ns": None,
    "max_ns": None,
    "mean_ns": None,
    "p50_ns": None,
    "p90_ns": None,
    "p99_ns": None,
    "buckets": [],
}


def _measured(row: Row, mode: str) -> dict[str, Any]:
    """What a mode has measured of a function."""
    hits = row.hits
    value: dict[str, Any] = {}
    if hits.unreturned is not None:
        value["unreturned"] = hits.unreturned
    if mode == "latency":
        times = _NO_TIMES if hits.latency is None else times_value(hits.latency)
        value["latency"] = times | {"unreturned": hits.unreturned}
    if mode == "values":
        value["values"] = []
        for each in hits.values:
            shown: dict[str, Any] = {}
            _put_value(shown, "value", each.value)
            value["values"].append(shown | {"count": each.count})
    if mode == "stacks":
        value["stacks"] = [_stack(stack) for stack in hits.stacks]
    return value


def _span(span: Span) -> dict[str, Any]:
    value: dict[str, Any] = {}
    if isinstance(span.key, str):
        put_text(value, "key", span.key)
    else:
        value["key"] = span.key
    times = _NO_TIMES if span.times is None else times_value(span.times)
    return value | times | {"open": span.open}


def _stack(stack: Stack) -> dict[str, Any]:
    frames = []
    for frame in stack.frames:
        shown: dict[str, Any] = {}
        put_text(shown, "name", frame.name or None)
        put_text(shown, "path", frame.path or None)
        frames.append(shown | {"offset": frame.offset})
    return {"count": stack.count, "frames": frames}


def _put_value(into: dict[str, Any], key: str, value: Value) -> None:
    """Bytes as hex; a text as put_text() does it; a number as it is, but no NaN; else null."""
    if isinstance(value, Unreadable):
        into[key] = None
    elif isinstance(value, bytes):
        into[key] = value.hex()
    elif isinstance(value, str):
        put_text(into, key, value)
    elif isinstance(value, float) and not math.isfinite(value):
        into[key] = str(value)
    else:
        into[key] = value
