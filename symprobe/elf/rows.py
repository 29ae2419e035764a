"""Entries of symbol tables to Symbols: several tables merged to one row a symbol.

Sources: gABI "Symbol Table"; LSB "Symbol Versioning"; the psABI supplements of ARM (Thumb bit),
MIPS (MIPS16, microMIPS), 64-bit PowerPC (function descriptors, local entry points).

Two passes, each a plain loop over 200,000 rows at most: the first gathers what tells rows apart
(so that a symbol that stands in two tables is demangled and built once), the second builds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from itertools import compress

from symprobe.elf.constants import (
    EM_ARM,
    EM_MIPS,
    EM_PPC64,
    ET_REL,
    SHN_LORESERVE,
    SHN_XINDEX,
    SHT_NOBITS,
)
from symprobe.elf.image import Image
from symprobe.elf.symbols import SymbolTable
from symprobe.elf.versions import HIDDEN
from symprobe.model import Bind, Kind, Symbol, Visibility

Demangler = Callable[[list[str]], list[str]]
Keep = Callable[[str, str], bool]

_Row = tuple[str, "str | None", int, int, int, int, int, bool, tuple[str, ...], bool]
"""A row before it is a Symbol: name, version, value, size, info (type and binding), section index;
then what does not tell rows apart: st_other, is its version the default, tables, is the index
a reserved one."""

_KINDS: tuple[str, ...] = (
    Kind.NOTYPE, Kind.OBJECT, Kind.FUNC, Kind.SECTION, Kind.FILE, Kind.COMMON, Kind.TLS,
    "7", "8", "9", Kind.IFUNC, "11", "12", "13", "14", "15",
)  # fmt: skip
_BINDS: tuple[str, ...] = (
    Bind.LOCAL, Bind.GLOBAL, Bind.WEAK, *map(str, range(3, 10)), Bind.UNIQUE,
    *map(str, range(11, 16)),
)  # fmt: skip
_VISIBILITIES: tuple[str, ...] = (
    Visibility.DEFAULT,
    Visibility.INTERNAL,
    Visibility.HIDDEN,
    Visibility.PROTECTED,
)
_MOST_NAMES = 16 << 20
"""Bytes that the names of one table may have together, besides four times its string table:
names may share their ends, but 20,000 rows must not each take a megabyte of one long name."""
_STT_SECTION, _STT_FILE, _STT_TLS = 3, 4, 6
_STO_PPC64_LOCAL = 0xE0
"""Bits of st_other that hold the distance to the local entry point (ELFv2 psABI, 3.4.1)."""


def symbols_of(
    tables: Sequence[tuple[SymbolTable, Iterable[int] | None]],
    demangle: Demangler | None = None,
    keep: Keep | None = None,
    kinds: Collection[str] | None = None,
) -> list[Symbol]:
    """The rows of tables of one image, merged; in the order of the tables.

    tables: each with the numbers of the entries that are wanted (None: all).  demangle: gives
    the demangled names of a list of names; without it they stay raw.  keep: of (name,
    demangled), whether a row is wanted.  kinds: only symbols of these (None: of all).
    """
    if not tables:
        return []
    types = frozenset(i for i, kind in enumerate(_KINDS) if kinds is None or kind in kinds)
    gathered = _Gathered(types)
    for table, numbers in tables:
        gathered.add(table, numbers)
    rows = gathered.rows
    names = [row[0] for row in rows]
    demangled = demangle(names) if demangle is not None else names
    if keep is not None:
        wanted = list(map(keep, names, demangled))
        rows, demangled = list(compress(rows, wanted)), list(compress(demangled, wanted))
    return _Builder(tables[0][0].image).build(rows, demangled)


class _Gathered:
    """The rows of one table after the other, each once, of the types (STT_*) that are wanted."""

    def __init__(self, types: Set[int]) -> None:
        self.rows: list[_Row] = []
        self._types = types
        self._first: dict[tuple[str, int], int] = {}
        """By name and value, where the first such row is: nearly always the only one."""
        self._others: dict[tuple[object, ...], int] = {}

    def add(self, table: SymbolTable, numbers: Iterable[int] | None) -> None:
        """Add a table's entries; a row that is there already gets its label."""
        strings, label, types, rows = table.strings, table.label, self._types, self.rows
        find, size, own = strings.find, len(strings), (label,)
        versions = _Versions(table)
        versym, named, count = versions.numbers, versions.named, len(versions.numbers)
        marked = not count and b"@" in strings
        at_first, room = self._first.setdefault, _MOST_NAMES + 4 * size
        for number, (start, info, other, index, value, length) in table.entries(numbers):
            if info & 15 not in types:
                continue
            end = find(b"\0", start)
            if end < 0:
                if not _has_name(table, start):
                    continue
                end = size
            room -= end - start
            if room < 0:
                table.image.warn(f"names of .{label} overlap beyond all measure; not all are read")
                break
            name = strings[start:end].decode("utf-8", "surrogateescape")
            version, default = None, False
            if number < count:
                version, default = named(versym[number], index != 0, name)
            elif marked:
                name, version, default = split_version(name)
            reserved = index >= SHN_LORESERVE
            if reserved or not name:
                name, index, reserved = _extended(table, number, name, info, index)  # noqa: PLW2901
            row = (name, version, value, length, info, index, other, default, own, reserved)
            at = at_first((name, value), len(rows))
            if at < len(rows) and rows[at][:6] != row[:6]:
                at = self._others.setdefault(row[:6], len(rows))
            if at == len(rows):
                rows.append(row)
            elif label not in rows[at][8]:
                held = rows[at]
                rows[at] = (*held[:8], held[8] + own, held[9])


def _has_name(table: SymbolTable, start: int) -> bool:
    """Whether a name without an end is one all the same; what is wrong becomes a warning."""
    size = len(table.strings)
    if start >= size and start:
        table.image.warn(f"rows of .{table.label} with a name outside its string table")
        return False
    if size:
        table.image.warn(f"the last name of .{table.label} has no end")
    return True


def _extended(
    table: SymbolTable, number: int, name: str, info: int, index: int
) -> tuple[str, int, bool]:
    """(name, section index, is the index a reserved one) of an entry with a reserved index or
    without a name: extended numbering, and a section's own name."""
    reserved = index >= SHN_LORESERVE
    if index == SHN_XINDEX and number < len(table.extended):
        index, reserved = table.extended[number], False
    sections = table.image.sections
    if not name and info & 15 == _STT_SECTION and index < len(sections) and not reserved:
        name = sections[index].name
    return name, index, reserved


class _Versions:
    """The version names of one table's .gnu.version numbers."""

    def __init__(self, table: SymbolTable) -> None:
        versions = table.versions
        self.numbers = versions.versym if versions is not None else array("H")
        self._defined, self._required = versions.names() if versions is not None else ({}, {})
        self._known: dict[tuple[int, bool], tuple[str | None, bool]] = {}

    def named(self, number: int, defined: bool, name: str) -> tuple[str | None, bool]:
        """(version, is it the default one) of an entry; none for the symbol that stands for a
        version itself."""
        known = self._known.get((number, defined))
        if known is None:
            known = self._known[number, defined] = self._find(number, defined)
        return known if known[0] != name else (None, False)

    def _find(self, number: int, defined: bool) -> tuple[str | None, bool]:
        plain = number & 0x7FFF
        if defined and plain in self._defined:
            return self._defined[plain], not number & HIDDEN
        # A defined symbol with a required version is a copy relocation's: one @, as nm prints it.
        return self._required.get(plain) or self._defined.get(plain), False


class _Builder:
    """Builds Symbols; holds what all rows of one image share."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._relocatable = image.header.type == ET_REL
        self._machine = image.header.machine
        self._odd_is_mode = self._machine in (EM_ARM, EM_MIPS)
        self._special = self._odd_is_mode or self._machine == EM_PPC64
        self._labels = ["UND", *(s.name or str(s.number) for s in image.sections[1:])]

    def build(self, rows: Sequence[_Row], demangled: Sequence[str]) -> list[Symbol]:
        """A Symbol for each row."""
        labels, special = self._labels, self._special
        starts, ends, shifts = self._image.load_map
        count, relocatable = len(labels), self._relocatable
        new, symbols = tuple.__new__, []
        for row, text in zip(rows, demangled, strict=True):
            name, version, value, size, info, index, other, default, tables, reserved = row
            section = labels[index] if index < count else self._label(index, reserved)
            vaddr, note = value, ""
            if special and index:
                vaddr, note = self._adjusted(value, _KINDS[info & 15], other, section)
            offset: int | None = None
            if index and not reserved and info & 15 not in (_STT_FILE, _STT_TLS):
                if relocatable:
                    offset = self._offset_in_section(vaddr, index)
                else:
                    place = bisect_right(starts, vaddr) - 1
                    if place >= 0 and vaddr < ends[place]:
                        offset = vaddr + shifts[place]
            symbols.append(
                new(
                    Symbol,
                    (
                        name, text, version, default, vaddr, size, offset, _KINDS[info & 15],
                        _BINDS[info >> 4], _VISIBILITIES[other & 3], section, index, index != 0,
                        tables, value, note,
                    ),
                )
            )  # fmt: skip
        return symbols

    def _label(self, index: int, reserved: bool) -> str:
        return self._image.section_label(index) if reserved else str(index)

    def _adjusted(self, value: int, kind: str, other: int, section: str) -> tuple[int, str]:
        """(address of the code, note) where st_value says more than an address."""
        if kind not in (Kind.FUNC, Kind.IFUNC):
            return value, ""
        if self._odd_is_mode and value & 1:
            mode = "Thumb" if self._machine == EM_ARM else "MIPS16 or microMIPS"
            return value & ~1, f"{mode} code (bit 0 of the value)"
        if self._machine == EM_PPC64:
            if section == ".opd":
                return value, "function descriptor, the code is elsewhere"
            step = (other & _STO_PPC64_LOCAL) >> 5
            if step > 1:
                return value, f"local entry point {1 << step} bytes after the address"
        return value, ""

    def _offset_in_section(self, vaddr: int, index: int) -> int | None:
        """In an object file, values count from the start of their section."""
        sections = self._image.sections
        if index >= len(sections) or sections[index].type == SHT_NOBITS:
            return None
        return sections[index].offset + vaddr


def split_version(name: str) -> tuple[str, str | None, bool]:
    """(name, version, default) of a `.symtab` name such as `memcpy@@GLIBC_2.14`.

    Linkers write the version into the string table for symbols that have one. A name that
    begins with @, or ends with it, is no versioned name.
    """
    base, _, version = name.partition("@")
    default = version.startswith("@")
    version = version.lstrip("@")
    if not base or not version:
        return name, None, False
    return base, version, default
