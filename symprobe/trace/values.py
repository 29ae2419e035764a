"""Which values an argument or the result takes: its part of the BPF program (bpf/values.c)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from symprobe.trace.arguments import Argument
from symprobe.trace.mode import Measured, OnlyCalls, Setting
from symprobe.trace.program import BpfPart
from symprobe.trace.snapshot import ValueCount
from symprobe.trace.tables import counters, entries
from symprobe.trace.valuetype import Unreadable, Value

MOST_VALUES = 65536
"""Different values in all; calls with others, once there are so many, are reported as overflow."""
MOST_TEXT = 64
"""Bytes of a text that are told apart."""
_UNREAD: dict[int, Value] = {1: Unreadable(0), 2: None}
"""What `unread` of bpf/values.c means."""


@dataclass(frozen=True)
class Values(OnlyCalls):
    """How often each value of one argument, or of the result, has come."""

    argument: Argument

    @property
    def name(self) -> str:
        return "values"

    @property
    def returns(self) -> bool:
        return self.argument.at_return

    @property
    def carries(self) -> bool:
        return not self.argument.at_return

    @property
    def exact_entry(self) -> bool:
        return True

    @property
    def reads_memory(self) -> bool:
        return self.argument.type.is_text

    def part(self, setting: Setting) -> BpfPart:
        size = self.argument.type.text_size(MOST_TEXT)
        member = "u64 number" if size is None else f"char text[{_padded(size)}]"
        defines: list[tuple[str, object]] = [
            ("MOST_VALUES", MOST_VALUES),
            ("VALUE_MEMBER", member),
            ("VALUE_FILL", self._fill(size)),
        ]
        if setting.returns and self.carries:
            defines.append(("VALUE_AT_ENTRY", 1))
        return BpfPart(("values.c",), tuple(defines))

    def _fill(self, size: int | None) -> str:
        number = self.argument.expression
        if size is None:
            return f"key->number = {number}"
        read = f"{self.argument.type.reader}(&key->text, {size}, (void *)address)"
        fill = f"u64 address = {number}; s64 length; WITH_PAGES(length, {size}, address, {read})"
        return f"{{ {fill} key->unread = length >= 0 ? 0 : address ? 2 : 1; }}"

    def read(self, program: Any, setting: Setting) -> Measured:
        size = self.argument.type.text_size(MOST_TEXT)
        width = 8 + (8 if size is None else _padded(size))
        found: list[list[ValueCount]] = [[] for _ in range(setting.targets)]
        for key, cell in entries(program[b"values"], width, 8, MOST_VALUES):
            slot, unread = struct.unpack_from("=II", key)
            value = _UNREAD[unread] if unread else self._decoded(key[8:], size)
            found[slot].append(ValueCount(value, int.from_bytes(cell, "little")))
        for values in found:
            values.sort(key=_most_first)
        lost = sum(counters(program[b"values_lost"], 1))
        return Measured(values=tuple(map(tuple, found)), lost=lost)

    def _decoded(self, raw: bytes, size: int | None) -> Value:
        if size is None:
            return self.argument.type.decode(int.from_bytes(raw, "little"))
        return self.argument.type.decode_text(raw[:size])


def _most_first(each: ValueCount) -> tuple[int, float, str]:
    """Order of most to least; of equals, numbers by their size."""
    number = each.value if isinstance(each.value, int | float) else 0
    return -each.count, number, str(each.value)


def _padded(size: int) -> int:
    return (size + 7) // 8 * 8
