"""File offsets of symbols computed from readelf's segments and sections, to judge ours by."""

from __future__ import annotations

import re
from collections.abc import Callable

from symprobe.model import Symbol
from tests.support.readelf import run

WITHOUT_ADDRESSES = {"file", "tls"}
_LOAD = re.compile(r"^ +LOAD +(0x[0-9a-f]+) (0x[0-9a-f]+) 0x[0-9a-f]+ (0x[0-9a-f]+) ", re.MULTILINE)
_SECTION = re.compile(
    r"^ +\[ *(\d+)\] (?:\S+ +)?([A-Z_][A-Z_0-9]*) +[0-9a-f]+ ([0-9a-f]+) [0-9a-f]+ ", re.MULTILINE
)


def by_segments(path: str) -> Callable[[Symbol], int | None]:
    """Of a linked file: the offset through the first PT_LOAD that holds the address."""
    loads = [
        tuple(int(text, 16) for text in found)
        for found in _LOAD.findall(run("readelf", "-lW", path))
    ]

    def offset(symbol: Symbol) -> int | None:
        if symbol.section in ("UND", "ABS", "COM") or symbol.kind in WITHOUT_ADDRESSES:
            return None
        inside = [o + symbol.vaddr - v for o, v, size in loads if v <= symbol.vaddr < v + size]
        return inside[0] if inside else None

    return offset


def by_sections(path: str) -> Callable[[Symbol], int | None]:
    """Of an object file: the start of the symbol's section, and its value."""
    starts = {
        int(number): None if kind == "NOBITS" else int(start, 16)
        for number, kind, start in _SECTION.findall(run("readelf", "-SW", path))
    }

    def offset(symbol: Symbol) -> int | None:
        if symbol.section in ("UND", "ABS", "COM") or symbol.kind in WITHOUT_ADDRESSES:
            return None
        start = starts[symbol.section_index]
        return None if start is None else start + symbol.vaddr

    return offset
