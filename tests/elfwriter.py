"""ELF files from values: those that no linker makes.

An ElfFile is sections, segments and a header; `to_bytes()` lays them out one after the other.
Whatever is not said is right (offsets, sizes, links to the file); whatever is said is written
as it stands, wrong or not: that is how a file lies. tests/support/written.py makes whole,
loadable shared libraries with it, for `dataclasses.replace` to spoil.

Sources: the gABI; the symbol versioning chapter of the LSB ("Symbol Versioning"); binutils'
bfd/elflink.c for DT_GNU_HASH.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_HASH, SHT_DYNAMIC, SHT_NOTE = 1, 2, 3, 5, 6, 7
SHT_NOBITS, SHT_DYNSYM, SHT_SYMTAB_SHNDX = 8, 11, 18
SHT_GNU_HASH, SHT_VERDEF, SHT_VERNEED, SHT_VERSYM = 0x6FFFFFF6, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
SHF_ALLOC, SHF_EXEC = 2, 4
NOTYPE, OBJECT, FUNC = 0, 1, 2
LOCAL, GLOBAL, WEAK = 0, 1, 2


@dataclass(frozen=True)
class Section:
    """A section; offset, size and addr follow from the layout unless they are given."""

    name: bytes = b""
    type: int = SHT_PROGBITS
    data: bytes = b""
    flags: int = 0
    link: int = 0
    info: int = 0
    entsize: int = 0
    align: int = 8
    addr: int | None = None  # default: the file offset if SHF_ALLOC is set, else 0
    offset: int | None = None
    size: int | None = None


@dataclass(frozen=True)
class Segment:
    """A program header: of a section (by number), else of the whole file, unless given."""

    type: int = PT_LOAD
    flags: int = 7
    section: int | None = None
    offset: int | None = None
    vaddr: int | None = None
    filesz: int | None = None
    memsz: int | None = None
    align: int = 0x1000


@dataclass(frozen=True)
class Symbol:
    """A symbol-table entry. name: its bytes, or an offset into the string table as it stands."""

    name: bytes | int = b""
    value: int = 0
    size: int = 0
    type: int = FUNC
    bind: int = GLOBAL
    other: int = 0
    shndx: int = 0


@dataclass(frozen=True)
class ElfFile:
    """A file. sections: without the null section and .shstrtab, which are added (so the first
    one has number 1). header: fields by their gABI names, written over the right ones."""

    bits: int = 64
    big: bool = False
    machine: int = 62
    type: int = 3
    entry: int = 0
    flags: int = 0
    sections: tuple[Section, ...] = ()
    segments: tuple[Segment, ...] = ()
    header: Mapping[str, int] = field(default_factory=dict)
    section_headers: bool = True

    @property
    def order(self) -> str:
        return ">" if self.big else "<"

    def offsets(self) -> list[int]:
        """Where the sections' bytes stand in the file, index 0 (the null section) included."""
        place = self._body_start()
        found = [0]
        for section in self.sections:
            place = -(-place // section.align) * section.align
            found.append(place)
            place += len(section.data)
        found.append(place)
        return found

    def to_bytes(self) -> bytes:
        """The file."""
        offsets = self.offsets()
        names = bytearray(1)
        headers = [bytes(64 if self.bits == 64 else 40)]
        body = bytearray()
        start = self._body_start()
        end = offsets.pop()
        for section, offset in zip(self.sections, offsets[1:], strict=True):
            headers.append(self._section_header(section, offset, len(names)))
            names += section.name + b"\0"
            body += bytes(max(0, offset - start - len(body))) + section.data
        names_section = Section(b".shstrtab", SHT_STRTAB, bytes(names) + b".shstrtab\0", align=1)
        headers.append(self._section_header(names_section, end, len(names)))
        table = end + len(names_section.data)
        table += -table % 8
        tail = b""
        if self.section_headers:
            tail = names_section.data.ljust(table - end, b"\0") + b"".join(headers)
        total = end + len(tail)
        segments = b"".join(self._program_header(s, offsets, total) for s in self.segments)
        numbers = (len(headers), len(headers) - 1) if self.section_headers else (0, 0)
        head = self._file_header(table if self.section_headers else 0, *numbers)
        return head + segments + bytes(body) + tail

    def _body_start(self) -> int:
        header, entry = (64, 56) if self.bits == 64 else (52, 32)
        return header + entry * len(self.segments)

    def _file_header(self, shoff: int, shnum: int, shstrndx: int) -> bytes:
        wide = self.bits == 64
        size = 64 if wide else 52
        fields = {
            "ei_class": 2 if wide else 1, "ei_data": 2 if self.big else 1, "ei_version": 1,
            "ei_osabi": 0, "e_type": self.type, "e_machine": self.machine, "e_version": 1,
            "e_entry": self.entry, "e_phoff": size if self.segments else 0, "e_shoff": shoff,
            "e_flags": self.flags, "e_ehsize": size, "e_phentsize": 56 if wide else 32,
            "e_phnum": len(self.segments), "e_shentsize": 64 if wide else 40,
            "e_shnum": shnum, "e_shstrndx": shstrndx,
        }  # fmt: skip
        if unknown := self.header.keys() - fields.keys():
            raise KeyError(f"no header field {unknown}")
        layout = self.order + "4s4B8xHHI" + ("QQQ" if wide else "III") + "I6H"
        return struct.pack(layout, b"\x7fELF", *(fields | self.header).values())

    def _section_header(self, section: Section, offset: int, name: int) -> bytes:
        offset = offset if section.offset is None else section.offset
        size = len(section.data) if section.size is None else section.size
        addr = section.addr
        if addr is None:
            addr = offset if section.flags & SHF_ALLOC else 0
        layout = self.order + ("IIQQQQIIQQ" if self.bits == 64 else "10I")
        return struct.pack(
            layout, name, section.type, section.flags, addr, offset, size,
            section.link, section.info, section.align, section.entsize,
        )  # fmt: skip

    def _program_header(self, segment: Segment, offsets: list[int], total: int) -> bytes:
        number = segment.section
        offset, size = 0, total
        if number is not None:
            offset, size = offsets[number], len(self.sections[number - 1].data)
        offset = offset if segment.offset is None else segment.offset
        vaddr = offset if segment.vaddr is None else segment.vaddr
        filesz = size if segment.filesz is None else segment.filesz
        memsz = filesz if segment.memsz is None else segment.memsz
        if self.bits == 64:
            values = (segment.type, segment.flags, offset, vaddr, vaddr, filesz, memsz)
            return struct.pack(self.order + "IIQQQQQQ", *values, segment.align)
        values = (segment.type, offset, vaddr, vaddr, filesz, memsz, segment.flags)
        return struct.pack(self.order + "8I", *values, segment.align)


def symbol_table(
    symbols: Sequence[Symbol], *, bits: int = 64, big: bool = False
) -> tuple[bytes, bytes]:
    """(entries, string table) of these symbols, after the null symbol."""
    strings = b"\0"
    rows = [bytes(24 if bits == 64 else 16)]
    for symbol in symbols:
        name = symbol.name
        if isinstance(name, bytes):
            text, name = name, len(strings)
            strings += text + b"\0"
        info = symbol.bind << 4 | symbol.type
        head, tail = (symbol.value, symbol.size), (info, symbol.other, symbol.shndx)
        fields = (*tail, *head) if bits == 64 else (*head, *tail)
        layout = "IBBHQQ" if bits == 64 else "IIIBBH"
        rows.append(struct.pack((">" if big else "<") + layout, name, *fields))
    return b"".join(rows), strings


def sysv_hash(names: Sequence[bytes], *, big: bool = False) -> bytes:
    """DT_HASH over the symbols 1…len(names), one bucket."""
    count = len(names) + 1
    chain = [0, *range(2, count), 0] if names else [0]
    words = [1, count, 1 if names else 0, *chain]
    return struct.pack(f"{'>' if big else '<'}{len(words)}I", *words)


def gnu_hash(names: Sequence[bytes], *, bits: int = 64, big: bool = False) -> bytes:
    """DT_GNU_HASH over the symbols 1…len(names): one bucket, a filter that lets all pass."""
    values = []
    for name in names:
        value = 5381
        for byte in name:
            value = (value * 33 + byte) & 0xFFFFFFFF
        values.append(value & ~1)
    if values:
        values[-1] |= 1
    order = ">" if big else "<"
    words = struct.pack(order + "4I", 1, 1, 1, 0) + b"\xff" * (bits // 8)
    return words + struct.pack(f"{order}{1 + len(values)}I", 1 if values else 0, *values)


@dataclass(frozen=True)
class Version:
    """A version node: of a Verdef its names' offsets, of a Vernaux one name. next: the distance
    to the next record (default: right; 0 ends the chain; anything else lies)."""

    number: int
    name: int
    flags: int = 0
    next: int | None = None


def verdef(versions: Sequence[Version], *, big: bool = False) -> bytes:
    """.gnu.version_d: each a Verdef (20 bytes) with one Verdaux (8 bytes)."""
    data = b""
    for i, version in enumerate(versions):
        step = (0 if i == len(versions) - 1 else 28) if version.next is None else version.next
        layout = (">" if big else "<") + "HHHHIIIII"
        data += struct.pack(
            layout, 1, version.flags, version.number, 1, 0, 20, step, version.name, 0
        )
    return data


def verneed(file: int, versions: Sequence[Version], *, big: bool = False, step: int = 0) -> bytes:
    """.gnu.version_r: one Verneed (16 bytes) for the file named at this offset, and its Vernauxes
    (16 bytes each). step: vn_next."""
    order = ">" if big else "<"
    data = struct.pack(order + "HHIII", 1, len(versions), file, 16, step)
    for i, version in enumerate(versions):
        after = (0 if i == len(versions) - 1 else 16) if version.next is None else version.next
        data += struct.pack(order + "IHHII", 0, version.flags, version.number, version.name, after)
    return data


def note(owner: bytes, kind: int, body: bytes, *, big: bool = False) -> bytes:
    """A note, name and body padded to 4 bytes."""
    name = owner + b"\0"
    head = struct.pack((">" if big else "<") + "III", len(name), len(body), kind)
    return head + name + bytes(-len(name) % 4) + body + bytes(-len(body) % 4)


def archive(members: Sequence[tuple[bytes, bytes]]) -> bytes:
    """An ar(5) archive. Names are written as they stand, 16 bytes: `b"name.o/"`, `b"//"`."""
    data = b"!<arch>\n"
    for name, body in members:
        head = b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name, 0, 0, 0, 0o644, len(body))
        data += head + body + b"\n" * (len(body) % 2)
    return data


def with_data(file: ElfFile, number: int, data: bytes) -> ElfFile:
    """The file with other bytes in a section."""
    return with_section(file, number, replace(file.sections[number - 1], data=data))


def with_section(file: ElfFile, number: int, section: Section) -> ElfFile:
    """The file with another section in the place of one."""
    sections = list(file.sections)
    sections[number - 1] = section
    return replace(file, sections=tuple(sections))
