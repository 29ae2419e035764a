"""What is known of each function at one moment: its calls, and what a mode has measured of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from symprobe.probe import ProbeTarget
from symprobe.trace.counts import Counts
from symprobe.trace.mode import Measured
from symprobe.trace.snapshot import Group, Hits


def hits_of(
    targets: Sequence[ProbeTarget],
    refused: Set[int],
    counts: Counts,
    measured: Measured,
    unreturned: list[int] | None,
) -> tuple[Hits, ...]:
    """In the order of the targets, without the refused ones (by slot).

    unreturned: by slot, None when returns were not looked at.
    """
    if not counts.groups and measured == Measured() and unreturned is None:
        every: Iterable[Hits] = map(Hits, targets, counts.calls)
    else:
        every = (
            _hits(target, slot, counts, measured, unreturned) for slot, target in enumerate(targets)
        )
    return tuple(hits for slot, hits in enumerate(every) if slot not in refused)


def _hits(
    target: ProbeTarget,
    slot: int,
    counts: Counts,
    measured: Measured,
    unreturned: list[int] | None,
) -> Hits:
    groups = counts.groups[slot] if counts.groups else {}
    times = measured.latency_groups[slot] if measured.latency_groups else {}
    found = (Group(key, calls, times.get(key)) for key, calls in groups.items())
    return Hits(
        target,
        counts.calls[slot],
        tuple(sorted(found, key=lambda group: (-group.calls, str(group.key)))),
        None if unreturned is None else unreturned[slot],
        measured.latencies[slot] if measured.latencies else None,
        measured.values[slot] if measured.values else (),
        measured.stacks[slot] if measured.stacks else (),
    )
