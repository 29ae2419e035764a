"""Counting calls: its part of the BPF program (bpf/counts.c), and the numbers read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symprobe.model import TextEnum
from symprobe.trace.program import BpfPart
from symprobe.trace.tables import sums

MOST_GROUPS = 65536
"""Pairs of target and group; calls beyond them count for the target but for no group."""


class By(TextEnum):
    """What calls can be grouped by."""

    COMM = "comm"
    PID = "pid"
    TID = "tid"


def key_member(by: By, into: str) -> tuple[str, str]:
    """The member of a C structure that tells groups apart, and the statement that fills it."""
    if by is By.COMM:
        return "char comm[16]", f"bpf_get_current_comm(&{into}comm, sizeof({into}comm))"
    return "u32 id", f"{into}id = {'SHOWN_TGID' if by is By.PID else 'SHOWN_TID'}"


def key_size(by: By) -> int:
    """Bytes of the key of a slot and a group."""
    return 20 if by is By.COMM else 8


def group_of(by: By, key: bytes) -> str | int:
    """The group from its bytes."""
    if by is By.COMM:
        return key.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    return int.from_bytes(key, "little")


@dataclass(frozen=True)
class Counts:
    """calls[slot]; groups[slot] maps a comm or a process or thread number to its calls.

    ungrouped: calls that are in calls, but found the table of groups full.
    """

    calls: tuple[int, ...]
    groups: tuple[dict[str | int, int], ...]
    ungrouped: int = 0


@dataclass(frozen=True)
class CallCounter:
    """Counts the calls of each slot, and of each slot and group when there is a `by`."""

    slots: int
    by: By | None = None
    most_groups: int = MOST_GROUPS

    def part(self) -> BpfPart:
        """Its part of the BPF program: defines count()."""
        defines: list[tuple[str, object]] = [("SLOTS", self.slots)]
        if self.by is not None:
            key, fill = key_member(self.by, "group.")
            defines += [("BY_KEY", key), ("BY_FILL", fill), ("MOST_GROUPS", self.most_groups)]
        return BpfPart(("counts.c",), tuple(defines))

    def read(self, program: Any) -> Counts:
        """The numbers at this moment."""
        cells = sums(program[b"calls"], 4, self.slots)
        calls = [0] * self.slots
        for key, total in cells:
            calls[int.from_bytes(key, "little")] = total
        if self.by is None:
            return Counts(tuple(calls), ())
        ungrouped = sum(calls)
        groups: list[dict[str | int, int]] = [{} for _ in calls]
        for key, total in sums(program[b"groups"], key_size(self.by), self.most_groups):
            slot = int.from_bytes(key[:4], "little")
            calls[slot] += total
            groups[slot][group_of(self.by, key[4:])] = total
        return Counts(tuple(calls), tuple(groups), ungrouped)
