"""How long calls take: its part of the BPF program (bpf/latency.c), and its histograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symprobe.trace.counts import MOST_GROUPS, By, group_of, key_size
from symprobe.trace.histogram import WORDS, Histogram
from symprobe.trace.mode import Measured, OnlyCalls, Setting
from symprobe.trace.program import BpfPart
from symprobe.trace.tables import per_cpu


@dataclass(frozen=True)
class Latency(OnlyCalls):
    """The time from entry to return of each call, one histogram a function (and group)."""

    by: By | None = None

    @property
    def name(self) -> str:
        return "latency"

    @property
    def returns(self) -> bool:
        return True

    def part(self, setting: Setting) -> BpfPart:
        return BpfPart(("histogram.c", "latency.c"), ())

    def read(self, program: Any, setting: Setting) -> Measured:
        cells: list[list[tuple[int, ...]]] = [[] for _ in range(setting.targets)]
        for key, cpus in per_cpu(program[b"latencies"], 4, WORDS, setting.targets):
            cells[int.from_bytes(key, "little")] += cpus
        groups: list[dict[str | int, Histogram]] = [{} for _ in cells]
        if self.by is not None:
            size = key_size(self.by)
            for key, cpus in per_cpu(program[b"latency_groups"], size, WORDS, MOST_GROUPS):
                slot = int.from_bytes(key[:4], "little")
                cells[slot] += cpus
                merged = Histogram.merged(cpus)
                if merged is not None:
                    groups[slot][group_of(self.by, key[4:])] = merged
        return Measured(latencies=tuple(map(Histogram.merged, cells)), latency_groups=tuple(groups))
