"""Symbol tables as the file holds them: `.dynsym`, `.symtab`, also without section headers.

Sources: gABI "Symbol Table", "Hash Table". rows.py makes Symbols of their entries.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Container, Iterable
from itertools import islice
from typing import Any

from symprobe.elf.constants import SHT_DYNSYM, SHT_NOBITS, SHT_SYMTAB, SHT_SYMTAB_SHNDX
from symprobe.elf.dynamic import DT_SYMENT, DT_SYMTAB, Dynamic
from symprobe.elf.image import Image, Section
from symprobe.elf.versions import Versions

Entry = tuple[int, int, int, int, int, int]
"""One raw entry: st_name, st_info, st_other, st_shndx, st_value, st_size."""


class SymbolTable:
    """One table as the file holds it; rows become Symbols only when asked for.

    label: how `tables` names it.  count: entries, the null symbol included.
    """

    def __init__(self, image: Image, label: str, data: bytes, strings: bytes) -> None:
        self.image = image
        self.label = label
        self.strings = strings
        self._layout = struct.Struct(image.order + ("IBBHQQ" if image.bits == 64 else "IIIBBH"))
        self.count = len(data) // self._layout.size
        self._data = data[: self.count * self._layout.size]
        self.versions: Versions | None = None
        self.extended: array[int] = array("I")
        self._offsets: array[int] | None = None

    @property
    def name_offsets(self) -> array[int]:
        """st_name of every entry, in order (a column, read without decoding the rows)."""
        if self._offsets is None:
            words = self.image.numbers("I", self._data)
            self._offsets = words[:: self._layout.size // 4]
        return self._offsets

    def numbers_at(self, values: Container[int]) -> list[int]:
        """The entries whose st_value is one of these, the null symbol left out."""
        if self.image.bits == 64:
            column = self.image.numbers("Q", self._data)[1::3]
        else:
            column = self.image.numbers("I", self._data)[1::4]
        return [i for i, value in enumerate(column) if value in values and i]

    def name(self, number: int) -> bytes:
        """The raw name of an entry, with its @VERSION if the string table holds one."""
        start = self.name_offsets[number]
        end = self.strings.find(b"\0", start)
        return self.strings[start : end if end >= 0 else None]

    def entries(self, numbers: Iterable[int] | None) -> Iterable[tuple[int, Entry]]:
        """(number, raw entry) of these entries, of all when None; the null symbol left out."""
        layout, data = self._layout, self._data
        rows: Iterable[tuple[int, Any]]
        if numbers is None:
            rows = islice(enumerate(layout.iter_unpack(data)), 1, None)
        else:
            wanted = (i for i in numbers if 0 < i < self.count)
            rows = ((i, layout.unpack_from(data, i * layout.size)) for i in wanted)
        if self.image.bits == 32:  # name, value, size, info, other, shndx
            return ((i, (n, f, o, x, v, s)) for i, (n, v, s, f, o, x) in rows)
        return rows


def read_symtab(image: Image, label: str = "symtab") -> SymbolTable | None:
    """The static symbol table (SHT_SYMTAB), or None."""
    section = next((s for s in image.sections_of(SHT_SYMTAB) if s.type != SHT_NOBITS), None)
    return None if section is None else _from_section(image, section, label)


def read_dynsym(image: Image, dynamic: Dynamic | None) -> SymbolTable | None:
    """The dynamic symbol table: by section header, else through the dynamic section with its
    length from the hash tables and relocations. None when there is none."""
    section = next(iter(image.sections_of(SHT_DYNSYM)), None)
    if section is not None:
        return _from_section(image, section, "dynsym")
    if dynamic is None or (address := dynamic.value(DT_SYMTAB)) is None:
        return None
    size = 24 if image.bits == 64 else 16
    if dynamic.value(DT_SYMENT) not in (None, size):
        image.warn(f"DT_SYMENT is {dynamic.value(DT_SYMENT)} instead of {size}")
    from symprobe.elf.dynsize import dynamic_symbol_count  # rare, and `ls` starts often

    count = dynamic_symbol_count(image, dynamic)
    data = image.read_vaddr(address, count * size)
    if len(data) < count * size:
        image.warn("the dynamic symbol table is cut short")
    return SymbolTable(image, "dynsym", data, dynamic.strings)


def _from_section(image: Image, section: Section, label: str) -> SymbolTable:
    size = 24 if image.bits == 64 else 16
    if section.entsize not in (0, size):
        image.warn(f"{section.name} has entries of {section.entsize} bytes instead of {size}")
    sections = image.sections
    strings = b""
    if section.link < len(sections):
        strings = image.section_data(sections[section.link])
    table = SymbolTable(image, label, image.section_data(section), strings)
    extended = next(
        (s for s in image.sections_of(SHT_SYMTAB_SHNDX) if s.link == section.number), None
    )
    if extended is not None:
        table.extended = image.numbers("I", image.section_data(extended))
    return table
