"""One file with .debug_info: its units, the attributes of their top entries, addresses, ranges.

Sources: DWARF 5 sections 2.17.3 and 7.25 (range lists), 7.26-7.27 (.debug_addr and
.debug_str_offsets), 3.1 (attributes of units); DWARF 4 section 2.17.3 for .debug_ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal

from symprobe.dwarf import constants as dw
from symprobe.dwarf.abbrev import Abbrev, AbbrevReader, step_over, uleb
from symprobe.dwarf.sections import Sections
from symprobe.dwarf.units import Unit, Units
from symprobe.elf.image import Image

Values = dict[int, tuple[int, int | bytes]]
"""Attributes of an entry: number -> (form, value as it is in the section)."""

ALT, TYPES = 1 << 62, 1 << 61
"""Mark an offset as one into the supplementary file that dwz makes, or into .debug_types."""

TOP_FIELDS = frozenset((
    dw.DW_AT_NAME, dw.DW_AT_COMP_DIR, dw.DW_AT_STMT_LIST, dw.DW_AT_LANGUAGE, dw.DW_AT_PRODUCER,
    dw.DW_AT_LOW_PC, dw.DW_AT_HIGH_PC, dw.DW_AT_RANGES, dw.DW_AT_STR_OFFSETS_BASE,
    dw.DW_AT_ADDR_BASE, dw.DW_AT_RNGLISTS_BASE, dw.DW_AT_LOCLISTS_BASE, dw.DW_AT_DWO_NAME,
    dw.DW_AT_GNU_DWO_NAME, dw.DW_AT_GNU_ADDR_BASE,
))  # fmt: skip
_LONGEST_TOP = 1 << 14
_MOST_RANGES, _LONGEST_RANGES = 1 << 20, 1 << 18
"""Entries of range lists read for one question, in all and of one list."""


def values_at(abbrev: Abbrev, data: bytes, place: int, order: Literal["big", "little"]) -> Values:
    """The interesting attributes of the entry whose attributes begin at `place`.

    Errors: IndexError at the data's end.
    """
    values: Values = {}
    for before, attribute, form, size, constant in abbrev.fields:
        place = step_over(data, place, before, order)
        if form == dw.DW_FORM_IMPLICIT_CONST:
            values[attribute] = (form, constant)
        elif size >= 0:
            values[attribute] = (form, int.from_bytes(data[place : place + size], order))
            place += size
        elif form == dw.DW_FORM_STRING:
            end = data.index(b"\0", place)
            values[attribute] = (form, data[place:end])
            place = end + 1
        elif dw.VARIABLE_STEPS[form] == dw.ULEB:
            value, place = uleb(data, place)
            values[attribute] = (form, value)
        elif form == dw.DW_FORM_EXPRLOC:
            length, place = uleb(data, place)
            values[attribute] = (form, data[place : place + length])
            place += length
        else:  # a block: nothing here reads one
            place = step_over(data, place, (dw.VARIABLE_STEPS[form],), order)
            values[attribute] = (form, b"")
    return values


class DwarfFile:
    """The debug information of one file. Errors of all methods: MalformedError.

    alt: the supplementary file that dwz moved what several files share to, when it was found.
    info: the bytes of the section with the entries, .debug_info.  types: the type units that
    DWARF 4 keeps in .debug_types, as if in a file of their own.
    """

    def __init__(self, image: Image, alt: DwarfFile | None = None, section: str = "info") -> None:
        self.image = image
        self.sections = Sections(image)
        self.info = self.sections.need(section)
        self.units = Units(self.sections, section)
        self.abbrevs = AbbrevReader(self.sections)
        self.order = self.sections.byte_order
        self.alt = alt
        self.types: DwarfFile | None = None
        if section == "info" and self.sections.get("types") is not None:
            self.types = DwarfFile(image, alt, "types")
        self._tops: dict[int, Values] = {}
        self.ask()

    def ask(self) -> None:
        """A new question begins, and may read as much as one may."""
        self._ranges_left = _MOST_RANGES
        self.abbrevs.ask()
        if self.alt is not None:
            self.alt.ask()
        if self.types is not None:
            self.types.ask()

    def malformed(self, what: str) -> Exception:
        return self.sections.malformed(what)

    def top(self, unit: Unit) -> Values:
        """The interesting attributes of the unit's top entry."""
        values = self._tops.get(unit.offset)
        if values is None:
            values = self._tops[unit.offset] = self._read_top(unit)
        return values

    def _read_top(self, unit: Unit) -> Values:
        info = self.info
        for size in (512, _LONGEST_TOP):
            data = info.read_available(unit.die, min(size, unit.end - unit.die))
            try:
                code, place = uleb(data, 0)
                abbrev = self.abbrevs.find(unit, code, TOP_FIELDS)
                if abbrev is None:
                    raise self.malformed(f"no abbreviation {code} for the unit {unit.offset:#x}")
                return values_at(abbrev, data, place, self.order)
            except (IndexError, ValueError):
                continue
        raise self.malformed(f"the top entry of the unit {unit.offset:#x} is cut short")

    def base(self, unit: Unit, *attributes: int) -> int:
        """The value of the first of these attributes that the unit's top entry has, else 0."""
        top = self.top(unit)
        for attribute in attributes:
            if attribute in top:
                value = top[attribute][1]
                return value if isinstance(value, int) else 0
        return 0

    # -- strings

    def string_offset(self, unit: Unit, form: int, value: int) -> int | None:
        """Where in .debug_str (of the supplementary file: | ALT) a string is; None when the form
        keeps it elsewhere."""
        if form == dw.DW_FORM_STRP:
            return value
        if form in (dw.DW_FORM_GNU_STRP_ALT, dw.DW_FORM_STRP_SUP):
            return value | ALT
        if form == dw.DW_FORM_STRX or dw.DW_FORM_STRX1 <= form <= dw.DW_FORM_STRX4:
            base = self.base(unit, dw.DW_AT_STR_OFFSETS_BASE)
            width = unit.offset_size
            return self.sections.number("str_offsets", base + value * width, width)
        return None

    def text(self, unit: Unit, form: int, value: int | bytes) -> str:
        """The string that an attribute stands for; empty for a form that is none."""
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        if form == dw.DW_FORM_LINE_STRP:
            return self.sections.text("line_str", value)
        offset = self.string_offset(unit, form, value)
        if offset is None:
            return ""
        if offset & ALT:
            return self.alt.sections.text("str", offset ^ ALT) if self.alt is not None else ""
        return self.sections.text("str", offset)

    def top_text(self, unit: Unit, attribute: int) -> str:
        """A string of the unit's top entry; empty when it has none."""
        found = self.top(unit).get(attribute)
        return "" if found is None else self.text(unit, *found)

    # -- addresses

    def address(self, unit: Unit, form: int, value: int) -> int:
        """The address that an attribute stands for, directly or as an index to .debug_addr."""
        if form == dw.DW_FORM_ADDR:
            return value
        return self.indexed_address(unit, value)

    def indexed_address(self, unit: Unit, index: int) -> int:
        base = self.base(unit, dw.DW_AT_ADDR_BASE, dw.DW_AT_GNU_ADDR_BASE)
        width = unit.address_size
        return self.sections.number("addr", base + index * width, width)

    def ranges(self, unit: Unit, values: Values) -> list[tuple[int, int]]:
        """[low, high) of an entry's code, in the order of its list; the first holds the entry
        point of a function that compilers split."""
        low = values.get(dw.DW_AT_LOW_PC)
        start = self.address(unit, low[0], int(low[1])) if low is not None else 0
        if dw.DW_AT_RANGES in values:
            form, value = values[dw.DW_AT_RANGES]
            listed = self._listed(unit, form, int(value))
            return list(islice(listed, _LONGEST_RANGES))
        high = values.get(dw.DW_AT_HIGH_PC)
        if low is None or high is None:
            return [] if low is None else [(start, start)]
        form, value = high
        direct = form == dw.DW_FORM_ADDR or form in (dw.DW_FORM_ADDRX, dw.DW_FORM_GNU_ADDR_INDEX)
        direct = direct or dw.DW_FORM_ADDRX1 <= form <= dw.DW_FORM_ADDRX4
        end = self.address(unit, form, int(value)) if direct else start + int(value)
        return [(start, end)]

    def _listed(self, unit: Unit, form: int, value: int) -> Iterator[tuple[int, int]]:
        top = self.top(unit).get(dw.DW_AT_LOW_PC)
        base = self.address(unit, top[0], int(top[1])) if top is not None else 0
        if unit.version < 5:
            return self._old_list(unit, value, base)
        if form == dw.DW_FORM_RNGLISTX:
            table = self.base(unit, dw.DW_AT_RNGLISTS_BASE)
            width = unit.offset_size
            value = table + self.sections.number("rnglists", table + value * width, width)
        return self._list(unit, value, base)

    def _count_range(self) -> None:
        self._ranges_left -= 1
        if self._ranges_left < 0:
            raise self.malformed(f"more than {_MOST_RANGES} entries in range lists")

    def _old_list(self, unit: Unit, place: int, base: int) -> Iterator[tuple[int, int]]:
        width = unit.address_size
        highest = (1 << 8 * width) - 1
        source = self.sections.need("ranges")
        while chunk := source.read_available(place, 2 * width * 128):
            numbers = iter(self.image.numbers("Q" if width == 8 else "I", chunk))
            for low, high in zip(numbers, numbers, strict=False):
                self._count_range()
                if low == high == 0:
                    return
                if low == highest:
                    base = high
                elif low < high:
                    yield base + low, base + high
            place += len(chunk)
        raise self.malformed("a range list ends behind .debug_ranges")

    def _list(self, unit: Unit, place: int, base: int) -> Iterator[tuple[int, int]]:
        """DW_RLE_*: end, base_addressx, startx_endx, startx_length, offset_pair, base_address,
        start_end, start_length, numbered from 0."""
        source = self.sections.need("rnglists")
        chunk, at = b"", 0
        while True:
            if at + _LONGEST_ENTRY > len(chunk):
                place += at
                chunk, at = source.read_available(place, 1 << 12), 0
            self._count_range()
            try:
                kind = chunk[at]
                operands, at = operands_at(chunk, at + 1, _OPERANDS[kind], unit, self)
            except (IndexError, KeyError):
                what = f"a range list can't be understood at {place + at:#x} of .debug_rnglists"
                raise self.malformed(what) from None
            if kind == 0:
                return
            if kind in (1, 5):
                base = self.indexed_address(unit, operands[0]) if kind == 1 else operands[0]
                continue
            first, second = operands
            if kind == 4:
                first, second = base + first, base + second
            elif kind in (2, 3):
                first = self.indexed_address(unit, first)
                second = self.indexed_address(unit, second) if kind == 2 else first + second
            elif kind == 7:
                second += first
            if first < second:
                yield first, second


_LONGEST_ENTRY = 24
_OPERANDS = {0: "", 1: "u", 2: "uu", 3: "uu", 4: "uu", 5: "a", 6: "aa", 7: "au"}
"""DW_RLE_* -> its operands: u for LEB128, a for an address."""


def operands_at(
    data: bytes, place: int, kinds: str, unit: Unit, file: DwarfFile
) -> tuple[list[int], int]:
    """The operands of a list's entry (u: LEB128, a: an address), and the place behind them.

    Errors: IndexError at the data's end.
    """
    operands = []
    for kind in kinds:
        if kind == "u":
            value, place = uleb(data, place)
        else:
            value = int.from_bytes(data[place : place + unit.address_size], file.order)
            place += unit.address_size
        operands.append(value)
    if place > len(data):
        raise IndexError("a list without an end")
    return operands, place
