"""One ELF image: header, segments, sections, and the way between addresses and file offsets.

Sources: the gABI ("ELF Header", "Sections", "Program Header"), elf(5).
"""

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from symprobe.elf.constants import (
    ELF_MAGIC,
    PN_XNUM,
    PT_LOAD,
    SHN_LORESERVE,
    SHN_XINDEX,
    SHT_NOBITS,
    SHT_NULL,
    TYPE_NAMES,
    machine_name,
)
from symprobe.elf.source import Source
from symprobe.errors import MalformedError, NotElfError
from symprobe.model import FileOffset, VAddr


class Segment(NamedTuple):
    """A program header."""

    type: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int


class Section(NamedTuple):
    """A section header with its name and its place in the table."""

    number: int
    name: str
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    entsize: int


class LoadMap(NamedTuple):
    """The bytes of PT_LOAD segments, sorted and disjoint: an address a with
    starts[i] <= a < ends[i] stands at file offset a + shifts[i]."""

    starts: list[int]
    ends: list[int]
    shifts: list[int]


class Header:
    """The ELF header after e_ident, without its version and size."""

    __slots__ = ("entry", "flags", "machine", "phentsize", "phnum", "phoff", "shentsize", "shnum",
                 "shoff", "shstrndx", "type")  # fmt: skip

    def __init__(self, fields: tuple[int, ...]) -> None:
        self.type, self.machine, _, self.entry, self.phoff, self.shoff, self.flags, _ = fields[:8]
        self.phentsize, self.phnum, self.shentsize, self.shnum, self.shstrndx = fields[8:]


class Image:
    """A parsed ELF file. Tables are read when first asked for, and what is wrong with
    them and can be survived is told in `warnings` (one clause each).

    Errors: NotElfError, MalformedError for a header that can't be trusted.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.warnings: list[str] = []
        ident = source.read_available(0, 16)
        if ident[:4] != ELF_MAGIC:
            from symprobe.elf.guess import looks_like

            raise NotElfError(f"not an ELF file: {looks_like(source)}", file=source.path.shown)
        if len(ident) < 16:
            raise MalformedError("the ELF header is cut short", file=source.path.shown)
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise MalformedError(
                f"unknown ELF class {ident[4]} or byte order {ident[5]}", file=source.path.shown
            )
        self.bits = 32 * ident[4]
        self.big_endian = ident[5] == 2
        self.osabi = ident[7]
        self.order = ">" if self.big_endian else "<"
        word = "Q" if self.bits == 64 else "I"
        self._header = struct.Struct(f"{self.order}HHI{word}{word}{word}IHHHHHH")
        self._segment = struct.Struct(self.order + ("IIQQQQQQ" if self.bits == 64 else "8I"))
        self._section = struct.Struct(self.order + ("IIQQQQIIQQ" if self.bits == 64 else "10I"))
        head = source.read(16, self._header.size, "the ELF header")
        self.header = Header(self._header.unpack(head))
        self._sections: tuple[Section, ...] | None = None
        self._segments: tuple[Segment, ...] | None = None
        self._loads: tuple[Segment, ...] | None = None
        self._load_map: LoadMap | None = None

    @property
    def machine(self) -> str:
        return machine_name(self.header.machine, self.bits, big_endian=self.big_endian)

    @property
    def type_name(self) -> str:
        return TYPE_NAMES.get(self.header.type, str(self.header.type))

    def warn(self, clause: str) -> None:
        """Remember something survivable, once."""
        if clause not in self.warnings:
            self.warnings.append(clause)

    def unpack(self, layout: str, data: bytes, offset: int = 0) -> tuple[int, ...]:
        """struct.unpack_from in this file's byte order."""
        return struct.unpack_from(self.order + layout, data, offset)

    def numbers(self, typecode: str, data: bytes) -> "array[int]":
        """The bytes as an array of this file's numbers (H: 16 bits, I: 32 bits)."""
        result = array(typecode)
        result.frombytes(data[: len(data) // result.itemsize * result.itemsize])
        if self.big_endian != (sys.byteorder == "big"):
            result.byteswap()
        return result

    # -- segments

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All program headers; empty (with a warning) when the table can't be read."""
        if self._segments is None:
            self._segments = tuple(self._read_segments())
        return self._segments

    def _read_segments(self) -> Iterator[Segment]:
        header = self.header
        count = header.phnum
        if count == PN_XNUM and header.shoff:
            first = self.source.read_available(header.shoff, self._section.size)
            if len(first) == self._section.size:
                count = self._section.unpack(first)[7]
        if count == 0 or header.phoff == 0:
            return
        data = self._table("program", header.phoff, count, header.phentsize, self._segment)
        for fields in self._segment.iter_unpack(data):
            if self.bits == 64:
                kind, flags, offset, vaddr, _, filesz, memsz, align = fields
            else:
                kind, offset, vaddr, _, filesz, memsz, flags, align = fields
            yield Segment(kind, flags, offset, vaddr, filesz, memsz, align)

    def _table(
        self, what: str, offset: int, count: int, entsize: int, layout: struct.Struct
    ) -> bytes:
        """The whole entries of a header table that the file really holds."""
        if entsize != layout.size:
            self.warn(f"{what} headers of {entsize} bytes instead of {layout.size}, not read")
            return b""
        data = self.source.read_available(offset, count * entsize)
        whole = len(data) // entsize * entsize
        if whole < count * entsize:
            self.warn(f"only {whole // entsize} of {count} {what} headers are within the file")
        return data[:whole]

    @property
    def loads(self) -> tuple[Segment, ...]:
        """The PT_LOAD segments."""
        if self._loads is None:
            self._loads = tuple(s for s in self.segments if s.type == PT_LOAD)
        return self._loads

    def segment(self, kind: int) -> Segment | None:
        """The first segment of that type."""
        return next((s for s in self.segments if s.type == kind), None)

    def segment_data(self, segment: Segment) -> bytes:
        """What the file holds of a segment (fewer bytes, with a warning, when it is cut short)."""
        data = self.source.read_available(segment.offset, segment.filesz)
        if len(data) < segment.filesz:
            self.warn(f"segment at offset {segment.offset:#x} is cut short")
        return data

    # -- addresses

    @property
    def load_map(self) -> LoadMap:
        """Which addresses stand where in the file."""
        if self._load_map is None:
            self._load_map = load_map(self.loads)
        return self._load_map

    def offset_of(self, vaddr: int) -> FileOffset | None:
        """File offset of the byte at a link-time address, through PT_LOAD; None when the
        address is in no segment or in the part of one that is not in the file (.bss)."""
        starts, ends, shifts = self.load_map
        place = bisect_right(starts, vaddr) - 1
        if place < 0 or vaddr >= ends[place]:
            return None
        return FileOffset(vaddr + shifts[place])

    def vaddr_of(self, offset: int) -> VAddr | None:
        """Link-time address of a file offset, by the first PT_LOAD that holds it."""
        for load in self.loads:
            if load.offset <= offset < load.offset + load.filesz:
                return VAddr(offset - load.offset + load.vaddr)
        return None

    def is_executable(self, vaddr: int) -> bool:
        """Whether an executable PT_LOAD holds the address."""
        return any(s.flags & 1 and s.vaddr <= vaddr < s.vaddr + s.filesz for s in self.loads)

    def read_vaddr(self, vaddr: int, size: int) -> bytes:
        """Up to `size` bytes at a link-time address, within one PT_LOAD."""
        for load in self.loads:
            if load.vaddr <= vaddr < load.vaddr + load.filesz:
                offset = vaddr - load.vaddr
                return self.source.read_available(
                    load.offset + offset, min(size, load.filesz - offset)
                )
        return b""

    # -- sections

    @property
    def sections(self) -> tuple[Section, ...]:
        """All section headers, index 0 included; empty when there are none or (with a
        warning) when the table can't be read."""
        if self._sections is None:
            self._sections = self._read_sections()
        return self._sections

    def _read_sections(self) -> tuple[Section, ...]:
        header = self.header
        if header.shoff == 0:
            return ()
        count, names_index = header.shnum, header.shstrndx
        if count == 0 or names_index == SHN_XINDEX:  # extended numbering: in section 0
            first = self.source.read_available(header.shoff, self._section.size)
            if len(first) < self._section.size:
                self.warn("the section headers are past the end of the file")
                return ()
            fields = self._section.unpack(first)
            count = count or fields[5]
            names_index = fields[6] if names_index == SHN_XINDEX else names_index
        data = self._table("section", header.shoff, count, header.shentsize, self._section)
        raw = list(self._section.iter_unpack(data))
        names = b""
        if 0 < names_index < len(raw):
            names = self.source.read_available(raw[names_index][4], raw[names_index][5])
        return tuple(
            Section(i, text_at(names, f[0]), f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[9])
            for i, f in enumerate(raw)
        )

    def section(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((s for s in self.sections if s.name == name), None)

    def sections_of(self, kind: int) -> list[Section]:
        """All sections of that type (SHT_*)."""
        return [s for s in self.sections if s.type == kind]

    def section_data(self, section: Section) -> bytes:
        """What the file holds of a section (fewer bytes, with a warning, when it is cut short)."""
        if section.type in (SHT_NOBITS, SHT_NULL):
            return b""
        data = self.source.read_available(section.offset, section.size)
        if len(data) < section.size:
            self.warn(f"section {section.name or section.number} is cut short")
        return data

    def section_label(self, index: int) -> str:
        """A section index as `ls` shows it: its name, UND, ABS, COM or the number."""
        special = {0: "UND", 0xFFF1: "ABS", 0xFFF2: "COM"}.get(index)
        if special is not None:
            return special
        if index < len(self.sections) and (index < SHN_LORESERVE or len(self.sections) > index):
            return self.sections[index].name or str(index)
        return str(index)


def load_map(loads: tuple[Segment, ...]) -> LoadMap:
    """Where segments overlap, the first in the table counts. A sweep over the addresses with
    the segments open at each: 60,000 overlapping ones must not cost a search of all for each."""
    result = LoadMap([], [], [])
    coming = sorted(range(len(loads)), key=lambda i: loads[i].vaddr, reverse=True)
    current: list[int] = []  # a heap of numbers in the table
    place = 0
    while coming or current:
        if not current:
            place = loads[coming[-1]].vaddr
        while coming and loads[coming[-1]].vaddr <= place:
            heappush(current, coming.pop())
        first = loads[current[0]]
        end = first.vaddr + first.filesz
        if end <= place:
            heappop(current)
            continue
        if coming:
            end = min(end, loads[coming[-1]].vaddr)
        result.starts.append(place)
        result.ends.append(end)
        result.shifts.append(first.offset - first.vaddr)
        place = end
    return result


def text_at(strings: bytes, offset: int) -> str:
    """The NUL-terminated string at an offset; '' outside the table."""
    if not 0 <= offset < len(strings):
        return ""
    end = strings.find(b"\0", offset)
    return strings[offset : end if end >= 0 else None].decode("utf-8", "surrogateescape")
