"""`symprobe trace`: latencies, spans, values, stacks and events as plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from symprobe.probe import ProbeTarget
from symprobe.render.text import escape
from symprobe.render.units import counted, duration, histogram_lines, times_line
from symprobe.trace.events import Event
from symprobe.trace.histogram import Histogram
from symprobe.trace.snapshot import Group, Hits, Span, Stack, ValueCount
from symprobe.trace.symbolise import Frame
from symprobe.trace.valuetype import Unreadable, Value

MOST_VALUES = 20
MOST_STACKS = 10


def mode_lines(name: str, hits: Hits, width: int, top: int | None) -> Iterator[str]:
    """What a mode has measured of one function; nothing when only calls were counted."""
    if hits.unreturned is not None and (hits.latency or hits.unreturned):
        yield from _latency_lines(name, hits, width)
    if hits.values:
        yield from _value_lines(name, hits.values, width, top or MOST_VALUES)
    if hits.stacks:
        yield from _stack_lines(name, hits.stacks, top or MOST_STACKS)


def span_lines(spans: Sequence[Span], width: int) -> Iterator[str]:
    """Each group's spans, most first."""
    if not spans:
        yield "no span was begun"
    for span in spans:
        yield ""
        still_open = f", {span.open} not closed" if span.open else ""
        yield f"{escape(str(span.key))}: {counted(span.count, 'span')}{still_open}"
        if span.times is not None:
            yield f"  {times_line(span.times)}"
            yield from histogram_lines(span.times, width)


def folded_lines(hits: Iterable[Hits]) -> Iterator[str]:
    """A line a stack, the outermost function first, for flame graphs: `main;work;foo 12`."""
    for hit in hits:
        for stack in hit.stacks:
            frames = (_frame_name(frame).replace(";", ":") for frame in reversed(stack.frames))
            yield f"{';'.join(frames)} {stack.count}"


def event_line(event: Event, targets: Sequence[ProbeTarget]) -> str:
    """`12:34:56.123456 bash 4711 4711 exit(arg0=3) = 0 <1.2 ms>`."""
    seconds, ns = divmod(event.time_ns, 1_000_000_000)
    clock = f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{ns // 1000:06d}"
    shown = {label: escape(value_text(value)) for label, value in event.values.items()}
    result = shown.pop("retval", None)
    arguments = ", ".join(f"{label}={text}" for label, text in shown.items())
    text = f"{clock} {escape(event.comm):<15} {event.pid:>7} {event.tid:>7} "
    text += f"{escape(targets[event.slot].names[0].partition('@')[0])}({arguments})"
    if result is not None:
        text += f" = {result}"
    if event.duration_ns is not None:
        text += f" <{duration(event.duration_ns)}>"
    return text


def value_text(value: Value) -> str:
    """A value as C would write it: a text in quotes, those in it with a backslash."""
    if isinstance(value, Unreadable):
        return f"(unreadable {value:#x})" if value else "NULL"
    if value is None:
        return "(unreadable)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, str):
        inside = value.replace("\\", "\\\\") if value.isprintable() else escape(value)
        return '"{}"'.format(inside.replace('"', '\\"'))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _latency_lines(name: str, hits: Hits, width: int) -> Iterator[str]:
    for group in hits.by:
        if group.latency is not None:
            yield from _times(f"{name}, {escape(str(group.key))}", group.latency, 0, width)
    missing = hits.unreturned or 0
    if hits.latency is None:
        yield ""
        yield f"{name}: {counted(missing, 'call')} not returned"
    elif not _all_grouped(hits.by) or missing:
        yield from _times(name, hits.latency, missing, width)


def _all_grouped(groups: Sequence[Group]) -> bool:
    return any(group.latency is not None for group in groups)


def _times(name: str, times: Histogram, missing: int, width: int) -> Iterator[str]:
    yield ""
    not_back = f", {counted(missing, 'call')} not returned" if missing else ""
    yield f"{name}: {times.count} returned{not_back}"
    yield f"  {times_line(times)}"
    yield from histogram_lines(times, width)


def _value_lines(name: str, values: Sequence[ValueCount], width: int, most: int) -> Iterator[str]:
    yield ""
    yield f"{name}: {counted(len(values), 'different value')}"
    for each in values[:most]:
        yield f"{each.count:>12}  {escape(value_text(each.value))}"
    if len(values) > most:
        rest = sum(each.count for each in values[most:])
        yield f"{rest:>12}  {len(values) - most} others"
        numbers = value_histogram(values)
        if numbers is not None:
            yield from histogram_lines(numbers, width, times=False)


def value_histogram(values: Sequence[ValueCount]) -> Histogram | None:
    """Numbers in powers of two, None when some are negative or none numbers."""
    numbers = [(v.value, v.count) for v in values if isinstance(v.value, int) and v.value >= 0]
    return Histogram.of(numbers) if len(numbers) == len(values) else None


def _stack_lines(name: str, stacks: Sequence[Stack], most: int) -> Iterator[str]:
    yield ""
    yield f"{name}: {counted(len(stacks), 'different stack')}"
    for stack in stacks[:most]:
        yield f"{stack.count:>12}"
        for frame in stack.frames:
            yield f"{'':>14}{_frame_name(frame)}{_file(frame)}"
    if len(stacks) > most:
        rest = sum(stack.count for stack in stacks[most:])
        yield f"{rest:>12}  by {len(stacks) - most} other stacks"


def _frame_name(frame: Frame) -> str:
    if frame.name:
        return escape(frame.name)
    if frame.path:
        return f"[{escape(frame.path.rpartition('/')[2])}+{frame.offset:#x}]"
    return f"[{frame.offset:#x}]"


def _file(frame: Frame) -> str:
    return f"  ({escape(frame.path.rpartition('/')[2])})" if frame.name else ""
