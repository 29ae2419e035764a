"""Through which callers functions are reached: its part of the BPF program (bpf/stacks.c)."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from symprobe.model import FilePath
from symprobe.probe import ProbeTarget
from symprobe.trace.bpfcall import lookup
from symprobe.trace.mode import Measured, OnlyCalls, Setting
from symprobe.trace.program import BpfPart
from symprobe.trace.snapshot import Stack
from symprobe.trace.symbolise import Frame, Symboliser
from symprobe.trace.tables import counters, entries

MOST_STACKS = 16384
"""Different stacks; calls with others, once there are so many, are reported as overflow."""
MOST_FRAMES = 127
"""PERF_MAX_STACK_DEPTH: include/uapi/linux/perf_event.h."""

_KEY = struct.Struct("=QQIIiI")
_FRAME = struct.Struct("=i20sQ")
"""struct bpf_stack_build_id: include/uapi/linux/bpf.h."""
_EMPTY, _BY_BUILD_ID = 0, 1


@dataclass(frozen=True)
class Stacks(OnlyCalls):
    """The most frequent stacks.  files: those whose functions may be on them."""

    targets: tuple[ProbeTarget, ...]
    files: Sequence[FilePath] = ()
    _symboliser: list[Symboliser] = field(default_factory=list)

    @property
    def exact_entry(self) -> bool:
        return True

    @property
    def only_entries(self) -> str:
        return "stacks are taken when calls begin"

    def part(self, setting: Setting) -> BpfPart:
        return BpfPart(("stacks.c",), (("MOST_STACKS", MOST_STACKS),))

    def tick(self, program: Any) -> None:
        """Processes may end: what they have mapped must be seen before."""
        names = self._names()
        for key, _ in entries(program[b"stack_calls"], _KEY.size, 8, MOST_STACKS):
            pid = _KEY.unpack(key)[3]
            if not names.knows(pid):
                names.look(pid)

    def read(self, program: Any, setting: Setting) -> Measured:
        self.tick(program)
        names = self._names()
        found: list[Counter[tuple[Frame, ...]]] = [Counter() for _ in range(setting.targets)]
        kept: dict[int, list[tuple[int, str, int]]] = {}
        for key, cell in entries(program[b"stack_calls"], _KEY.size, 8, MOST_STACKS):
            entry, caller, slot, pid, number, _ = _KEY.unpack(key)
            if number not in kept:
                kept[number] = list(_frames(program, number))
            target = self.targets[slot]
            bias = entry - target.vaddr
            frames = [names.at(target.file, target.vaddr) or Frame("", target.file.shown, 0)]
            rest = kept[number][1:]
            second = rest[0] if rest else None
            called_by = _place(names, target, bias, pid, (0, "", caller))
            if second is None or _place(names, target, bias, pid, second) != called_by:
                frames.append(called_by)
            frames += [_place(names, target, bias, pid, each) for each in rest]
            found[slot][tuple(frames)] += int.from_bytes(cell, "little")
        stacks = tuple(
            tuple(Stack(count, frames) for frames, count in counter.most_common())
            for counter in found
        )
        return Measured(stacks=stacks, lost=sum(counters(program[b"stacks_lost"], 1)))

    def _names(self) -> Symboliser:
        if not self._symboliser:
            files = dict.fromkeys((*(target.file for target in self.targets), *self.files))
            self._symboliser.append(Symboliser(files))
        return self._symboliser[0]


def _frames(program: Any, number: int) -> Iterator[tuple[int, str, int]]:
    """The frames of a stack as (status, build ID, file offset or address), the innermost first."""
    if number < 0:
        return
    raw = lookup(program[b"stacks"].map_fd, struct.pack("=I", number), _FRAME.size * MOST_FRAMES)
    for status, identity, place in _FRAME.iter_unpack(raw):
        if status == _EMPTY:
            return
        yield status, identity.hex() if status == _BY_BUILD_ID else "", place


def _place(
    names: Symboliser, target: ProbeTarget, bias: int, pid: int, frame: tuple[int, str, int]
) -> Frame:
    """A caller: the return address is behind the call, which may be its function's last byte."""
    _, identity, place = frame
    if identity:
        return names.by_build_id(identity, place - 1)
    return names.at(target.file, place - 1 - bias) or names.in_process(pid, place - 1)
