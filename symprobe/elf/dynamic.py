"""The dynamic section: what the file asks of the loader.

Source: gABI "Dynamic Section"; elf/elf.h of glibc for the DT_GNU_* and DF_1_* numbers.
"""

import struct
from typing import NamedTuple

from symprobe.elf.constants import PT_DYNAMIC, SHT_DYNAMIC, SHT_NOBITS
from symprobe.elf.image import Image, text_at

DT_NULL, DT_NEEDED, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = 0, 1, 4, 5, 6, 7, 8
DT_RELAENT, DT_STRSZ, DT_SYMENT, DT_SONAME, DT_RPATH, DT_SYMBOLIC = 9, 10, 11, 14, 15, 16
DT_REL, DT_RELSZ, DT_RELENT, DT_PLTREL, DT_DEBUG, DT_TEXTREL, DT_JMPREL = (
    17, 18, 19, 20, 21, 22, 23,
)  # fmt: skip
DT_PLTRELSZ, DT_PLTGOT = 2, 3
DT_RUNPATH, DT_FLAGS = 29, 30
DT_GNU_HASH, DT_VERSYM = 0x6FFFFEF5, 0x6FFFFFF0
DT_FLAGS_1, DT_VERDEF, DT_VERDEFNUM = 0x6FFFFFFB, 0x6FFFFFFC, 0x6FFFFFFD
DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
DT_AUXILIARY, DT_FILTER = 0x7FFFFFFD, 0x7FFFFFFF
DT_MIPS_SYMTABNO = 0x70000011

DF_ORIGIN, DF_SYMBOLIC, DF_BIND_NOW, DF_STATIC_TLS = 1, 2, 8, 16
DF_1_NOW, DF_1_NODEFLIB, DF_1_PIE = 1, 0x800, 0x08000000


class Dynamic(NamedTuple):
    """The entries in file order, up to DT_NULL, and the string table they point into."""

    entries: tuple[tuple[int, int], ...]
    strings: bytes

    def value(self, tag: int) -> int | None:
        """The value of the last entry with that tag (as ld.so takes it), or None."""
        return next((v for t, v in reversed(self.entries) if t == tag), None)

    def texts(self, tag: int) -> list[str]:
        """The strings of all entries with that tag, in order."""
        return [self.text(v) for t, v in self.entries if t == tag]

    def text(self, offset: int) -> str:
        """A string of the dynamic string table."""
        return text_at(self.strings, offset)

    @property
    def needed(self) -> list[str]:
        return self.texts(DT_NEEDED)

    @property
    def soname(self) -> str | None:
        return self._last(DT_SONAME)

    @property
    def rpath(self) -> str | None:
        return self._last(DT_RPATH)

    @property
    def runpath(self) -> str | None:
        return self._last(DT_RUNPATH)

    @property
    def flags(self) -> int:
        return self.value(DT_FLAGS) or 0

    @property
    def flags_1(self) -> int:
        return self.value(DT_FLAGS_1) or 0

    def _last(self, tag: int) -> str | None:
        value = self.value(tag)
        return None if value is None else self.text(value)


def read_dynamic(image: Image) -> Dynamic | None:
    """The dynamic section through PT_DYNAMIC, else (object files, no segments) SHT_DYNAMIC;
    None when the file has neither. Whatever is cut short or unmapped becomes a warning."""
    segment = image.segment(PT_DYNAMIC)
    if segment is not None and segment.filesz:
        data = image.segment_data(segment)
    else:
        section = next(iter(image.sections_of(SHT_DYNAMIC)), None)
        # A separate debug file keeps both headers, without the bytes.
        if section is None or section.type == SHT_NOBITS:
            return None
        data = image.section_data(section)
    layout = struct.Struct(image.order + ("qQ" if image.bits == 64 else "iI"))
    entries = []
    for tag, value in layout.iter_unpack(data[: len(data) // layout.size * layout.size]):
        if tag == DT_NULL:
            break
        entries.append((tag, value))
    bare = Dynamic(tuple(entries), b"")
    return Dynamic(bare.entries, _strings(image, bare))


def _strings(image: Image, dynamic: Dynamic) -> bytes:
    address, size = dynamic.value(DT_STRTAB), dynamic.value(DT_STRSZ)
    if address is None:
        return b""
    if size is None:
        image.warn("the dynamic section has no DT_STRSZ")
        return b""
    data = image.read_vaddr(address, size)
    if len(data) < size:
        image.warn("the dynamic string table is cut short or outside the file")
    return data
