"""What a trace has measured at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from symprobe.probe import ProbeTarget
from symprobe.trace.histogram import Histogram
from symprobe.trace.symbolise import Frame
from symprobe.trace.valuetype import Value


@dataclass(frozen=True)
class Group:
    """The calls of one comm (text), or of one process or thread (its number)."""

    key: str | int
    calls: int
    latency: Histogram | None = None


@dataclass(frozen=True)
class ValueCount:
    """How often a value has come."""

    value: Value
    count: int


@dataclass(frozen=True)
class Stack:
    """How often a stack has led to a function; frames: the function itself first."""

    count: int
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Span:
    """The spans of one comm, process or thread, or all. times: ns, None when none was closed.

    open: begun and not closed.
    """

    key: str | int
    times: Histogram | None
    open: int

    @property
    def count(self) -> int:
        return self.times.count if self.times is not None else 0


class Hits(NamedTuple):
    """The calls of one target; by: the same calls in groups, most first, when asked for.

    unreturned: calls that have not returned, None when returns were not looked at.  latency: ns
    from entry to return.  values, stacks: most frequent first.
    """

    target: ProbeTarget
    calls: int
    by: tuple[Group, ...] = ()
    unreturned: int | None = None
    latency: Histogram | None = None
    values: tuple[ValueCount, ...] = ()
    stacks: tuple[Stack, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """hits: in the order of the targets that are probed.

    missed: hits that the kernel did not hand over, None where it does not
    count them.  overflow: calls or processes beyond the size of a table.
    duration: seconds since everything was attached.  loads: for each file by
    (st_dev, st_ino), how often traced processes have loaded it meanwhile; files
    for which that can't be told are left out.  spans: None when not asked for.
    events: how many were delivered, None when not asked for; dropped: how many had no room.
    """

    hits: tuple[Hits, ...]
    missed: int | None
    overflow: int
    duration: float
    loads: Mapping[tuple[int, int], int] = field(default_factory=dict)
    spans: tuple[Span, ...] | None = None
    events: int | None = None
    dropped: int = 0

    @property
    def calls(self) -> int:
        return sum(hit.calls for hit in self.hits)

    def rate(self, hit: Hits) -> float:
        """Calls per second since everything was attached."""
        return hit.calls / self.duration if self.duration > 0 else 0.0
