"""Numbers in powers of two, as the BPF program collects them (bpf/histogram.c)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

WORDS = 67
"""Numbers of 64 bits in the program's `struct histogram`."""


class Bucket(NamedTuple):
    """How many values v were start <= v < end."""

    start: int
    end: int
    held: int


@dataclass(frozen=True)
class Histogram:
    """counts[n]: values v with 2^n <= v < 2^(n+1); counts[0] holds 0 as well.

    least and most are exact, or the edge of a bucket when a program was
    interrupted in the one moment in which that loses one.
    """

    total: int
    least: int
    most: int
    counts: tuple[int, ...]

    @classmethod
    def merged(cls, cells: Iterable[tuple[int, ...]]) -> Histogram | None:
        """From each CPU's numbers, None when there are no values."""
        columns = list(zip(*cells, strict=True))
        counts = tuple(map(sum, columns[3:]))
        if not any(counts):
            return None
        most, least = max(columns[1]), ~max(columns[2]) & (1 << 64) - 1
        lowest = next(n for n, count in enumerate(counts) if count)
        highest = max(n for n, count in enumerate(counts) if count)
        if _bucket(least) != lowest:
            least = _start(lowest)
        if _bucket(most) != highest:
            most = (2 << highest) - 1
        return cls(sum(columns[0]), least, most, counts)

    @classmethod
    def of(cls, values: Iterable[tuple[int, int]]) -> Histogram | None:
        """From values >= 0, each with how often it has come; None when there are none."""
        counts = [0] * 64
        total, seen = 0, []
        for value, count in values:
            counts[_bucket(value)] += count
            total += value * count
            seen.append(value)
        return cls(total, min(seen), max(seen), tuple(counts)) if seen else None

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean(self) -> float:
        return self.total / self.count

    def percentile(self, share: float) -> int:
        """The value that `share` (0 to 1) of all do not exceed: right to within its bucket."""
        wanted = share * self.count
        passed = 0
        for bucket in self.buckets():
            if passed + bucket.held >= wanted:
                inside = (wanted - passed) / bucket.held if bucket.held else 0.0
                start, end = max(bucket.start, self.least), min(bucket.end - 1, self.most)
                return round(start + inside * (end - start))
            passed += bucket.held
        return self.most

    def buckets(self) -> list[Bucket]:
        """From the first that holds a value to the last."""
        held = [n for n, count in enumerate(self.counts) if count]
        return [Bucket(_start(n), 2 << n, self.counts[n]) for n in range(held[0], held[-1] + 1)]


def _bucket(value: int) -> int:
    return min(63, max(0, value.bit_length() - 1))


def _start(bucket: int) -> int:
    return 1 << bucket if bucket else 0
