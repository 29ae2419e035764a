"""What one pass over a unit found, kept for the next question about it."""

from __future__ import annotations

from collections import OrderedDict

from symprobe.dwarf import constants as dw
from symprobe.dwarf.file import DwarfFile
from symprobe.dwarf.lines import LineTable
from symprobe.dwarf.skim import UnitIndex, skim
from symprobe.dwarf.units import Unit
from symprobe.errors import SymprobeError

_KEPT_BYTES = 64 << 20
"""Of units whose index is kept; an index is half the size of its unit."""
_KEPT_TABLES = 16

_Key = tuple[int, int]


class Kept:
    """Indexes and line tables of units, the last ones used. Errors: MalformedError."""

    def __init__(self) -> None:
        self._indexes: OrderedDict[_Key, tuple[int, UnitIndex]] = OrderedDict()
        self._tables: OrderedDict[_Key, LineTable] = OrderedDict()
        self._broken: dict[_Key, SymprobeError] = {}

    def has(self, file: DwarfFile, unit: Unit) -> bool:
        """Whether the unit's index is here."""
        return (id(file), unit.offset) in self._indexes

    def index(self, file: DwarfFile, unit: Unit) -> UnitIndex:
        key = (id(file), unit.offset)
        if key in self._indexes:
            self._indexes.move_to_end(key)
            return self._indexes[key][1]
        if key in self._broken:
            raise self._broken[key]
        try:
            index = skim(file, unit)
        except SymprobeError as error:
            self._broken[key] = error
            raise
        self._indexes[key] = (unit.end - unit.offset, index)
        while len(self._indexes) > 1 and sum(s for s, _ in self._indexes.values()) > _KEPT_BYTES:
            self._indexes.popitem(last=False)
        return index

    def table(self, file: DwarfFile, unit: Unit) -> LineTable:
        key = (id(file), file.base(unit, dw.DW_AT_STMT_LIST))
        if key not in self._tables:
            self._tables[key] = LineTable(file, unit)
            if len(self._tables) > _KEPT_TABLES:
                self._tables.popitem(last=False)
        self._tables.move_to_end(key)
        return self._tables[key]
