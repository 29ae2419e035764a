"""The time from one function to another: its part of the BPF program (bpf/spans.c), its histograms.

A span begins with a call of the first function and ends with a call of the second, in the same
process or thread. Begun anew, or with its process gone, it stays open: that is counted.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from symprobe.errors import TraceError
from symprobe.trace import bccload, bpfcall
from symprobe.trace.btf import member_offsets
from symprobe.trace.counts import MOST_GROUPS, By, group_of, key_member
from symprobe.trace.histogram import WORDS, Histogram
from symprobe.trace.mode import Measured, OnlyCalls, Setting
from symprobe.trace.program import BpfPart
from symprobe.trace.snapshot import Span
from symprobe.trace.tables import counters, entries, per_cpu

MOST_OPEN_SPANS = 65536
"""Spans that are open at one moment; those beyond are reported as overflow."""

_ALL = "all"


@dataclass(frozen=True)
class Spans(OnlyCalls):
    """starts: so many targets, the first of them, begin a span; those from first_end on end it.

    in_thread: both in the same thread, else in the same process.
    """

    starts: int
    first_end: int
    by: By | None = None
    in_thread: bool = False
    _fds: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "span"

    @property
    def only_entries(self) -> str:
        return "spans begin and end when calls begin"

    def conditional(self, targets: int) -> int:
        return self.starts

    def part(self, setting: Setting) -> BpfPart:
        member, fill = (
            ("u32 id", "key->id = 0") if self.by is None else key_member(self.by, "key->")
        )
        shift = "" if self.in_thread else " >> 32"
        defines: list[tuple[str, object]] = [
            ("STARTS", self.starts),
            ("FIRST_END", self.first_end),
            ("MOST_OPEN_SPANS", MOST_OPEN_SPANS),
            ("MOST_GROUPS", MOST_GROUPS),
            ("SPAN_MEMBER", member),
            ("SPAN_FILL", fill),
            ("SPAN_WHO", f"bpf_get_current_pid_tgid(){shift}"),
        ]
        if not self.in_thread:
            defines.append(("SPAN_OF_PROCESS", 1))
        return BpfPart(("histogram.c", "spans.c"), (*defines, *_offsets()))

    def start(self, program: Any) -> None:
        if not _offsets():
            return  # without BTF the spans of killed processes are found at the end
        function = bccload.load_function(program, "on_span_exit", program.RAW_TRACEPOINT)
        try:
            self._fds.append(bpfcall.open_raw_tracepoint(b"sched_process_exit", function.fd))
        except OSError as error:
            raise TraceError("the kernel refuses the tracepoint sched_process_exit") from error

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def read(self, program: Any, setting: Setting) -> Measured:
        size = 16 if self.by is By.COMM else 4
        still_open: Counter[str | int] = Counter()
        for key, count in entries(program[b"unclosed_spans"], size, 8, MOST_GROUPS):
            still_open[self._key(key)] += int.from_bytes(count, "little")
        value = 8 + (size + 7) // 8 * 8
        for _, span in entries(program[b"open_spans"], 4, value, MOST_OPEN_SPANS):
            still_open[self._key(span[8 : 8 + size])] += 1
        closed: dict[str | int, Histogram] = {}
        for key, cpus in per_cpu(program[b"spans"], size, WORDS, MOST_GROUPS):
            merged = Histogram.merged(cpus)
            if merged is not None:
                closed[self._key(key)] = merged
        spans = [Span(key, closed.get(key), still_open[key]) for key in {*closed, *still_open}]
        spans.sort(key=lambda span: (-span.count, str(span.key)))
        return Measured(spans=tuple(spans), lost=sum(counters(program[b"spans_lost"], 1)))

    def _key(self, key: bytes) -> str | int:
        return _ALL if self.by is None else group_of(self.by, key)


def _offsets() -> tuple[tuple[str, int], ...]:
    """What tells that a process has ended with its last thread; nothing without BTF."""
    names = {"TASK_SIGNAL": "task_struct.signal", "SIGNAL_LIVE": "signal_struct.live"}
    try:
        offsets = member_offsets(names.values())
    except TraceError:
        return ()
    return tuple((macro, offsets[name]) for macro, name in names.items())
