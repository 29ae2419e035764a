"""What a trace measures besides calls: the side of the BPF program, and the numbers read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from symprobe.trace.histogram import Histogram
from symprobe.trace.program import BpfPart
from symprobe.trace.snapshot import Span, Stack, ValueCount

MOST_CALLS = 65536
"""Calls that wait for their return at one moment, where the kernel keeps no note of them."""


@dataclass(frozen=True)
class Setting:
    """What a program is compiled for.

    targets: the number of functions; slots from there on tell of loads only.
    returns: it looks at returns.  carry: calls are kept in a table until they return.
    sleepable: the program may wait for a page of the traced process.
    """

    targets: int
    returns: bool = False
    carry: bool = False
    sleepable: bool = False


@dataclass(frozen=True)
class Measured:
    """What a mode has read; by slot where it is a tuple for the targets.

    latency_groups[slot]: by comm or number.  lost: what found a table full.
    """

    latencies: tuple[Histogram | None, ...] = ()
    latency_groups: tuple[dict[str | int, Histogram], ...] = ()
    values: tuple[tuple[ValueCount, ...], ...] = ()
    stacks: tuple[tuple[Stack, ...], ...] = ()
    spans: tuple[Span, ...] | None = None
    events: int | None = None
    dropped: int = 0
    lost: int = 0


class Mode(Protocol):
    """A way to look at calls."""

    @property
    def name(self) -> str:
        """One word for it."""

    @property
    def returns(self) -> bool:
        """Whether it looks at calls when they return; a condition on the result can add that."""

    @property
    def carries(self) -> bool:
        """Whether it then needs what the arguments were."""

    @property
    def exact_entry(self) -> bool:
        """Whether probes must be at the first byte, where arguments are in their places."""

    @property
    def reads_memory(self) -> bool:
        """Whether it reads what arguments point to: it may have to wait for a page."""

    @property
    def only_entries(self) -> str:
        """Why it can't look at returns, empty when it can."""

    def conditional(self, targets: int) -> int:
        """How many targets, the first of them, a condition is for."""

    def part(self, setting: Setting) -> BpfPart:
        """Its part of the BPF program: entered(), and left() when it looks at returns."""

    def start(self, program: Any) -> None:
        """When the program is loaded and the probes are not in yet."""

    def tick(self, program: Any) -> None:
        """Many times a second while the trace runs."""

    def close(self) -> None:
        """Give back what start() has taken."""

    def read(self, program: Any, setting: Setting) -> Measured:
        """The numbers at this moment."""


class OnlyCalls:
    """Nothing but the calls; what other modes have in common with it."""

    @property
    def name(self) -> str:
        return "calls"

    @property
    def returns(self) -> bool:
        return False

    @property
    def carries(self) -> bool:
        return False

    @property
    def exact_entry(self) -> bool:
        return False

    @property
    def reads_memory(self) -> bool:
        return False

    @property
    def only_entries(self) -> str:
        return ""

    def conditional(self, targets: int) -> int:
        return targets

    def part(self, setting: Setting) -> BpfPart:
        return BpfPart(("calls_only.c",), ())

    def start(self, program: Any) -> None:
        """Nothing to do."""

    def tick(self, program: Any) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def read(self, program: Any, setting: Setting) -> Measured:
        return Measured()
