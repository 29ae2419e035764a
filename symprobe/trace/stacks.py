"""Through which callers functions are reached: its part of the BPF program (bpf/stacks.c)."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from symprobe.probe import ProbeTarget
from symprobe.trace.bpfcall import lookup
from symprobe.trace.mmaps import MapWatch
from symprobe.trace.mode import Measured, OnlyCalls, Setting
from symprobe.trace.program import BpfPart
from symprobe.trace.snapshot import Stack
from symprobe.trace.symbolise import Frame, Symboliser
from symprobe.trace.tables import counters, entries

MOST_STACKS = 16384
"""Different stacks; calls with others, once there are so many, are reported as overflow."""
MOST_FRAMES = 127
"""PERF_MAX_STACK_DEPTH: include/uapi/linux/perf_event.h."""

_KEY = struct.Struct("=QIIiI")


@dataclass
class _Names:
    """What a running trace keeps."""

    maps: MapWatch | None = None
    symboliser: Symboliser | None = None


@dataclass(frozen=True)
class Stacks(OnlyCalls):
    """How often which stack of callers has led to each of the targets."""

    targets: tuple[ProbeTarget, ...]
    _names: _Names = field(default_factory=_Names)

    @property
    def name(self) -> str:
        return "stacks"

    @property
    def exact_entry(self) -> bool:
        return True

    @property
    def only_entries(self) -> str:
        return "stacks are taken when calls begin"

    def part(self, setting: Setting) -> BpfPart:
        return BpfPart(("stacks.c",), (("MOST_STACKS", MOST_STACKS),))

    def start(self, program: Any) -> None:
        self._names.maps = MapWatch()
        self._names.symboliser = Symboliser(self._names.maps)

    def close(self) -> None:
        if self._names.maps is not None:
            self._names.maps.close()

    def tick(self, program: Any) -> None:
        """Learn what processes have mapped, while they live."""
        assert self._names.maps is not None
        self._names.maps.look()
        for key, _ in entries(program[b"stack_calls"], _KEY.size, 8, MOST_STACKS):
            self._names.maps.ask(_KEY.unpack(key)[2])

    def read(self, program: Any, setting: Setting) -> Measured:
        self.tick(program)
        found: list[Counter[tuple[Frame, ...]]] = [Counter() for _ in range(setting.targets)]
        kept: dict[int, list[int]] = {}
        for key, cell in entries(program[b"stack_calls"], _KEY.size, 8, MOST_STACKS):
            caller, slot, pid, number, _ = _KEY.unpack(key)
            if number not in kept:
                kept[number] = _addresses(program, number)
            frames = (_itself(self.targets[slot]), *self._callers(pid, caller, kept[number][1:]))
            found[slot][frames] += int.from_bytes(cell, "little")
        stacks = tuple(
            tuple(Stack(count, frames) for frames, count in counter.most_common())
            for counter in found
        )
        return Measured(stacks=stacks, lost=sum(counters(program[b"stacks_lost"], 1)))

    def _callers(self, pid: int, caller: int, walked: list[int]) -> Iterator[Frame]:
        """The caller, which is certain, and those behind it as far as the kernel could walk.

        It walks frame pointers: in code without them it soon arrives where no code is.
        """
        assert self._names.symboliser is not None
        # a return address is behind the call, which may be its function's last byte
        first = self._names.symboliser.frame(pid, caller - 1)
        yield first or Frame("", "", caller)
        for address in walked[1:] if walked[:1] == [caller] else walked:
            frame = self._names.symboliser.frame(pid, address - 1)
            if frame is None:
                return
            yield frame


def _itself(target: ProbeTarget) -> Frame:
    name, demangled = target.names[0].partition("@")[0], target.demangled[0].partition("@")[0]
    return Frame(demangled or name, target.file.shown, target.offset)


def _addresses(program: Any, number: int) -> list[int]:
    """The addresses of a stack, the innermost first."""
    if number < 0:
        return []
    raw = lookup(program[b"stacks"].map_fd, struct.pack("=I", number), 8 * MOST_FRAMES)
    addresses = struct.unpack(f"={MOST_FRAMES}Q", raw)
    return list(addresses[: addresses.index(0)] if 0 in addresses else addresses)
