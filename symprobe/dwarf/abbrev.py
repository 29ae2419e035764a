"""Abbreviations as plans: how to step over an entry, and where its interesting attributes are.

Source: DWARF 5 sections 7.5.3 (abbreviations), 7.5.5 (forms), 7.6 (LEB128).
"""

from collections.abc import Container
from functools import cache
from typing import NamedTuple

from symprobe.dwarf import constants as dw
from symprobe.dwarf.sections import Sections
from symprobe.dwarf.units import Unit

_MOST_BYTES, _MOST_TOP_BYTES = 1 << 19, 1 << 16
"""Of one table of abbreviations (the largest seen, of a unit of 14 MB, has 25 KB), and how much
of it is searched for the one of a top entry."""
_MOST_WHOLE = 4096
_MOST_READ = 12 << 20
"""Bytes of abbreviations read for one question."""

Steps = tuple[int, ...]


class Field(NamedTuple):
    """An interesting attribute: the steps from the field before, its form, its size (-1: in the
    data), and its value when the abbreviation itself holds it (implicit_const)."""

    before: Steps
    attribute: int
    form: int
    size: int
    constant: int


class Abbrev(NamedTuple):
    """One abbreviation. skip: over all of an entry's attributes, bytes when that is always the
    same.  fields: the interesting attributes; only tags in `wanted` have some.  place: where it
    stands in its table."""

    tag: int
    children: bool
    skip: int | Steps
    fields: tuple[Field, ...]
    place: int


WANTED: dict[int, frozenset[int]] = {
    tag: frozenset(attributes)
    for tag, attributes in (
        (dw.DW_TAG_SUBPROGRAM, (
            dw.DW_AT_NAME, dw.DW_AT_LINKAGE_NAME, dw.DW_AT_MIPS_LINKAGE_NAME, dw.DW_AT_LOW_PC,
            dw.DW_AT_HIGH_PC, dw.DW_AT_RANGES, dw.DW_AT_ABSTRACT_ORIGIN, dw.DW_AT_SPECIFICATION,
            dw.DW_AT_DECL_FILE, dw.DW_AT_DECL_LINE, dw.DW_AT_EXTERNAL)),
        (dw.DW_TAG_INLINED_SUBROUTINE, (
            dw.DW_AT_ABSTRACT_ORIGIN, dw.DW_AT_LOW_PC, dw.DW_AT_RANGES)),
    )
}  # fmt: skip
"""What the skimming reads: of functions and of inlined copies."""


def uleb(data: bytes, place: int) -> tuple[int, int]:
    """An unsigned LEB128 number and the place behind it. Errors: IndexError at the data's end."""
    byte = data[place]
    place += 1
    if byte < 0x80:
        return byte, place
    value, shift = byte & 0x7F, 7
    while byte >= 0x80:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > 70:
            raise IndexError("a number of more than ten bytes")
    return value, place


def step_over(data: bytes, place: int, steps: Steps, order: str) -> int:
    """The place behind forms. Errors: IndexError at the data's end."""
    for step in steps:
        if step >= 0:
            place += step
        elif step == dw.ULEB:
            while data[place] >= 0x80:
                place += 1
            place += 1
        elif step == dw.TEXT:
            place = data.find(b"\0", place) + 1
            if not place:
                raise IndexError("a string without an end")
        elif step == dw.BLOCK:
            size, place = uleb(data, place)
            place += size
        else:
            width = {dw.BLOCK1: 1, dw.BLOCK2: 2, dw.BLOCK4: 4}[step]
            size = int.from_bytes(data[place : place + width], order)  # type: ignore[arg-type]
            place += width + size
    return place


class AbbrevReader:
    """Reads tables of abbreviations and keeps them: units share them after dwz."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections
        self._tables: dict[tuple[int, int, int, int], dict[int, Abbrev]] = {}
        self._whole: dict[tuple[int, int, int], Abbrev] = {}
        self._endless: set[int] = set()
        """Offsets where no end was found."""
        self.ask()

    def ask(self) -> None:
        """A new question begins, and may read as much as one may."""
        self._left = _MOST_READ

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self._sections.malformed(f"more than {_MOST_READ >> 20} MiB of abbreviations")

    def table(self, unit: Unit) -> dict[int, Abbrev]:
        """The unit's abbreviations by their codes. Errors: MalformedError."""
        key = (unit.abbrevs, unit.address_size, unit.offset_size, min(unit.version, 3))
        table = self._tables.get(key)
        if table is None:
            if len(self._tables) > 64:
                self._tables.clear()
            table = self._tables[key] = self._read(unit)
        return table

    def whole(self, unit: Unit, code: int) -> Abbrev:
        """The abbreviation of that code, with all its attributes as fields.

        Errors: MalformedError; KeyError when there is none.
        """
        known = self.table(unit)[code]
        key = (unit.abbrevs, known.place, unit.address_size)
        abbrev = self._whole.get(key)
        if abbrev is None:
            if len(self._whole) > _MOST_WHOLE:
                self._whole.clear()
            source, size = self._sections.need("abbrev"), 1 << 8
            while True:
                data = source.read_available(unit.abbrevs + known.place, size)
                try:
                    _, abbrev, _ = _one(data, 0, _sizes(unit), _ALL)
                    break
                except IndexError:
                    size = _MOST_BYTES  # it has an end within that: the table was read
            self._whole[key] = abbrev
        return abbrev

    def _read(self, unit: Unit) -> dict[int, Abbrev]:
        source = self._sections.need("abbrev")
        for size in (1 << 14, _MOST_BYTES):
            data = source.read_available(unit.abbrevs, size)
            try:
                table, read = _table(data, unit)
                self._count(read)
                return table
            except IndexError:
                self._count(size)
                continue
            except KeyError as error:
                raise self._sections.malformed(f"unknown form {error} in .debug_abbrev") from None
        what = f"the abbreviations at offset {unit.abbrevs:#x} have no end within {size} bytes"
        raise self._sections.malformed(what)

    def find(self, unit: Unit, code: int, wanted: frozenset[int]) -> Abbrev | None:
        """The abbreviation of that code, with those attributes as fields: of a unit's top entry,
        without reading the whole table."""
        source, sizes = self._sections.need("abbrev"), _sizes(unit)
        if unit.abbrevs in self._endless:
            return None
        for size in (1 << 12, _MOST_TOP_BYTES):
            data = source.read_available(unit.abbrevs, size)
            place, found = 0, -1
            try:
                while found:
                    found, abbrev, place = _one(data, place, sizes, wanted)
                    if found == code:
                        self._count(place)
                        return abbrev
                return None
            except IndexError:
                self._count(size)
                continue
            except KeyError:
                return None
        self._endless.add(unit.abbrevs)
        return None


def _table(data: bytes, unit: Unit) -> tuple[dict[int, Abbrev], int]:
    """The table, and how many bytes it has."""
    table: dict[int, Abbrev] = {}
    sizes = _sizes(unit)
    place = 0
    while True:
        code, abbrev, place = _one(data, place, sizes, None)
        if not code:
            return table, place
        table[code] = abbrev


_END = Abbrev(0, False, 0, (), 0)
_NONE: frozenset[int] = frozenset()
_ALL = range(1 << 64)


def _one(
    data: bytes, place: int, sizes: dict[int, int], wanted: Container[int] | None
) -> tuple[int, Abbrev, int]:
    """(code, abbreviation, the place behind it); code 0 ends the table.

    sizes: form -> step.  wanted: the attributes that become fields; None for those of its tag in
    WANTED. Errors: IndexError at the data's end, KeyError for an unknown form, indirect included:
    its size is not known before the entry is read, and no compiler writes it.
    """
    start = place
    code, place = uleb(data, place)
    if not code:
        return 0, _END, place
    tag, place = uleb(data, place)
    children = data[place] != 0
    place += 1
    chosen: Container[int] = WANTED.get(tag, _NONE) if wanted is None else wanted
    steps: list[int] = []
    since = 0
    """Where in `steps` those after the last field begin."""
    fields = []
    while True:
        attribute, form = data[place], data[place + 1]
        if attribute < 0x80 and form < 0x80:
            place += 2
        else:
            attribute, place = uleb(data, place)
            form, place = uleb(data, place)
        if not attribute and not form:
            break
        constant = 0
        if form == dw.DW_FORM_IMPLICIT_CONST:
            constant, place = uleb(data, place)
        step = sizes[form]
        if attribute in chosen:
            before = merged(steps[since:])
            fields.append(Field(before, attribute, form, max(step, -1), constant))
            since = len(steps) + 1
        steps.append(step)
    skip: int | Steps = sum(steps) if not steps or min(steps) >= 0 else merged(steps)
    return code, Abbrev(tag, children, skip, tuple(fields), start), place


@cache
def _form_sizes(address_size: int, offset_size: int, old: bool) -> dict[int, int]:
    sizes = {**dw.VARIABLE_STEPS, **dw.FIXED_SIZES, dw.DW_FORM_ADDR: address_size}
    sizes.update(dict.fromkeys(dw.OFFSET_FORMS, offset_size))
    sizes[dw.DW_FORM_REF_ADDR] = address_size if old else offset_size
    return sizes


def _sizes(unit: Unit) -> dict[int, int]:
    """Form -> how to step over it, in that unit."""
    return _form_sizes(unit.address_size, unit.offset_size, unit.version == 2)


def merged(steps: list[int]) -> Steps:
    """The steps with neighbouring fixed ones added up."""
    result: list[int] = []
    for step in steps:
        if step > 0 and result and result[-1] >= 0:
            result[-1] += step
        elif step:
            result.append(step)
    return tuple(result)
