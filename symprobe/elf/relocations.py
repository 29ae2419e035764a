"""Relocations that the loader works through: where it writes what.

Source: gABI "Relocation"; found through the dynamic section, in a static program (which has none)
through the sections `.rela.plt` / `.rel.plt`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from symprobe.elf.constants import ET_REL, SHT_REL, SHT_RELA
from symprobe.elf.dynamic import (
    DT_JMPREL,
    DT_PLTREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELASZ,
    DT_RELSZ,
    Dynamic,
)
from symprobe.elf.image import Image
from symprobe.model import VAddr


class Relocation(NamedTuple):
    """vaddr: what is written to.  symbol: its number in .dynsym, 0 for none.  addend: of a RELA,
    or for REL what stands at the place in the file."""

    vaddr: VAddr
    type: int
    symbol: int
    addend: int


def relocations(image: Image, dynamic: Dynamic | None) -> Iterator[Relocation]:
    """All dynamic relocations but the packed relative ones (RELR)."""
    if image.header.type == ET_REL:
        return
    if dynamic is None:
        for section in image.sections:
            if section.type in (SHT_RELA, SHT_REL) and section.flags & 2:
                yield from _parse(image, image.section_data(section), section.type == SHT_RELA)
        return
    plt_has_addends = dynamic.value(DT_PLTREL) == DT_RELA
    for start, size, addends in (
        (DT_RELA, DT_RELASZ, True),
        (DT_REL, DT_RELSZ, False),
        (DT_JMPREL, DT_PLTRELSZ, plt_has_addends),
    ):
        address, length = dynamic.value(start), dynamic.value(size)
        if address is not None and length is not None:
            yield from _parse(image, image.read_vaddr(address, length), addends)


def _parse(image: Image, data: bytes, addends: bool) -> Iterator[Relocation]:
    wide = image.bits == 64
    code = ("QQq" if addends else "QQ") if wide else ("IIi" if addends else "II")
    layout = struct.Struct(image.order + code)
    for fields in layout.iter_unpack(data[: len(data) // layout.size * layout.size]):
        place, info = fields[0], fields[1]
        symbol, kind = (info >> 32, info & 0xFFFFFFFF) if wide else (info >> 8, info & 0xFF)
        if addends:
            addend = fields[2]
        else:
            word = image.read_vaddr(place, image.bits // 8)
            full = len(word) == image.bits // 8
            addend = image.unpack("Q" if wide else "I", word)[0] if full else 0
        yield Relocation(VAddr(place), kind, symbol, addend)
