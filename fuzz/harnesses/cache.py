"""ld.so.cache in all its formats."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from symprobe.loader.cache import LoaderCache

LONGEST = 2048


def seeds() -> Iterator[bytes]:
    for order in "<>":
        old = struct.pack(order + "11sxI", b"ld.so-1.7.0", 1)
        old += struct.pack(order + "iII", 3, 0, 10)
        yield old + b"libx.so.1\0/lib/libx.so.1\0"
        new = _new(order)
        yield new
        yield old.ljust((len(old) + 7) // 8 * 8, b"\0") + new


def _new(order: str) -> bytes:
    """Two names, one of them for a glibc-hwcaps level, whose names stand in the extension."""
    strings = b"libx.so.01\0/lib/libx.so.1\0x86-64-v3\0\0\0\0"
    start = 48 + 2 * 24
    extension = start + len(strings)
    endian = 2 if order == "<" else 3
    head = b"glibc-ld.so.cache1.1"
    head += struct.pack(order + "IIB3xI12x", 2, len(strings), endian, extension)
    rows = struct.pack(order + "iIIIQ", 0x303, start, start + 11, 0, 0)
    rows += struct.pack(order + "iIIIQ", 0x303, start, start + 11, 0, (1 << 62) | 1 << 32)
    tail = struct.pack(order + "II", 0xEAA42174, 1)
    tail += struct.pack(order + "IIII", 1, 0, extension + 24, 4)
    return head + rows + strings + tail + struct.pack(order + "I", start + 26)


def check(data: bytes) -> None:
    for big_endian in (False, True):
        cache = LoaderCache(data, big_endian=big_endian)
        for name in cache.names():
            for entry in cache.entries(name):
                assert entry.hwcap >= 0
