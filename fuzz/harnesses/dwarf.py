"""DWARF. An input: flags, an address, then the sections, each as number, length, bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from fuzz import seeds as made
from symprobe.dwarf import DebugInfo, debug_info
from symprobe.elf.image import Image
from symprobe.elf.symbols import read_symtab
from symprobe.model import VAddr
from tests.elfwriter import SHT_PROGBITS

LONGEST = 4096
_SECTIONS = (
    "info", "abbrev", "str", "line", "line_str", "aranges", "ranges", "rnglists", "addr",
    "str_offsets", "loc", "loclists", "types", "names", "pubnames", "gnu_pubnames",
)  # fmt: skip
_HEAD = struct.Struct("<BI")
_CHUNK = struct.Struct("<BH")
_QUESTIONS: tuple[Callable[[DebugInfo, VAddr], object], ...] = (
    lambda info, address: info.function("visit_one", address),
    lambda info, address: info.line_of(address),
    lambda info, _: info.inlined_only("clamped"),
    lambda info, _: info.inlined_only("shapes::Point::sum"),
)


def seeds() -> Iterator[bytes]:
    names = ("gcc", "gcc-v3", "gcc-v4", "clang", "clang-names", "cxx-gcc", "cxx-gcc-types-v4")
    for data in made.fixtures(*(f"dwarf/small-{name}" for name in names)):
        packed = _packed(data)
        for question in range(len(_QUESTIONS)):
            yield bytes([packed[0] | question << 2]) + packed[1:]


def _packed(data: bytes) -> bytes:
    image = Image(made.source(data))
    table = read_symtab(image)
    wanted = (b"visit_one", b"_Z9visit_oneRKN6shapes5PointE")
    address = 0
    if table is not None:
        (columns,) = table.columns(None, table.count)
        values = {table.name(n): value for n, value in zip(columns[0], columns[5], strict=True)}
        address = next((values[name] for name in wanted if name in values), 0)
    packed = _HEAD.pack((image.bits == 32) | image.big_endian << 1, address)
    for number, name in enumerate(_SECTIONS):
        section = image.section(f".debug_{name}")
        if section is not None and section.size < 4096:
            packed += _CHUNK.pack(number, section.size) + image.section_data(section)
    return packed


def check(data: bytes) -> None:
    if len(data) < _HEAD.size:
        return
    flags, address = _HEAD.unpack_from(data)
    sections, at = [], _HEAD.size
    while at + _CHUNK.size <= len(data) and len(sections) < len(_SECTIONS):
        number, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        name = f".debug_{_SECTIONS[number % len(_SECTIONS)]}".encode()
        sections.append((name, SHT_PROGBITS, data[at : at + size]))
        at += size
    whole = made.elf_around(sections, bits=32 if flags & 1 else 64, big=bool(flags & 2))
    image = Image(made.source(whole))
    info = debug_info(image, ())
    if info is None:
        return
    _QUESTIONS[flags >> 2 & 3](info, VAddr(address))
    # An answer that ran out of memory would be told like any other that can't be given.
    assert not any("MemoryError" in note for note in info.notes)
