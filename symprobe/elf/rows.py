"""Entries of symbol tables to Symbols: several tables merged to one row a symbol.

Sources: gABI "Symbol Table"; LSB "Symbol Versioning"; the psABI supplements of ARM (Thumb bit),
MIPS (MIPS16, microMIPS), 64-bit PowerPC (function descriptors, local entry points).

Two passes, each a plain loop over 200,000 rows at most: the first gathers what tells rows apart
(so that a symbol that stands in two tables is demangled and built once), the second builds. A
long listing is written from the rows of the first pass.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from functools import cache
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

Key = tuple[str, "str | None", int, int, int, int]
"""What tells rows apart: name, version, value, size, info (type and binding), section index."""
Rest = tuple[int, bool, tuple[str, ...], bool]
"""The rest of a row: st_other, is its version the default, tables, is the index a reserved one."""
Rows = dict[Key, Rest]
"""Rows before they are Symbols, in the order of the tables."""

KINDS: tuple[str, ...] = (
    Kind.NOTYPE, Kind.OBJECT, Kind.FUNC, Kind.SECTION, Kind.FILE, Kind.COMMON, Kind.TLS,
    "7", "8", "9", Kind.IFUNC, "11", "12", "13", "14", "15",
)  # fmt: skip
BINDS: tuple[str, ...] = (
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
    rows = rows_of(tables, kinds)
    keys, rests = list(rows), list(rows.values())
    del rows
    names = [key[0] for key in keys]
    demangled = demangle(names) if demangle is not None else names
    if keep is not None:
        wanted = list(map(keep, names, demangled))
        keys, rests = list(compress(keys, wanted)), list(compress(rests, wanted))
        demangled = list(compress(demangled, wanted))
    return _Builder(tables[0][0].image).build(keys, rests, demangled)


def rows_of(
    tables: Sequence[tuple[SymbolTable, Iterable[int] | None]],
    kinds: Collection[str] | None = None,
) -> Rows:
    """The rows of tables of one image, merged; parameters as for symbols_of."""
    types = frozenset(i for i, kind in enumerate(KINDS) if kinds is None or kind in kinds)
    rows: Rows = {}
    for table, numbers in tables:
        _add(rows, table, numbers, types)
    return rows


def _add(rows: Rows, table: SymbolTable, numbers: Iterable[int] | None, types: Set[int]) -> None:
    """Add a table's entries; a row that is there already gets its label."""
    # One character a byte: slices of a str need no decoding, unless they are not ASCII.
    strings, label = table.strings.decode("latin-1"), table.label
    find, size, ascii_only = strings.find, len(strings), table.strings.isascii()
    versym = table.versions.versym if table.versions is not None else array("H")
    versions, count = _Versions(table), len(versym)
    marked = not count and "@" in strings
    room = _MOST_NAMES + 4 * size
    rests = _rests(label)
    for number, (start, info, other, index, value, length) in table.entries(numbers):
        if info & 15 not in types:
            continue
        end = find("\0", start)
        if end < 0:
            if not _has_name(table, start):
                continue
            end = size
        room -= end - start
        if room < 0:
            table.image.warn(f"names of .{label} overlap beyond all measure; not all are read")
            break
        name = strings[start:end]
        if not ascii_only and not name.isascii():
            name = name.encode("latin-1").decode("utf-8", "surrogateescape")
        version, default = None, False
        if number < count:
            version, default = versions[versym[number] if index else ~versym[number]]
            if version == name:  # the symbol that stands for the version itself
                version, default = None, False
        elif marked and "@" in name:
            name, version, default = split_version(name)
        reserved = index >= SHN_LORESERVE
        if reserved or not name:
            name, index, reserved = _extended(table, number, name, info, index)  # noqa: PLW2901
        key = (name, version, value, length, info, index)
        rest = rests[other | default << 8 | reserved << 9]
        held = rows.setdefault(key, rest)
        if held is not rest and label not in held[2]:
            rows[key] = (held[0], held[1], (*held[2], label), held[3])


@cache
def _rests(label: str) -> tuple[Rest, ...]:
    """Every rest that a row of one table can have: st_other, then a bit for each truth."""
    return tuple((i & 255, bool(i & 256), (label,), bool(i & 512)) for i in range(1024))


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


class _Versions(dict[int, "tuple[str | None, bool]"]):
    """(version, is it the default one) by the .gnu.version number of an entry that is defined, by
    the number's complement for one that is not."""

    def __init__(self, table: SymbolTable) -> None:
        super().__init__()
        versions = table.versions
        self._defined, self._required = versions.names() if versions is not None else ({}, {})

    def __missing__(self, key: int) -> tuple[str | None, bool]:
        number = key if key >= 0 else ~key
        plain = number & 0x7FFF
        if key >= 0 and plain in self._defined:
            self[key] = self._defined[plain], not number & HIDDEN
        else:
            # A defined symbol with a required version is a copy relocation's: one @, as nm prints.
            self[key] = self._required.get(plain) or self._defined.get(plain), False
        return self[key]


class _Builder:
    """Builds Symbols; holds what all rows of one image share."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._relocatable = image.header.type == ET_REL
        self._machine = image.header.machine
        self._odd_is_mode = self._machine in (EM_ARM, EM_MIPS)
        self._special = self._odd_is_mode or self._machine == EM_PPC64
        self._labels = ["UND", *(s.name or str(s.number) for s in image.sections[1:])]

    def build(
        self, keys: Sequence[Key], rests: Sequence[Rest], demangled: Sequence[str]
    ) -> list[Symbol]:
        """A Symbol for each row."""
        labels, special = self._labels, self._special
        starts, ends, shifts = self._image.load_map
        count, relocatable = len(labels), self._relocatable
        new, symbols = tuple.__new__, []
        for key, rest, text in zip(keys, rests, demangled, strict=True):
            name, version, value, size, info, index = key
            other, default, tables, reserved = rest
            section = labels[index] if index < count else self._label(index, reserved)
            vaddr, note = value, ""
            if special and index:
                vaddr, note = self._adjusted(value, KINDS[info & 15], other, section)
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
                        name, text, version, default, vaddr, size, offset, KINDS[info & 15],
                        BINDS[info >> 4], _VISIBILITIES[other & 3], section, index, index != 0,
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
