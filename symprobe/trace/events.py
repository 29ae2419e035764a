"""A record for each call: its part of the BPF program (bpf/events.c), and the records read."""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from symprobe.trace.arguments import Argument
from symprobe.trace.mode import Measured, OnlyCalls, Setting
from symprobe.trace.program import BpfPart
from symprobe.trace.ring import Ring
from symprobe.trace.tables import counters
from symprobe.trace.valuetype import MOST_BYTES, Unreadable, Value

RING_BYTES = 1 << 24
"""Room for events that have not been read yet (200,000 of the smallest)."""

_HEAD = struct.Struct("=QQIIII16s")


@dataclass(frozen=True)
class Event:
    """A call, or with `duration_ns` its return.

    slot: the place of its target.  time_ns: since 1970.  duration_ns: from entry to return, None at
    the entry.  values: the arguments asked for by their labels, the result as `retval`.
    """

    slot: int
    time_ns: int
    duration_ns: int | None
    pid: int
    tid: int
    comm: str
    values: dict[str, Value]


@dataclass
class _Reader:
    """What a running trace keeps: the ring, and how many events were seen."""

    ring: Ring | None = None
    seen: int = 0
    clock: int = 0


@dataclass(frozen=True)
class Events(OnlyCalls):
    """Each call with the values asked for; each return, when the result is among them.

    arguments: in the order shown, the result among them.  deliver: gets the events in order.
    """

    arguments: tuple[Argument, ...]
    deliver: Callable[[Sequence[Event]], None]
    _reader: _Reader = field(default_factory=_Reader)

    @property
    def name(self) -> str:
        return "events"

    @property
    def returns(self) -> bool:
        return any(each.at_return for each in self.arguments)

    @property
    def carries(self) -> bool:
        return not all(each.at_return for each in self.arguments)

    @property
    def exact_entry(self) -> bool:
        return bool(self.arguments)

    @property
    def reads_memory(self) -> bool:
        return any(each.type.is_text for each in self.arguments)

    def part(self, setting: Setting) -> BpfPart:
        pairs = [(number, each) for number, each in enumerate(self.arguments)]
        early = [pair for pair in pairs if not pair[1].at_return]
        late = [pair for pair in pairs if pair[1].at_return]
        defines: list[tuple[str, object]] = [
            ("EVENT_PAGES", RING_BYTES // mmap.PAGESIZE),
            ("EVENT_MEMBERS", _members(pairs)),
            ("CALL_MEMBERS", _members(early)),
            ("FILL_AT_ENTRY", " ".join(_fill(*pair) for pair in early)),
            ("FILL_AT_RETURN", " ".join(_fill(*pair) for pair in late)),
            ("COPY_FROM_CALL", " ".join(_copy(*pair) for pair in early)),
        ]
        return BpfPart(("events.c",), tuple(defines))

    def start(self, program: Any) -> None:
        self._reader.ring = Ring(program[b"events"].map_fd, RING_BYTES)
        self._reader.clock = time.time_ns() - time.monotonic_ns()

    def tick(self, program: Any) -> None:
        if self._reader.ring is not None:
            found = [self._event(record) for record in self._reader.ring.records()]
            self._reader.seen += len(found)
            if found:
                self.deliver(found)

    def close(self) -> None:
        if self._reader.ring is not None:
            self._reader.ring.close()

    def read(self, program: Any, setting: Setting) -> Measured:
        self.tick(program)
        dropped = sum(counters(program[b"events_lost"], 1))
        return Measured(events=self._reader.seen, dropped=dropped)

    def _event(self, record: bytes) -> Event:
        now, begun, slot, tgid, tid, _, comm = _HEAD.unpack_from(record)
        at = _HEAD.size
        values: dict[str, Value] = {}
        for argument in self.arguments:
            raw, size = int.from_bytes(record[at : at + 8], "little"), _text_bytes(argument)
            at += 8
            if size is None:
                values[argument.label] = argument.type.decode(raw)
                continue
            read = int.from_bytes(record[at : at + 8], "little", signed=True)
            text = record[at + 8 : at + 8 + size]
            at += 8 + size
            found = Unreadable(raw) if read < 0 else argument.type.decode_text(text)
            values[argument.label] = found
        return Event(
            slot,
            self._reader.clock + now,
            now - begun if begun else None,
            tgid,
            tid,
            comm.split(b"\0", 1)[0].decode("utf-8", "surrogateescape"),
            values,
        )


def _text_bytes(argument: Argument) -> int | None:
    """The bytes that a text has in a record, a multiple of 8; None for a number."""
    size = argument.type.text_size(MOST_BYTES)
    return None if size is None else (size + 7) // 8 * 8


def _members(pairs: Sequence[tuple[int, Argument]]) -> str:
    """C members: a number, and for a text what reading it gave and its bytes."""
    found = []
    for number, argument in pairs:
        found.append(f"u64 v{number};")
        size = _text_bytes(argument)
        if size is not None:
            found.append(f"s64 n{number}; char t{number}[{size}];")
    return " ".join(found)


def _fill(number: int, argument: Argument) -> str:
    text = f"into->v{number} = {argument.expression};"
    if argument.type.is_text:
        size = argument.type.text_size(MOST_BYTES)
        blank = f"__builtin_memset(into->t{number}, 0, sizeof(into->t{number}));"
        read = f"{argument.type.reader}(into->t{number}, {size}, (void *)into->v{number})"
        text += f" {blank} WITH_PAGES(into->n{number}, {size}, into->v{number}, {read})"
    return text


def _copy(number: int, argument: Argument) -> str:
    text = f"into->v{number} = call->v{number};"
    if argument.type.is_text:
        text += f" into->n{number} = call->n{number};"
        text += f" __builtin_memcpy(into->t{number}, call->t{number}, sizeof(into->t{number}));"
    return text
