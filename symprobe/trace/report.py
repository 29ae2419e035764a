"""The outcome of a trace as one value, which text and JSON are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from symprobe.probe import Rejected
from symprobe.trace.command import Ended
from symprobe.trace.expect import Outcome
from symprobe.trace.sites import probe_offset
from symprobe.trace.snapshot import Hits, Snapshot, Span


class Row(NamedTuple):
    """One function. probed: the file offset of the probe.

    reason: why it has 0 calls, if so, and what was not counted.
    """

    hits: Hits
    rate: float
    probed: int
    reason: str

    @property
    def note(self) -> str:
        """All that the reader must know of it."""
        return "; ".join(filter(None, (*self.hits.target.notes, self.reason)))


@dataclass(frozen=True)
class CommandResult:
    """The traced command. ended: None while it still runs.  stopped: we have ended it."""

    argv: tuple[str, ...]
    ended: Ended | None
    stopped: bool = False

    @property
    def failed(self) -> bool:
        """Whether it failed by itself."""
        return not self.stopped and self.ended is not None and self.ended.exit != 0


@dataclass(frozen=True)
class Report:
    """rows: most calls first.  left_out: rows that --top dropped.

    mode: what was looked at (Mode.name).  spans, events: None when not asked for.  dropped:
    events for which there was no room.
    """

    rows: tuple[Row, ...]
    left_out: int
    rejected: tuple[Rejected, ...]
    duration: float
    missed: int | None
    overflow: int
    engine: str
    command: CommandResult | None = None
    expectations: tuple[Outcome, ...] = ()
    mode: str = "calls"
    spans: tuple[Span, ...] | None = None
    events: int | None = None
    dropped: int = 0

    @property
    def holds(self) -> bool:
        """Whether all that was asked holds: exit code 0."""
        failed = self.command is not None and self.command.failed
        return not failed and all(outcome.held for outcome in self.expectations)


def rows(
    snapshot: Snapshot, reasons: dict[int, str], *, exact_entry: bool, top: int | None = None
) -> tuple[tuple[Row, ...], int]:
    """The functions, most calls first, and how many `top` leaves out.

    reasons: as explain.reasons() gives them, by the place in snapshot.hits.
    """
    found = [
        Row(
            hit,
            snapshot.rate(hit) if hit.calls else 0.0,
            probe_offset(hit.target, exact_entry),
            reasons.get(index, ""),
        )
        for index, hit in enumerate(snapshot.hits)
    ]
    found.sort(key=lambda row: -row.hits.calls)
    kept = found if top is None else found[:top]
    return tuple(kept), len(found) - len(kept)
