"""Which unit an address belongs to: .gdb_index or .debug_aranges, else the units' own ranges.

Sources: GDB manual, "Index Section Format"; DWARF 5 section 6.1.2 (lookup by address).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from struct import Struct

from symprobe.dwarf.file import DwarfFile
from symprobe.dwarf.units import DW_UT_TYPE, Unit
from symprobe.errors import SymprobeError

_MOST_RANGES, _MOST_UNITS = 1 << 20, 100_000
_MOST_BYTES = 32 << 20
"""Of .debug_aranges: twice as much as that many ranges take."""
_OVERLAPS = 4096
"""Ranges before an address that are looked at: a function of a header belongs to all the units
that compiled it, when the linker kept one of its copies."""

Range = tuple[int, int, int]
"""[low, high) of an address range, and the offset of its unit."""


class _Table:
    """Ranges sorted by their beginnings, in 24 bytes each."""

    def __init__(self, ranges: Iterator[Range]) -> None:
        lows, highs, units = array("Q"), array("Q"), array("Q")
        for low, high, unit in ranges:
            # Code that the linker dropped keeps a range at 0 or at one of the highest addresses.
            if 0 < low < high < 1 << 64:
                lows.append(low)
                highs.append(high)
                units.append(unit)
        order = sorted(range(len(lows)), key=lows.__getitem__)
        self._lows = array("Q", map(lows.__getitem__, order))
        self._highs = array("Q", map(highs.__getitem__, order))
        self._units = array("Q", map(units.__getitem__, order))

    def units_at(self, vaddr: int) -> list[int]:
        place = bisect_right(self._lows, vaddr)
        found: list[int] = []
        for i in range(place - 1, max(place - 1 - _OVERLAPS, -1), -1):
            if vaddr < self._highs[i] and self._units[i] not in found:
                found.append(self._units[i])
        return sorted(found)


class Addresses:
    """The units by address. What is broken becomes a note, and the next way is tried."""

    def __init__(self, file: DwarfFile) -> None:
        self._file = file
        self.notes: list[str] = []

    def units_at(self, vaddr: int) -> list[Unit]:
        """The units that say they have code there, in their order; mostly one."""
        for table in ("_index", "_scanned"):
            found = [self._file.units.at(unit) for unit in getattr(self, table).units_at(vaddr)]
            if found:
                return found
        return []

    @cached_property
    def _index(self) -> _Table:
        """Of what the linker or gdb-add-index, else the compiler, wrote down."""
        if self._file.sections.get(".gdb_index") is not None:
            return _Table(self._noted(self._gdb_index(), ".gdb_index"))
        return _Table(self._noted(self._aranges(), ".debug_aranges"))

    @cached_property
    def _scanned(self) -> _Table:
        """Of the units' top entries: complete, and the slowest."""
        return _Table(self._noted(self._tops(), ".debug_info"))

    def _noted(self, ranges: Iterator[Range], what: str) -> Iterator[Range]:
        try:
            yield from islice(ranges, _MOST_RANGES)
            if next(ranges, None) is not None:
                self._note(f"only {_MOST_RANGES} address ranges of {what} were read")
        except SymprobeError as error:
            self._note(f"{what} was not read to its end: {error.what}")

    def _note(self, clause: str) -> None:
        if len(self.notes) < 20:
            self.notes.append(clause)

    def _gdb_index(self) -> Iterator[Range]:
        """Version 4 and later: six 32-bit offsets, then the lists of units and the address area,
        always little-endian."""
        source = self._file.sections.need(".gdb_index")
        head = source.read_available(0, 24).ljust(24, b"\0")
        version, units, types, area, symbols = (
            int.from_bytes(head[at : at + 4], "little") for at in (0, 4, 8, 12, 16)
        )
        if not 4 <= version <= 9 or not units <= types <= area <= symbols <= source.size:
            raise self._file.malformed(f".gdb_index has version {version} or is broken")
        table = source.read_available(units, min(types - units, 16 * _MOST_UNITS))
        for place in range(area, symbols - 19, 20 * 4096):
            chunk = source.read_available(place, min(20 * 4096, symbols - place))
            for at in range(0, len(chunk) - 19, 20):
                low = int.from_bytes(chunk[at : at + 8], "little")
                high = int.from_bytes(chunk[at + 8 : at + 16], "little")
                number = int.from_bytes(chunk[at + 16 : at + 20], "little")
                if number * 16 + 16 <= len(table):
                    unit = table[number * 16 : number * 16 + 8]
                    yield low, high, int.from_bytes(unit, "little")

    def _aranges(self) -> Iterator[Range]:
        source, image = self._file.sections.get("aranges"), self._file.image
        data = b"" if source is None else source.read_available(0, _MOST_BYTES)
        order = ">" if image.big_endian else "<"
        narrow, wide = (Struct(f"{order}{text}").unpack_from for text in ("IHIBB", "IQHQBB"))
        place, size = 0, len(data)
        while place + 12 <= size:
            length, _, unit, address_size, segment_size = narrow(data, place)
            end, first = place + 4 + length, place + 12
            if length == 0xFFFFFFFF:
                if place + 24 > size:
                    break
                _, length, _, unit, address_size, segment_size = wide(data, place)
                end, first = place + 12 + length, place + 24
            if address_size not in (4, 8) or segment_size or end > size or not length:
                raise self._file.malformed(f"no set of ranges at {place:#x}")
            first += (place - first) % (2 * address_size)
            numbers = iter(image.numbers("Q" if address_size == 8 else "I", data[first:end]))
            for low, length in zip(numbers, numbers, strict=False):
                if length:
                    yield low, low + length, unit
            place = end
        if source is not None and source.size > size:
            self._note(f"only {_MOST_BYTES >> 20} MiB of .debug_aranges were read")

    def _tops(self) -> Iterator[Range]:
        units = [unit for unit in self._file.units.all if unit.kind != DW_UT_TYPE]
        if self._file.units.problem:
            self._note(self._file.units.problem)
        if len(units) > _MOST_UNITS:
            raise self._file.malformed(f"more than {_MOST_UNITS} units and no index")
        for unit in units:
            try:
                for low, high in self._file.ranges(unit, self._file.top(unit)):
                    yield low, high, unit.offset
            except SymprobeError as error:
                self._note(f"the unit at {unit.offset:#x} was passed over: {error.what}")
