"""One pass over a unit: which entries are functions, inlined copies, and scopes.

pyelftools decodes some 50,000 entries a second; this steps over two million, and only the few
that matter are then read in full. Source: DWARF 5 section 2.3 (relationship of entries).
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from symprobe.dwarf import constants as dw
from symprobe.dwarf.abbrev import Abbrev, Steps, step_over, uleb
from symprobe.dwarf.file import ALT, DwarfFile, values_at
from symprobe.dwarf.units import Unit
from symprobe.errors import SymprobeError

MOST_UNIT_BYTES = 64 << 20
_MOST_NOTED, _DEEPEST = 2_000_000, 1000
"""Functions and copies of one unit, and scopes in one another; real units of 14 MB have 270,000."""
NO_LINK = (1 << 64) - 1
_SCOPES = frozenset((
    dw.DW_TAG_NAMESPACE, dw.DW_TAG_CLASS_TYPE, dw.DW_TAG_STRUCTURE_TYPE, dw.DW_TAG_UNION_TYPE,
    dw.DW_TAG_ENUMERATION_TYPE, dw.DW_TAG_INTERFACE_TYPE, dw.DW_TAG_MODULE,
))  # fmt: skip
"""Entries whose names qualify the names inside them."""
_BEYOND_DECLARING = frozenset((
    dw.DW_AT_LOW_PC, dw.DW_AT_RANGES, dw.DW_AT_ABSTRACT_ORIGIN, dw.DW_AT_SPECIFICATION,
))  # fmt: skip
_PLAIN, _SCOPE, _DECLARATION, _FUNCTION, _COPY = range(5)


class UnitIndex:
    """What one pass over a unit found. Offsets are into .debug_info (supplementary file: | ALT).

    functions: every subprogram entry, declarations included, in order.  copies: for each inlined
    copy the entry, the entry that it is a copy of (NO_LINK: in no way understood), and the
    function whose code it is part of, 0: none.
    """

    def __init__(self) -> None:
        self.functions: array[int] = array("Q")
        self._linked: array[int] = array("Q")
        self._links: array[int] = array("Q")
        self._lows: array[int] = array("Q")
        self._highs: array[int] = array("Q")
        self._coded: array[int] = array("Q")
        self.copies: array[int] = array("Q")
        self.copy_origins: array[int] = array("Q")
        self.copy_callers: array[int] = array("Q")
        self.scope_starts: array[int] = array("Q")
        self.scope_ends: array[int] = array("Q")
        self.scope_parents: array[int] = array("q")

    @property
    def links(self) -> Iterator[tuple[int, int]]:
        """(entry, the entry that it is the code or the definition of)."""
        return zip(self._linked, self._links, strict=True)

    @property
    def code(self) -> Iterator[tuple[int, int, int]]:
        """(low, high, entry) of each range of code; a function's first holds its entry point."""
        return zip(self._lows, self._highs, self._coded, strict=True)

    def link(self, entry: int, target: int) -> None:
        self._linked.append(entry)
        self._links.append(target)

    def add_code(self, low: int, high: int, entry: int) -> None:
        self._lows.append(low & NO_LINK)
        self._highs.append(high & NO_LINK)
        self._coded.append(entry)

    def at(self, vaddr: int) -> list[int]:
        """The functions whose code begins there; else those that hold the address."""
        exact = [entry for low, _, entry in self.code if low == vaddr]
        return exact or [entry for low, high, entry in self.code if low <= vaddr < high]

    def scopes_of(self, entry: int) -> list[int]:
        """The named scopes around an entry, the innermost first."""
        found: list[int] = []
        place = bisect_right(self.scope_starts, entry) - 1
        while place >= 0:
            if self.scope_starts[place] < entry < self.scope_ends[place]:
                found.append(self.scope_starts[place])
            place = self.scope_parents[place]
        return found


def skim(file: DwarfFile, unit: Unit) -> UnitIndex:
    """One pass over the unit.

    Errors: MalformedError, for a unit of more than MOST_UNIT_BYTES too.
    """
    if unit.end - unit.offset > MOST_UNIT_BYTES:
        size = (unit.end - unit.offset) >> 20
        raise file.malformed(f"the unit at {unit.offset:#x} has {size} MiB and was not read")
    walk = _Walk(file, unit)
    try:
        walk.run()
    except (IndexError, KeyError, ValueError, OverflowError) as error:
        what = f"the unit at {unit.offset:#x} is broken: {type(error).__name__} {error}"
        raise file.malformed(what) from None
    return walk.index


class _Row(NamedTuple):
    """An abbreviation, ready for the pass. link: (bytes from the first attribute, size, form) of
    the reference to what the entry is a copy or the code of, when that place is always the same."""

    kind: int
    skip: int | Steps
    children: bool
    link: tuple[int, int, int] | None
    abbrev: Abbrev


def _row(abbrev: Abbrev) -> _Row:
    link = None
    place = 0
    for field in abbrev.fields:
        if len(field.before) > 1 or any(step < 0 for step in field.before):
            break
        place += sum(field.before)
        if field.attribute in (dw.DW_AT_ABSTRACT_ORIGIN, dw.DW_AT_SPECIFICATION):
            link = (place, field.size, field.form) if field.size > 0 else None
            break
        if field.size < 0:
            break
        place += field.size
    kind = _SCOPE if abbrev.tag in _SCOPES else _PLAIN
    if abbrev.tag == dw.DW_TAG_INLINED_SUBROUTINE:
        kind = _COPY
    elif abbrev.tag == dw.DW_TAG_SUBPROGRAM:
        bare = all(field.attribute not in _BEYOND_DECLARING for field in abbrev.fields)
        kind = _DECLARATION if bare else _FUNCTION
    return _Row(kind, abbrev.skip, abbrev.children, link, abbrev)


class _Walk:
    def __init__(self, file: DwarfFile, unit: Unit) -> None:
        self._file = file
        self._unit = unit
        self._data = file.info.read(unit.offset, unit.end - unit.offset, "a unit")
        self._rows = {code: _row(a) for code, a in file.abbrevs.table(unit).items()}
        self.index = UnitIndex()

    def run(self) -> None:  # noqa: PLR0912, PLR0915 - the one loop that must be fast
        data, rows, order, index = self._data, self._rows, self._file.order, self.index
        base = self._unit.offset
        place, end, depth = self._unit.die - base, len(data), 0
        around: list[tuple[int, int, int]] = [(-1, 0, -1)]
        """(depth, function or 0, number of the scope or -1) of what encloses the entry."""
        inner = -1
        while place < end:
            entry = base + place
            code = data[place]
            if code < 0x80:
                place += 1
            else:
                code, place = uleb(data, place)
            if not code:
                depth -= 1
                if depth == inner and len(around) > 1:
                    _, _, scope = around.pop()
                    inner = around[-1][0]
                    if scope >= 0 and scope != around[-1][2]:
                        index.scope_ends[scope] = base + place
                continue
            kind, skip, children, _, _ = row = rows[code]
            if kind:
                if kind == _COPY:
                    index.copies.append(entry)
                    index.copy_origins.append(self._link(row, place))
                    index.copy_callers.append(around[-1][1])
                    if len(index.copies) > _MOST_NOTED:
                        raise ValueError("too many inlined copies")
                elif kind == _DECLARATION:
                    index.functions.append(entry)
                    if len(index.functions) > _MOST_NOTED:
                        raise ValueError("too many functions")
                elif kind == _FUNCTION:
                    index.functions.append(entry)
                    self._function(row, entry, place, around)
                    if children:
                        around.append((depth, entry, around[-1][2]))
                        inner = depth
                elif children:
                    if len(around) > _DEEPEST or len(index.scope_starts) > _MOST_NOTED:
                        raise ValueError("too many scopes")
                    around.append((depth, around[-1][1], len(index.scope_starts)))
                    inner = depth
                    index.scope_starts.append(entry)
                    index.scope_ends.append(self._unit.end)
                    index.scope_parents.append(around[-2][2])
            if skip.__class__ is int:
                place += skip
            else:
                place = step_over(data, place, skip, order)  # type: ignore[arg-type]
            if children:
                depth += 1

    def _function(
        self, row: _Row, entry: int, place: int, around: list[tuple[int, int, int]]
    ) -> None:
        if len(self.index.functions) > _MOST_NOTED or len(around) > _DEEPEST:
            raise ValueError("too many functions")
        link = self._link(row, place)
        if link != NO_LINK:
            self.index.link(entry, link)
        values = values_at(row.abbrev, self._data, place, self._file.order)
        if dw.DW_AT_LOW_PC in values or dw.DW_AT_RANGES in values:
            try:
                ranges = self._file.ranges(self._unit, values)
            except SymprobeError:  # one broken list hides one function, not the unit
                return
            for low, high in ranges:
                self.index.add_code(low, high, entry)

    def _link(self, row: _Row, place: int) -> int:
        """The entry that the one whose attributes begin at `place` refers to, or NO_LINK."""
        if row.link is not None:
            at, size, form = row.link
            place += at
            raw = int.from_bytes(self._data[place : place + size], self._file.order)
            return raw + self._unit.offset if form == dw.DW_FORM_REF4 else self._entry(form, raw)
        values = values_at(row.abbrev, self._data, place, self._file.order)
        value = values.get(dw.DW_AT_ABSTRACT_ORIGIN) or values.get(dw.DW_AT_SPECIFICATION)
        return NO_LINK if value is None else self._entry(value[0], int(value[1]))

    def _entry(self, form: int, raw: int) -> int:
        if dw.DW_FORM_REF1 <= form <= dw.DW_FORM_REF_UDATA:
            return self._unit.offset + raw
        if form == dw.DW_FORM_REF_ADDR:
            return raw
        if form in (dw.DW_FORM_GNU_REF_ALT, dw.DW_FORM_REF_SUP4, dw.DW_FORM_REF_SUP8):
            return raw | ALT
        return NO_LINK
