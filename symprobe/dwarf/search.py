"""Byte searches over whole sections, which decide what must be read and what need not be.

A unit that describes a function holds its name: as the four bytes of its place in .debug_str, or
as an index whose place in .debug_str_offsets holds them, or as the text itself. A unit that holds
none of these can't, so the search is a sound filter; what it finds is then read and judged.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from symprobe.dwarf import constants as dw
from symprobe.dwarf.file import DwarfFile
from symprobe.elf.source import Source

_CHUNK = 4 << 20
_MOST_FOUND = 100_000
_MOST_COMPARED = 4 << 30
"""Bytes compared in one search: those of the section once a pattern."""
_MOST_TAILS, _TAIL = 10_000, 1 << 12


def find_all(source: Source | None, patterns: list[bytes]) -> tuple[list[int], bool]:
    """Where the patterns occur in a section, in order; and whether those are all."""
    if source is None or not patterns:
        return [], True
    overlap = max(map(len, patterns)) - 1
    found: list[int] = []
    place = 0
    while place < source.size:
        chunk = source.read_available(place, _CHUNK + overlap)
        for pattern in patterns:
            at = chunk.find(pattern)
            while 0 <= at < _CHUNK:
                found.append(place + at)
                at = chunk.find(pattern, at + 1)
        if len(found) > _MOST_FOUND:
            return sorted(set(found)), False
        place += _CHUNK
    return sorted(set(found)), True


def string_places(file: DwarfFile, text: bytes) -> tuple[list[list[int]], bool]:
    """Where in .debug_str a string may stand, the likeliest places first; and whether these are
    all.

    Linkers keep a string once, so entries refer to one of these groups only: to it as a string of
    its own, else to the end of a longer one. GNU ld merges it into the first in the order of the
    reversed strings (bfd/merge.c).
    """
    source = file.sections.get("str")
    ends, whole = find_all(source, [text + b"\0"])
    if source is None or not ends:
        return [], whole
    own, tails = [], []
    for place in ends[:_MOST_TAILS]:
        before = source.read_available(max(0, place - _TAIL), min(_TAIL, place))
        head = before.rpartition(b"\0")[2]
        if head:
            tails.append((head[::-1], place))
        else:
            own.append(place)
    groups = ([own] if own else []) + [[place] for _, place in sorted(tails)]
    most = max(4, min(_MOST_COMPARED // file.info.size, 64))
    return groups[:most], whole and len(groups) <= most and len(ends) <= _MOST_TAILS


def mentions(file: DwarfFile, text: bytes, places: list[int]) -> tuple[list[int], bool]:
    """Offsets in .debug_info where the name may stand: as one of these places, or in full; and
    whether these are all."""
    words = [place.to_bytes(4, file.order) for place in places if place < 1 << 32]
    return find_all(file.info, [*words, text + b"\0"] if text else words)


def units_by_index(file: DwarfFile, places: list[int]) -> tuple[list[int], bool]:
    """Offsets of the units whose part of .debug_str_offsets names one of these places (DWARF 5's
    DW_FORM_strx), and whether these are all."""
    source = file.sections.get("str_offsets")
    if source is None or not places:
        return [], True
    words = [place.to_bytes(4, file.order) for place in places if place < 1 << 32]
    found, whole = find_all(source, words)
    if not found:
        return [], whole
    bases = sorted(
        (file.base(unit, dw.DW_AT_STR_OFFSETS_BASE), unit.offset) for unit in file.units.all
    )
    starts = [base for base, _ in bases]
    units: set[int] = set()
    for place in found:
        last = bisect_right(starts, place)
        if last:  # several units may share one base
            first = starts[last - 1]
            units.update(unit for base, unit in bases[:last] if base == first)
    return sorted(units), whole


_ACROSS = rb"[\x31\x47](?:\x10|\x1c|\x24|\xa0\x3e)(?!\x00[^\x00])"
"""DW_AT_abstract_origin or specification, as ref_addr, ref_sup4, ref_sup8 or GNU_ref_alt. Not
followed by a lone 0, which no attribute has for its number: then it is a code and a tag."""


def refers_across(file: DwarfFile) -> bool:
    """Whether any abbreviation may refer from a function or a copy to an entry of another unit,
    as after dwz or link-time optimisation."""
    source = file.sections.get("abbrev")
    place = 0
    while source is not None and place < source.size:
        if re.search(_ACROSS, source.read_available(place, _CHUNK + 8), re.DOTALL):
            return True
        place += _CHUNK
    return False
