"""The inlined copies of a function, in its own unit and in the others.

A function of a header has an abstract entry in every unit that inlined it; what makes two such
entries the same function is the linkage name, or in C the name with the place of its source.
Copies are told apart by their addresses: when the linker keeps one of several equal functions,
all the units that compiled it describe the copies inside it, at the same addresses.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from symprobe.dwarf import constants as dw
from symprobe.dwarf.abbrev import uleb
from symprobe.dwarf.file import ALT, DwarfFile, Values, values_at
from symprobe.dwarf.search import find_all, mentions, refers_across, string_places, units_by_index
from symprobe.dwarf.skim import NO_LINK, UnitIndex
from symprobe.dwarf.units import Unit
from symprobe.errors import SymprobeError

_MOST_WORDS = 16
_MOST_ROUNDS = 4


Same = Callable[[DwarfFile, Unit, int, Values], bool]
"""Of an entry at an offset, with its interesting attributes."""


class Copy(NamedTuple):
    """An inlined copy: its lowest address, and the entry of the function around it (0: none)."""

    vaddr: int
    caller: int


class Found(NamedTuple):
    """members: entries that describe the function, in all the units that were read; those with
    code first, then those that copies are of.  copies: one an address, in order.  complete:
    whether every unit that could hold more was read."""

    members: list[int]
    copies: list[Copy]
    complete: bool


class Search:
    """One search. index: gives a unit's UnitIndex.  same: whether a function with the right name
    and no linkage name is this very function.  executable: whether an address is code.  budget:
    bytes of units to read.  scoped: it is `same` that decides, with a linkage name too.
    """

    def __init__(
        self,
        file: DwarfFile,
        index: Callable[[DwarfFile, Unit], UnitIndex],
        same: Same,
        executable: Callable[[int], bool],
        budget: int,
        *,
        scoped: bool = False,
    ) -> None:
        self._file = file
        self._index = index
        self._same = same
        self._executable = executable
        self._budget = budget
        self._scoped = scoped
        self._complete = True
        self._members: set[int] = set()
        self._coded: set[int] = set()
        self._origins: set[int] = set()
        self._copies: dict[int, int] = {}
        self._read: set[tuple[int, int]] = set()
        self._places: dict[int, set[int]] = {}
        self._verified = False
        """Whether a function of the name was found at the places now searched for."""

    def run(self, name: bytes | None, members: list[int], own: Unit | None) -> Found:
        """name: the linkage name, else the name in the source; None to look in no other unit.
        members: entries known to describe the function (ALT-marked).  own: its unit, which is
        read whatever the budget says."""
        self._members.update(members)
        if own is not None:
            self._unit(self._file, own, [], None)
        if name is not None:
            self._by_name(name)
            self._across()
        copies = [Copy(vaddr, caller) for vaddr, caller in sorted(self._copies.items())]
        if any(f is not None and f.units.problem for f in (self._file, self._file.alt)):
            self._complete = False
        found = sorted(
            self._members, key=lambda m: (m not in self._coded, m not in self._origins, m)
        )
        return Found(found, copies, self._complete)

    # -- where to look

    def _by_name(self, name: bytes) -> None:
        """All units that may hold the name, by the one place that its string has in a file."""
        alt = self._file.alt
        if alt is not None:
            others, whole = string_places(alt, name)
            self._complete &= whole
            for places in others or [[]]:
                self._places = {0: {place | ALT for place in places}, 1: set(places)}
                found = self._units_of(alt, name, places)
                if self._units_of(self._file, None, places) or found:
                    break
        groups, whole = string_places(self._file, name)
        self._complete &= whole
        for places in groups or [[]]:
            self._places = {0: set(places), 1: set()}
            if self._units_of(self._file, name, places):
                break

    def _units_of(self, file: DwarfFile, name: bytes | None, places: list[int]) -> bool:
        """Whether a function of the name was found. name: None when the places are of the
        supplementary file's strings, where no other form leads."""
        offsets, whole = mentions(file, name or b"", places)
        indexed: list[int] = []
        if name is not None:
            indexed, indexed_whole = units_by_index(file, places)
            whole = whole and indexed_whole
        self._complete &= whole
        hits: dict[int, list[int]] = {}
        for offset in offsets:
            hits.setdefault(file.units.containing(offset).offset, []).append(offset)
        hits.update((unit, []) for unit in indexed)  # what is mentioned there is an index
        self._verified = False
        self._read_units(file, hits, name or b"")
        return self._verified

    def _across(self) -> None:
        """Entries of other units that refer to the members, until there are no new ones."""
        sides = [file for file in (self._file, self._file.alt) if file is not None]
        sides = [file for file in sides if refers_across(file)]
        done: set[int] = set()
        for _ in range(_MOST_ROUNDS):
            new = self._members - done
            if not new or not sides:
                return
            if len(new) > _MOST_WORDS:
                self._complete = False
                return
            done |= new
            for file in sides:
                words = [
                    (member & ~ALT).to_bytes(4, file.order)
                    for member in new
                    if (member & ~ALT) < 1 << 32
                ]
                offsets, whole = find_all(file.info, words)
                self._complete &= whole
                units = {file.units.containing(offset).offset for offset in offsets}
                self._read_units(file, {unit: [] for unit in units}, None)
        self._complete = False

    def _read_units(self, file: DwarfFile, hits: dict[int, list[int]], name: bytes | None) -> None:
        """The small units first, so that the budget reaches most of them; what it reaches in the
        order of the file, so that compressed sections are unpacked once."""
        chosen = []
        units = [file.units.at(offset) for offset in hits]
        for unit in sorted(units, key=lambda unit: unit.end - unit.offset):
            if (id(file), unit.offset) not in self._read:
                self._budget -= unit.end - unit.offset
            if self._budget < 0:
                self._complete = False
                break
            chosen.append(unit)
        for unit in sorted(chosen):
            self._unit(file, unit, hits[unit.offset], name)

    # -- what a unit holds

    def _unit(self, file: DwarfFile, unit: Unit, hits: list[int], name: bytes | None) -> None:
        self._read.add((id(file), unit.offset))
        try:
            index = self._index(file, unit)
        except SymprobeError:
            self._complete = False
            return
        side = 0 if file is self._file else ALT
        if name is not None:
            self._named(file, unit, index, hits, name)
        self._join([(entry | side, link | side) for entry, link in index.links])
        members = self._members
        for low, _, entry in index.code:
            if entry | side in members and self._executable(low):
                self._coded.add(entry | side)
        for number, origin in enumerate(index.copy_origins):
            if origin | side in members:
                self._origins.add(origin | side)
                vaddr = self._address(file, unit, index.copies[number])
                if vaddr is not None and self._executable(vaddr):
                    self._copies.setdefault(vaddr, index.copy_callers[number])

    def _join(self, links: list[tuple[int, int]]) -> None:
        """Add what describes the same function as a member: the variants of a constructor (C1,
        C2) too, which share an abstract one (C4)."""
        members = self._members
        while True:
            found = {link for entry, link in links if entry in members and link != NO_LINK}
            found |= {entry for entry, link in links if link in members}
            if found <= members:
                return
            members |= found

    def _named(
        self, file: DwarfFile, unit: Unit, index: UnitIndex, hits: list[int], name: bytes
    ) -> None:
        """Add the function entries of the unit that have the name. Without hits, which a unit
        with indexed strings has none of, all are looked at."""
        side = 0 if file is self._file else ALT
        if hits:
            numbers = {bisect_right(index.functions, hit) - 1 for hit in hits} - {-1}
            entries = [index.functions[number] for number in sorted(numbers)]
        else:
            entries = list(index.functions)
        for entry in entries:
            values = self._values(file, unit, entry)
            if values is not None and self._matches(file, unit, entry, values, name):
                self._verified = True
                self._members.add(entry | side)

    def _matches(
        self, file: DwarfFile, unit: Unit, entry: int, values: Values, name: bytes
    ) -> bool:
        linkage = values.get(dw.DW_AT_LINKAGE_NAME) or values.get(dw.DW_AT_MIPS_LINKAGE_NAME)
        if linkage is not None and not self._scoped:
            return self._is(file, unit, linkage, name)
        own = values.get(dw.DW_AT_NAME)
        named = own is not None and self._is(file, unit, own, name)
        return named and self._same(file, unit, entry, values)

    def _is(self, file: DwarfFile, unit: Unit, value: tuple[int, int | bytes], name: bytes) -> bool:
        form, raw = value
        if isinstance(raw, bytes):
            return raw == name
        place = file.string_offset(unit, form, raw)
        return place in self._places[0 if file is self._file else 1]

    def _values(self, file: DwarfFile, unit: Unit, entry: int) -> Values | None:
        data = file.info.read_available(entry, min(4096, unit.end - entry))
        try:
            code, place = uleb(data, 0)
            return values_at(file.abbrevs.table(unit)[code], data, place, file.order)
        except (IndexError, KeyError, ValueError):
            return None

    def _address(self, file: DwarfFile, unit: Unit, entry: int) -> int | None:
        """The lowest address of a copy's code, None without any."""
        values = self._values(file, unit, entry)
        try:
            ranges = [] if values is None else file.ranges(unit, values)
        except SymprobeError:
            self._complete = False
            return None
        return min((low for low, _ in ranges), default=None)
