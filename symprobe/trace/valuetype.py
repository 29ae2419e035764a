"""The types that values are read as: `--arg 0:int`, or what debug information says."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symprobe.errors import PatternError

if TYPE_CHECKING:
    from symprobe.dwarf import Encoding

Value = int | float | bool | str | bytes | None

MOST_BYTES = 256
"""Bytes of a text, and of `bytes:N`, that an event carries."""

_NUMBERS = {
    "auto": "likely({})",
    "int": "(s64)(s32)({})",
    "uint": "(u64)(u32)({})",
    "long": "(s64)({})",
    "ulong": "(u64)({})",
    "hex": "(u64)({})",
    "ptr": "(u64)({})",
    "short": "(s64)(s16)({})",
    "ushort": "(u64)(u16)({})",
    "char": "(s64)(s8)({})",
    "uchar": "(u64)(u8)({})",
    "bool": "(u64)(({}) & 0xff)",
    "float": "(u64)(u32)({})",
    "double": "(u64)({})",
    "str": "(u64)({})",
    "bytes": "(u64)({})",
}
_UNSIGNED = {"ulong", "hex", "ptr", "str", "bytes"}
_SHOWN = "int, uint, long, ulong, hex, ptr, str, bytes:N, float, double"
_SIGNED_SIZES = {1: "char", 2: "short", 4: "int", 8: "long"}
_UNSIGNED_SIZES = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong"}


class Address(int):
    """A number that is shown in hexadecimal."""

    def __str__(self) -> str:
        return hex(self)


class Unreadable(int):
    """An address at which nothing could be read, in the place of what stands there."""


@dataclass(frozen=True)
class ValueType:
    """name: one of those in the help, or one that only debug information gives.

    size: of `bytes`.
    """

    name: str
    size: int = 0

    @property
    def is_signed(self) -> bool:
        return self.name not in _UNSIGNED

    @property
    def is_float(self) -> bool:
        return self.name in ("float", "double")

    @property
    def is_text(self) -> bool:
        """Whether the register holds an address, and the value is what stands there."""
        return self.name in ("str", "bytes")

    @property
    def may_be_address(self) -> bool:
        """Whether a text may stand where it points to."""
        return self.is_text or self.name in ("auto", "ptr", "hex", "long", "ulong")

    @property
    def reader(self) -> str:
        """The helper that reads what stands at an address."""
        return "bpf_probe_read_user_str" if self.name == "str" else "bpf_probe_read_user"

    def text_size(self, most: int) -> int | None:
        """Bytes of its value as a text, None for a number."""
        return {"str": most, "bytes": min(self.size, most)}.get(self.name)

    def number(self, expression: str) -> str:
        """The C text for the value of a u64 expression, s64 or u64."""
        return _NUMBERS[self.name].format(expression)

    def decode(self, raw: int) -> Value:
        """The value of the number that the program has stored."""
        if self.name == "float":
            return float(struct.unpack("<f", struct.pack("<I", raw & 0xFFFFFFFF))[0])
        if self.name == "double":
            return float(struct.unpack("<d", struct.pack("<Q", raw))[0])
        if self.name == "bool":
            return bool(raw)
        if self.name in ("hex", "ptr"):
            return Address(raw)
        return raw - (1 << 64) if self.is_signed and raw >> 63 else raw

    def decode_text(self, raw: bytes) -> Value:
        """The value of the bytes that the program has stored."""
        if self.name == "bytes":
            return raw[: self.size]
        return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


AUTO = ValueType("auto")


def value_type(text: str) -> ValueType:
    """The type that a user has written. PatternError names the types that there are."""
    name, _, size = text.partition(":")
    if name == "bytes" and size.isdigit() and 0 < int(size) <= MOST_BYTES:
        return ValueType(name, int(size))
    if name in _NUMBERS and not size and name not in ("auto", "bytes"):
        return ValueType(name)
    raise PatternError(
        f"{text}: not a type", next_step=f"use one of {_SHOWN} (N at most {MOST_BYTES})"
    )


def type_of(name: str, size: int | None, encoding: Encoding | None) -> ValueType:
    """The type that debug information gives."""
    from symprobe.dwarf import Encoding

    if encoding is Encoding.POINTER:
        return ValueType("str" if re.fullmatch(r"(const )?char ?( const)?\*", name) else "ptr")
    if encoding is Encoding.BOOL:
        return ValueType("bool")
    if encoding is Encoding.FLOAT:
        return ValueType("float" if size == 4 else "double")
    if encoding in (Encoding.SIGNED, Encoding.CHAR) and size in _SIGNED_SIZES:
        return ValueType(_SIGNED_SIZES[size])
    if encoding is Encoding.UNSIGNED and size in _UNSIGNED_SIZES:
        return ValueType(_UNSIGNED_SIZES[size])
    return AUTO
