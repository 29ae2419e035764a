"""The calls of a trace over time."""

from __future__ import annotations

from dataclasses import dataclass

from symprobe.probe import ProbeTarget
from symprobe.trace.snapshot import Snapshot

MOST_POINTS = 600


@dataclass(frozen=True)
class Series:
    """times: seconds since the start.  totals[i][j]: calls of targets[j] until times[i]."""

    targets: tuple[ProbeTarget, ...]
    times: tuple[float, ...]
    totals: tuple[tuple[int, ...], ...]


class SeriesRecorder:
    """Keeps at most MOST_POINTS moments: when there are more, every other one is dropped."""

    def __init__(self) -> None:
        self._points: list[tuple[float, tuple[int, ...]]] = []
        self._every = 1
        self._seen = 0
        self._targets: tuple[ProbeTarget, ...] = ()

    def add(self, snapshot: Snapshot) -> None:
        """Keep this moment, if it is its turn."""
        self._targets = tuple(hit.target for hit in snapshot.hits)
        if self._seen % self._every == 0:
            totals = tuple(hit.calls for hit in snapshot.hits)
            self._points.append((snapshot.duration, totals))
            if len(self._points) > MOST_POINTS:
                self._points = self._points[::2]
                self._every *= 2
        self._seen += 1

    def series(self) -> Series:
        """All moments kept."""
        times, totals = zip(*self._points, strict=True) if self._points else ((), ())
        return Series(self._targets, tuple(times), tuple(totals))
