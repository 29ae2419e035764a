"""Raw rows of symbol tables to Symbols: what their numbers mean on the file's machine.

Sources: gABI "Symbol Table"; the psABI supplements of ARM (Thumb bit), MIPS (MIPS16, microMIPS),
64-bit PowerPC (function descriptors, local entry points).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import compress

from symprobe.elf.constants import EM_ARM, EM_MIPS, EM_PPC64, ET_REL, SHT_NOBITS
from symprobe.elf.gather import Key, Rest, gather
from symprobe.elf.image import Image
from symprobe.elf.symbols import SymbolTable
from symprobe.model import Bind, Kind, Symbol, Visibility

Demangler = Callable[[list[str]], list[str]]
Keep = Callable[[str, str], bool]

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
_STT_FILE, _STT_TLS = 4, 6
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
    rows = gather(tables, types_of(kinds))
    keys, rests = list(rows), list(rows.values())
    del rows
    names = [key[0] for key in keys]
    demangled = demangle(names) if demangle is not None else names
    if keep is not None:
        wanted = list(map(keep, names, demangled))
        keys, rests = list(compress(keys, wanted)), list(compress(rests, wanted))
        demangled = list(compress(demangled, wanted))
    return Builder(tables[0][0].image).build(keys, rests, demangled)


def types_of(kinds: Collection[str] | None) -> frozenset[int] | None:
    """The st_info types of kinds."""
    if kinds is None:
        return None
    return frozenset(i for i, kind in enumerate(KINDS) if kind in kinds)


class Builder:
    """Builds Symbols; holds what all rows of one image share."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._relocatable = image.header.type == ET_REL
        self._machine = image.header.machine
        self._odd_is_mode = self._machine in (EM_ARM, EM_MIPS)
        self.special = self._odd_is_mode or self._machine == EM_PPC64
        """Whether a value on this machine may be more than an address."""
        self._labels = ["UND", *(s.name or str(s.number) for s in image.sections[1:])]

    def build(
        self, keys: Sequence[Key], rests: Sequence[Rest], demangled: Sequence[str]
    ) -> list[Symbol]:
        """A Symbol for each row."""
        labels, special = self._labels, self.special
        starts, ends, shifts = self._image.load_map
        count, relocatable = len(labels), self._relocatable
        new, symbols = tuple.__new__, []
        for key, rest, text in zip(keys, rests, demangled, strict=True):
            name, version, value, size, info, index = key
            other, default, tables, reserved = rest
            section = labels[index] if index < count else self.label(index, reserved)
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

    def label(self, index: int, reserved: bool) -> str:
        """How `section` names a section index."""
        if index < len(self._labels):
            return self._labels[index]
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
