"""The units of .debug_info: where each begins and ends, and what its header says.

Source: DWARF 5 sections 7.4 (32- and 64-bit formats) and 7.5.1 (unit headers).
"""

from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple

from symprobe.dwarf.sections import Sections
from symprobe.errors import SymprobeError

DW_UT_COMPILE, DW_UT_TYPE, DW_UT_PARTIAL, DW_UT_SKELETON = 1, 2, 3, 4
DW_UT_SPLIT_COMPILE, DW_UT_SPLIT_TYPE = 5, 6
_HEADER = 40
"""Bytes that hold the longest unit header: a 64-bit type unit's."""
_MOST_UNITS = 300_000


class Unit(NamedTuple):
    """A unit header. offset, end, die: in .debug_info; die is where its first entry begins.

    kind: DW_UT_*, compile for all units before DWARF 5.  signature: of a type unit, its type's;
    of a skeleton, the split unit's id; else 0.  type_offset: the type's entry, from `offset`.
    """

    offset: int
    end: int
    die: int
    version: int
    kind: int
    address_size: int
    offset_size: int
    abbrevs: int
    signature: int = 0
    type_offset: int = 0


class Units:
    """The units of a file. problem: why not all of them could be read, when `all` has found so.

    Errors: MalformedError where a header makes no sense.
    """

    problem = ""

    def __init__(self, sections: Sections, section: str = "info") -> None:
        """section: info, or the types of DWARF 4, whose units have a signature too."""
        self._sections = sections
        self._info = sections.need(section)
        self._types = section == "types"
        self._known: dict[int, Unit] = {}

    def at(self, offset: int) -> Unit:
        """The unit whose header is at this offset of .debug_info."""
        unit = self._known.get(offset)
        if unit is None:
            unit = self._known[offset] = self._read(offset)
        return unit

    @cached_property
    def all(self) -> list[Unit]:
        """Every unit, in order, up to the first header that makes no sense."""
        units: list[Unit] = []
        offset = 0
        while offset < self._info.size and not self.problem:
            try:
                units.append(self.at(offset))
            except SymprobeError as error:
                self.problem = error.what
            if len(units) == _MOST_UNITS:
                self.problem = f"more than {_MOST_UNITS} units"
            offset = units[-1].end if units else 0
        return units

    @cached_property
    def _starts(self) -> list[int]:
        return [unit.offset for unit in self.all]

    def containing(self, offset: int) -> Unit:
        """The unit that holds this offset of .debug_info."""
        place = bisect_right(self._starts, offset) - 1
        if place < 0 or offset >= self.all[place].end:
            raise self._sections.malformed(f"no unit at offset {offset:#x}")
        return self.all[place]

    @cached_property
    def by_signature(self) -> dict[int, Unit]:
        """The type units by the signature of their type."""
        return {unit.signature: unit for unit in self.all if unit.kind == DW_UT_TYPE}

    def _read(self, offset: int) -> Unit:
        head = self._info.read_available(offset, _HEADER).ljust(_HEADER, b"\0")
        unpack = self._sections.image.unpack
        (length,) = unpack("I", head)
        width, place = 4, 4
        if length == 0xFFFFFFFF:
            (length,) = unpack("Q", head, 4)
            width, place = 8, 12
        word = "Q" if width == 8 else "I"
        end = offset + place + length
        (version,) = unpack("H", head, place)
        place += 2
        kind, signature, type_offset = DW_UT_COMPILE, 0, 0
        if version >= 5:
            kind, address_size, abbrevs = unpack("BB" + word, head, place)
            place += 2 + width
            if kind in (DW_UT_SKELETON, DW_UT_SPLIT_COMPILE, DW_UT_TYPE, DW_UT_SPLIT_TYPE):
                (signature,) = unpack("Q", head, place)
                place += 8
            if kind in (DW_UT_TYPE, DW_UT_SPLIT_TYPE):
                (type_offset,) = unpack(word, head, place)
                place += width
        else:
            abbrevs, address_size = unpack(word + "B", head, place)
            place += width + 1
            if self._types:
                kind = DW_UT_TYPE
                signature, type_offset = unpack("Q" + word, head, place)
                place += 8 + width
        die = offset + place
        if not 2 <= version <= 5 or address_size not in (4, 8) or not die <= end <= self._info.size:
            what = f"no unit header at offset {offset:#x} of .debug_info: {length} bytes, version"
            raise self._sections.malformed(f"{what} {version}, addresses of {address_size} bytes")
        return Unit(
            *(offset, end, die, version, kind, address_size, width, abbrevs),
            signature,
            type_offset,
        )
