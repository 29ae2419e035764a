"""Symbol tables as the file holds them: `.dynsym`, `.symtab`, also without section headers.

Sources: gABI "Symbol Table", "Hash Table". rows.py makes Symbols of their entries.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Container, Iterable, Iterator, Sequence

from symprobe.elf.constants import SHT_DYNSYM, SHT_NOBITS, SHT_SYMTAB, SHT_SYMTAB_SHNDX
from symprobe.elf.dynamic import DT_SYMENT, DT_SYMTAB, Dynamic
from symprobe.elf.image import Image, Section
from symprobe.elf.versions import Versions


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

    def columns(self, numbers: Iterable[int] | None, most: int) -> Iterator[list[Sequence[int]]]:
        """The columns of these entries, of all when None, `most` entries at a time: numbers,
        st_name, st_info, st_other, st_shndx, st_value, st_size. The null symbol is left out."""
        if numbers is None:
            whole = self._columns()
            for start in range(1, self.count, most):
                end = min(start + most, self.count)
                yield [range(start, end), *(column[start:end] for column in whole)]
            return
        layout, order = self._layout, (0, 1, 2, 3, 4, 5)
        if self.image.bits == 32:  # name, value, size, info, other, shndx
            order = (0, 3, 4, 5, 1, 2)
        wanted = [i for i in numbers if 0 < i < self.count]
        for start in range(0, len(wanted), most):
            chunk = wanted[start : start + most]
            rows = [layout.unpack_from(self._data, i * layout.size) for i in chunk]
            columns = list(zip(*rows, strict=True))
            yield [chunk, *(columns[i] for i in order)]

    def _columns(self) -> list[Sequence[int]]:
        """st_name, st_info, st_other, st_shndx, st_value, st_size of all entries."""
        data, numbers = self._data, self.image.numbers
        if self.image.bits == 64:
            words = numbers("Q", data)
            infos, values, sizes = data[4::24], words[1::3], words[2::3]
            return [self.name_offsets, infos, data[5::24], numbers("H", data)[3::12], values, sizes]
        words = numbers("I", data)
        infos, values, sizes = data[12::16], words[1::4], words[2::4]
        return [self.name_offsets, infos, data[13::16], numbers("H", data)[7::8], values, sizes]


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
