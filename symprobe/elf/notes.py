"""Notes: build ID, GNU properties, USDT probes.

Sources: gABI "Note Section"; the Linux gABI extensions (NT_GNU_BUILD_ID, NT_GNU_PROPERTY_TYPE_0);
SystemTap's "UserSpaceProbeImplementation" for .note.stapsdt.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from symprobe.elf.constants import PT_NOTE, SHT_NOTE
from symprobe.elf.image import Image, text_at
from symprobe.model import FileOffset, VAddr

NT_GNU_ABI_TAG, NT_GNU_BUILD_ID, NT_GNU_PROPERTY_TYPE_0, NT_STAPSDT = 1, 3, 5, 3
GNU_PROPERTY_X86_ISA_1_NEEDED = 0xC0008002
_MOST_BYTES, _MOST_NOTES, _MOST_PLACES = 16 << 20, 100_000, 1000
"""What is looked at of a file's notes: beyond any real one's."""


class Note(NamedTuple):
    """One note: its owner's name, type and descriptor."""

    name: str
    type: int
    descriptor: bytes


class UsdtProbe(NamedTuple):
    """A statically defined tracing probe.

    vaddr, offset: its instruction (adjusted for prelink), None when it is not in the file.
    semaphore, semaphore_offset: the counter that the kernel raises while it is probed,
    None without one.  arguments: as the compiler wrote them, `-4@%edi 8@%rsi`.
    """

    provider: str
    name: str
    vaddr: VAddr
    offset: FileOffset | None
    semaphore: VAddr | None
    semaphore_offset: FileOffset | None
    arguments: str


def notes(image: Image) -> Iterator[Note]:
    """All notes: of the PT_NOTE segments, then of SHT_NOTE sections outside any of them.

    Bounded for hostile files: in notes, in bytes, and in places where they stand.
    """
    room = _MOST_BYTES
    count = 0
    for offset, size, align in islice(_places(image), _MOST_PLACES):
        data = image.source.read_available(offset, min(size, room))
        room -= len(data)
        for note in _parse(image, data, align):
            count += 1
            if count > _MOST_NOTES:
                image.warn(f"more than {_MOST_NOTES} notes; the others were not read")
                return
            yield note


def _places(image: Image) -> Iterator[tuple[int, int, int]]:
    """(offset, size, alignment) of the segments and sections that hold notes, each once."""
    seen: dict[tuple[int, int], None] = {}
    for segment in image.segments:
        place = segment.offset, segment.offset + segment.filesz
        if segment.type == PT_NOTE and place not in seen:
            seen[place] = None
            yield segment.offset, segment.filesz, segment.align
    for section in image.sections_of(SHT_NOTE):
        if not any(start <= section.offset < end for start, end in seen):
            yield section.offset, section.size, 4


def _parse(image: Image, data: bytes, align: int) -> Iterator[Note]:
    unit = 8 if align == 8 else 4
    position = 0
    while position + 12 <= len(data):
        name_size, size, kind = image.unpack("III", data, position)
        start = position + 12
        body = start + (name_size + 3) // 4 * 4
        if unit == 8:
            body = position + (12 + name_size + 7) // 8 * 8
        if body + size > len(data):
            image.warn("a note is cut short")
            return
        name = data[start : start + name_size].rstrip(b"\0").decode("utf-8", "surrogateescape")
        yield Note(name, kind, data[body : body + size])
        position = body + (size + unit - 1) // unit * unit


def build_id(image: Image) -> str | None:
    """The GNU build ID in hexadecimal, or None."""
    for note in notes(image):
        if note.name == "GNU" and note.type == NT_GNU_BUILD_ID and note.descriptor:
            return note.descriptor.hex()
    return None


def gnu_properties(image: Image) -> dict[int, int]:
    """GNU properties whose value is one 32-bit word, by pr_type."""
    result: dict[int, int] = {}
    unit = image.bits // 8
    for note in notes(image):
        if note.name != "GNU" or note.type != NT_GNU_PROPERTY_TYPE_0:
            continue
        data, position = note.descriptor, 0
        while position + 8 <= len(data):
            kind, size = image.unpack("II", data, position)
            if size == 4 and position + 12 <= len(data):
                result[kind] = image.unpack("I", data, position + 8)[0]
            position += 8 + (size + unit - 1) // unit * unit
    return result


def usdt_probes(image: Image) -> list[UsdtProbe]:
    """The USDT probes, in file order; descriptors that are too short are passed over."""
    word = "QQQ" if image.bits == 64 else "III"
    size = 3 * image.bits // 8
    base_section = image.section(".stapsdt.base")
    result = []
    for note in notes(image):
        if note.name != "stapsdt" or note.type != NT_STAPSDT:
            continue
        if len(note.descriptor) < size:
            image.warn("a stapsdt note is cut short")
            continue
        place, base, semaphore = image.unpack(word, note.descriptor)
        shift = base_section.addr - base if base_section is not None and base else 0
        vaddr = place + shift
        counter = semaphore + shift if semaphore else None
        provider = text_at(note.descriptor, size)
        texts = note.descriptor[size:].split(b"\0")
        name, arguments = (
            texts[i].decode("utf-8", "surrogateescape") if i < len(texts) else "" for i in (1, 2)
        )
        result.append(
            UsdtProbe(
                provider,
                name,
                VAddr(vaddr),
                image.offset_of(vaddr),
                None if counter is None else VAddr(counter),
                None if counter is None else image.offset_of(counter),
                arguments,
            )
        )
    return result
