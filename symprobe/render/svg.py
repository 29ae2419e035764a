"""Pictures as SVG text: histograms, lines over time, flame graphs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as quoted

from symprobe.render.text import escape
from symprobe.render.units import duration
from symprobe.trace.histogram import Histogram
from symprobe.trace.snapshot import Stack

COLOURS = ("#3b7dd8", "#d8693b", "#3ba272", "#a252c8", "#c2a21c", "#c83b6b", "#3bb0c8", "#7d7d7d")
WIDTH = 720


def safe(text: str) -> str:
    """A text from a file or process, inert in HTML and for the eye."""
    return quoted(escape(text))


def histogram(times: Histogram, title: str, *, as_times: bool = True) -> str:
    """A bar a bucket, with its range and its number."""
    show = duration if as_times else str
    buckets = times.buckets()
    most = max(bucket.held for bucket in buckets)
    row, left, bars = 20, 150, WIDTH - 230
    lines = []
    for place, bucket in enumerate(buckets):
        y = place * row
        width = bars * bucket.held / most
        label = f"[{show(bucket.start)}, {show(bucket.end)})"
        lines.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{quoted(label)}</text>'
            f'<rect x="{left}" y="{y + 2}" width="{width:.1f}" height="{row - 4}" rx="2"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + 14}">{bucket.held}</text>'
        )
    return _svg("histogram", title, row * len(buckets), "".join(lines))


def lines_over_time(
    times: Sequence[float], rates: Sequence[tuple[str, Sequence[float]]], title: str
) -> str:
    """One line a name; rates[i] belong to times[i]."""
    height, left, bottom = 220, 70, 24
    top_rate = max((rate for _, each in rates for rate in each), default=0.0) or 1.0
    start, end = times[0], max(times[-1], times[0] + 1e-9)

    def point(time: float, rate: float) -> str:
        x = left + (WIDTH - left - 10) * (time - start) / (end - start)
        y = (height - bottom) * (1 - rate / top_rate) + 8
        return f"{x:.1f},{y:.1f}"

    found = []
    for step in range(5):
        rate = top_rate * step / 4
        y = (height - bottom) * (1 - step / 4) + 8
        found.append(
            f'<line class="grid" x1="{left}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{rate:,.3g}</text>'
        )
    for colour, (name, each) in zip(COLOURS, rates, strict=False):
        points = " ".join(point(time, rate) for time, rate in zip(times, each, strict=True))
        found.append(
            f'<polyline points="{points}" stroke="{colour}" fill="none" stroke-width="1.6">'
            f"<title>{safe(name)}</title></polyline>"
        )
    found.append(
        f'<text x="{left}" y="{height + 6}">{start:.1f} s</text>'
        f'<text x="{WIDTH - 10}" y="{height + 6}" text-anchor="end">{end:.1f} s</text>'
    )
    return _svg("rates", title, height + 12, "".join(found))


def flame(stacks: Sequence[Stack], title: str) -> str:
    """A flame graph: the outermost callers below, each as wide as often it was on a stack."""
    row, deepest = 18, max(len(stack.frames) for stack in stacks)
    total = sum(stack.count for stack in stacks)
    found: list[str] = []

    def draw(part: list[tuple[tuple[str, ...], int]], depth: int, x: float) -> None:
        groups: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for frames, count in part:
            if frames:
                groups.setdefault(frames[0], []).append((frames[1:], count))
        for name, inside in sorted(groups.items()):
            count = sum(number for _, number in inside)
            width = WIDTH * count / total
            if width < 0.5:
                continue
            y = (deepest - depth - 1) * row
            shown = name if len(name) * 7.4 < width - 4 else name[: int((width - 4) / 7.4)]
            colour = COLOURS[sum(map(ord, name)) % len(COLOURS)]
            found.append(
                f'<g><title>{safe(name)}: {count}</title><rect x="{x:.1f}" y="{y}" '
                f'width="{width:.1f}" height="{row - 1}" fill="{colour}" fill-opacity="0.45"/>'
                f'<text x="{x + 3:.1f}" y="{y + 13}">{safe(shown)}</text></g>'
            )
            draw(inside, depth + 1, x)
            x += width

    whole = [
        (
            tuple(frame.name or f"[{frame.offset:#x}]" for frame in reversed(stack.frames)),
            stack.count,
        )
        for stack in stacks
    ]
    draw(whole, 0, 0.0)
    return _svg("flame", title, deepest * row, "".join(found))


def _svg(kind: str, title: str, height: float, inside: str) -> str:
    return (
        f'<svg class="{kind}" role="img" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{safe(title)}</title>{inside}</svg>'
    )
