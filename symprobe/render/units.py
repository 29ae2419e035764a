"""Durations and numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.trace.histogram import Histogram

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
BAR = "@"
WIDEST_BAR = 52


def duration(ns: float) -> str:
    """Three digits and a unit: `1.05 ms`, `262 µs`, `8 ns`."""
    for size, unit in _UNITS:
        if ns >= size:
            return f"{_three_digits(ns / size)} {unit}"
    return f"{round(ns)} ns"


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def counted(number: int, noun: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def histogram_lines(histogram: Histogram, width: int, *, times: bool = True) -> Iterator[str]:
    """A line a bucket: its range, how many, and a bar, within `width` columns."""
    show = duration if times else str
    buckets = histogram.buckets()
    ranges = [f"[{show(bucket.start)}, {show(bucket.end)})" for bucket in buckets]
    label = max(map(len, ranges))
    most = max(bucket.held for bucket in buckets)
    count = max(5, len(str(most)))
    bar = max(4, min(WIDEST_BAR, width - label - count - 6))
    for shown, bucket in zip(ranges, buckets, strict=True):
        full = round(bar * bucket.held / most)
        if bucket.held and not full:
            full = 1
        yield f"  {shown:<{label}} {bucket.held:>{count}} |{BAR * full:<{bar}}|"


def times_line(histogram: Histogram) -> str:
    """Mean, extremes and percentiles of times in ns."""
    shares = ((50, 0.5), (90, 0.9), (99, 0.99))
    percentiles = [f"p{name} {duration(histogram.percentile(share))}" for name, share in shares]
    return ", ".join(
        [
            f"mean {duration(histogram.mean)}",
            f"min {duration(histogram.least)}",
            *percentiles,
            f"max {duration(histogram.most)}",
        ]
    )
