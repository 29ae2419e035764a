"""A section of notes, USDT probes among them. The first byte: class, byte order, alignment."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fuzz import seeds as made
from symprobe.elf.image import Image
from symprobe.elf.notes import build_id, gnu_properties, notes, usdt_probes
from tests.elfwriter import PT_NOTE, SHF_ALLOC, SHT_NOTE, ElfFile, Section, Segment, note

LONGEST = 1024


def seeds() -> Iterator[bytes]:
    for big in (False, True):
        for bits in (64, 32):
            order, word = ">" if big else "<", "Q" if bits == 64 else "I"
            probe = (
                struct.pack(f"{order}3{word}", 0x40, 0x10, 0x80)
                + b"app\0start\x00-4@%edi 8@(%rsp)\0"
            )
            properties = struct.pack(order + "III", 0xC0000002, 4, 3).ljust(8 + bits // 8, b"\0")
            body = note(b"GNU", 3, b"\x12" * 20, big=big)
            body += note(b"GNU", 5, properties, big=big)
            body += note(b"stapsdt", 3, probe, big=big)
            yield bytes([(bits == 32) | big << 1]) + body
            yield bytes([(bits == 32) | big << 1 | 4]) + body


def check(data: bytes) -> None:
    kind = data[0] if data else 0
    sections = (
        Section(b".note", SHT_NOTE, data[1:], SHF_ALLOC),
        Section(b".stapsdt.base", 1, b"\0", SHF_ALLOC),
    )
    segments = (Segment(), Segment(PT_NOTE, section=1, align=8 if kind & 4 else 4))
    file = ElfFile(32 if kind & 1 else 64, bool(kind & 2), sections=sections, segments=segments)
    image = Image(made.source(file.to_bytes()))
    for each in notes(image):
        assert len(each.descriptor) <= len(data)
    build_id(image)
    gnu_properties(image)
    for probe in usdt_probes(image):
        assert probe.offset is None or probe.offset >= 0
