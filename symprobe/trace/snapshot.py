"""What a trace has measured at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from symprobe.probe import ProbeTarget


@dataclass(frozen=True)
class Group:
    """The calls of one comm (text), or of one process or thread (its number)."""

    key: str | int
    calls: int


@dataclass(frozen=True)
class Hits:
    """The calls of one target; by: the same calls in groups, most first, when asked for."""

    target: ProbeTarget
    calls: int
    by: tuple[Group, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """hits: in the order of the targets that are probed.

    missed: hits that the kernel did not hand over, None where it does not
    count them.  overflow: calls or processes beyond the size of a table.
    duration: seconds since everything was attached.  loads: for each file by
    (st_dev, st_ino), how often traced processes have loaded it meanwhile; files
    for which that can't be told are left out.
    """

    hits: tuple[Hits, ...]
    missed: int | None
    overflow: int
    duration: float
    loads: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        return sum(hit.calls for hit in self.hits)

    def rate(self, hit: Hits) -> float:
        """Calls per second since everything was attached."""
        return hit.calls / self.duration if self.duration > 0 else 0.0
