"""Counting calls: its part of the BPF program (bpf/counts.c), and the numbers read back."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symprobe.model import TextEnum
from symprobe.trace.bpfcall import lookup_all
from symprobe.trace.program import BpfPart

MOST_GROUPS = 65536
"""Pairs of target and group; calls beyond them count for the target but for no group."""


class By(TextEnum):
    """What calls can be grouped by."""

    COMM = "comm"
    PID = "pid"
    TID = "tid"


_KEYS = {
    By.COMM: ("char comm[16]", "bpf_get_current_comm(&group.comm, sizeof(group.comm))"),
    By.PID: ("u32 id", "group.id = bpf_get_current_pid_tgid() >> 32"),
    By.TID: ("u32 id", "group.id = bpf_get_current_pid_tgid()"),
}


@dataclass(frozen=True)
class Counts:
    """calls[slot]; groups[slot] maps a comm or a process or thread number to its calls.

    ungrouped: calls that are in calls, but found the table of groups full.
    """

    calls: tuple[int, ...]
    groups: tuple[dict[str | int, int], ...]
    ungrouped: int = 0


@dataclass(frozen=True)
class CountMode:
    """Count the calls of each slot, and of each slot and group when there is a `by`."""

    slots: int
    by: By | None = None
    most_groups: int = MOST_GROUPS

    def part(self) -> BpfPart:
        """Its part of the BPF program: defines hit()."""
        defines: list[tuple[str, object]] = [("SLOTS", self.slots)]
        if self.by is not None:
            key, fill = _KEYS[self.by]
            defines += [("BY_KEY", key), ("BY_FILL", fill), ("MOST_GROUPS", self.most_groups)]
        return BpfPart(("counts.c",), tuple(defines))

    def read(self, program: Any) -> Counts:
        """The numbers at this moment."""
        cells = _sums(program[b"calls"], 4, self.slots)
        calls = [0] * self.slots
        for key, total in cells:
            calls[int.from_bytes(key, "little")] = total
        if self.by is None:
            return Counts(tuple(calls), ())
        ungrouped = sum(calls)
        groups: list[dict[str | int, int]] = [{} for _ in calls]
        key_size = 20 if self.by is By.COMM else 8
        for key, total in _sums(program[b"groups"], key_size, self.most_groups):
            slot = int.from_bytes(key[:4], "little")
            calls[slot] += total
            groups[slot][self._name(key[4:])] = total
        return Counts(tuple(calls), tuple(groups), ungrouped)

    def _name(self, key: bytes) -> str | int:
        if self.by is By.COMM:
            return key.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        return int.from_bytes(key, "little")


def possible_cpus(path: str = "/sys/devices/system/cpu/possible") -> int:
    """How many values a per-CPU map holds for a key: the CPUs of a list such as `0-3,8-11`."""
    ranges = (part.split("-") for part in Path(path).read_text(encoding="ascii").split(","))
    return sum(int(each[-1]) - int(each[0]) + 1 for each in ranges)


def _sums(table: Any, key_size: int, most: int) -> list[tuple[bytes, int]]:
    """Each key of a per-CPU map of u64 with the sum over the CPUs."""
    cpus = possible_cpus()
    try:
        keys, values = lookup_all(table.map_fd, key_size, 8 * cpus, most)
    except OSError:  # no batch operations (kernel < 5.13 for arrays): one key at a time
        return [(bytes(key), sum(values)) for key, values in table.items()]
    cells = array("Q", values)
    totals = map(sum, zip(*(cells[cpu::cpus] for cpu in range(cpus)), strict=True))
    return list(
        zip((key for (key,) in struct.iter_unpack(f"{key_size}s", keys)), totals, strict=True)
    )
