"""Any bytes in the debug sections: answers or notes, never an exception, within bounds."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.dwarf import DebugInfo, debug_info
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource, MemorySource
from symprobe.model import FilePath, VAddr
from tests.dwarf.judges import functions
from tests.elfwriter import ElfFile, Section, Segment
from tests.support.bounded import bounded

Fixture = Callable[[str], Path]
NAMES = (
    "dwarf/c-gcc", "dwarf/cxx-gcc-v4", "dwarf/cxx-clang", "dwarf/cxx-dwz", "dwarf/c-gcc-zlib",
    "dwarf/cxx-gcc-types-v4", "dwarf/c-gold-index", "dwarf/c-gcc-64", "dwarf/c-s390x",
)  # fmt: skip
EXTREMES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\1", b"\xff" * 4, b"\0" * 4, b"\xff" * 8,
            b"\xff\xff\xff\x7f", b"\x80" * 12)  # fmt: skip


def info_of(data: bytes) -> DebugInfo | None:
    return debug_info(Image(MemorySource(data, FilePath.plain("hostile"))), ())


def ask_everything(data: bytes, symbols: dict[int, str]) -> None:
    with bounded():
        info = info_of(data)
        if info is None:
            return
        for address, name in symbols.items():
            info.function(name, VAddr(address))
            info.line_of(VAddr(address))
        for name in ("weighed", "_ZNK6shapes5Point3sumEv"):
            info.inlined_only(name)
        within_bounds(info)


def within_bounds(info: DebugInfo) -> None:
    assert all("\n" not in note and len(note) < 400 for note in info.notes)
    assert not [note for note in info.notes if "HangingError" in note or "MemoryError" in note]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_spoilt_sections(fixture: Fixture, name: str, seed: int) -> None:
    path = fixture(name)
    data = path.read_bytes()
    image = Image(FileSource(FilePath.plain(str(path))))
    sections = [s for s in image.sections if "debug" in s.name or s.name == ".gdb_index"]
    symbols = dict(random.Random(seed).sample(sorted(functions(path).items()), 6))
    chance = random.Random(f"{name} {seed}")
    for _ in range(25):
        spoilt = bytearray(data)
        for _ in range(chance.choice((1, 3, 20, 200))):
            section = chance.choice(sections)
            place = section.offset + chance.randrange(section.size)
            if chance.random() < 0.3:  # a piece from elsewhere in the section
                other = section.offset + chance.randrange(section.size)
                new = bytes(spoilt[other : other + chance.randrange(1, 40)])
            else:
                new = chance.choice((*EXTREMES, chance.randbytes(1)))
            spoilt[place : place + len(new)] = new
        ask_everything(bytes(spoilt[: len(data)]), symbols)


# -- files made for it: a compile unit with one entry, and what follows


def program(**sections: bytes) -> bytes:
    """A program with code at 0x1000 and these debug sections (`info=…` is .debug_info)."""
    code = Section(b".text", data=b"\xc3" * 64, flags=6, addr=0x1000)
    debug = (Section(f".debug_{name}".encode(), data=data) for name, data in sections.items())
    load = Segment(flags=5, section=1, vaddr=0x1000)
    return ElfFile(type=2, sections=(Section(type=0), code, *debug), segments=(load,)).to_bytes()


def unit(entries: bytes, version: int = 4) -> bytes:
    body = struct.pack("<HIB", version, 0, 8) + entries
    return struct.pack("<I", len(body)) + body


TOP = b"\x01\x11\x01\x11\x01\x12\x07\0\0"
"""Abbreviation 1: a compile unit with children, low_pc (addr), high_pc (data8)."""
TOP_ENTRY = b"\x01" + struct.pack("<QQ", 0x1000, 64)
FUNCTION = b"\x02\x2e\x01\x03\x08\x11\x01\x12\x07\x49\x13\0\0"
"""Abbreviation 2: a subprogram with children, name (string), low_pc, high_pc, type (ref4)."""


def function_entry(kind: int, name: bytes = b"f") -> bytes:
    return b"\x02" + name + b"\0" + struct.pack("<QQI", 0x1000, 64, kind)


def asked(data: bytes) -> tuple[object, list[str]]:
    with bounded():
        info = info_of(data)
        assert info is not None
        answer = info.function("f", VAddr(0x1000))
        info.line_of(VAddr(0x1000))
        info.inlined_only("f")
        within_bounds(info)
    return answer, info.notes


def test_a_type_that_is_a_pointer_to_itself() -> None:
    abbreviations = TOP + FUNCTION + b"\x03\x0f\0\x49\x13\0\0" + b"\0"
    start = 11 + len(TOP_ENTRY)
    pointer = start + len(function_entry(0)) + 1
    entries = TOP_ENTRY + function_entry(pointer) + b"\0" + b"\x03" + struct.pack("<I", pointer)
    answer, _ = asked(program(info=unit(entries + b"\0"), abbrev=abbreviations))
    assert answer is not None
    assert "…" in str(answer)


def test_functions_that_take_functions_that_take_functions() -> None:
    """A type tree of 32 ^ 40 leaves."""
    abbreviations = TOP + FUNCTION + b"\x03\x15\x01\x49\x13\0\0" + b"\x04\x05\0\x49\x13\0\0" + b"\0"
    start = 11 + len(TOP_ENTRY)
    kind = start + len(function_entry(0)) + 1
    parameter = b"\x04" + struct.pack("<I", kind)
    subroutine = b"\x03" + struct.pack("<I", kind) + parameter * 32 + b"\0"
    entries = TOP_ENTRY + function_entry(kind) + b"\0" + subroutine + b"\0"
    asked(program(info=unit(entries), abbrev=abbreviations))


def test_a_function_that_is_its_own_origin() -> None:
    abbreviations = TOP + b"\x02\x2e\0\x31\x13\x11\x01\x12\x07\0\0" + b"\0"
    place = 11 + len(TOP_ENTRY)
    entry = b"\x02" + struct.pack("<IQQ", place, 0x1000, 64)
    asked(program(info=unit(TOP_ENTRY + entry + b"\0"), abbrev=abbreviations))


def test_entries_nested_without_end() -> None:
    abbreviations = TOP + b"\x02\x39\x01\0\0" + b"\x03\x2e\x01\x11\x01\0\0" + b"\0"
    deep = TOP_ENTRY + b"\x02" * 3_000_000
    _, notes = asked(program(info=unit(deep), abbrev=abbreviations))
    assert any("too many scopes" in note for note in notes)
    asked(program(info=unit(TOP_ENTRY + (b"\x03" + bytes(8)) * 200_000), abbrev=abbreviations))


def test_more_copies_and_declarations_than_anyone_has() -> None:
    for tag in (b"\x1d", b"\x2e"):
        abbreviations = TOP + b"\x02" + tag + b"\0\0\0" + b"\0"
        _, notes = asked(program(info=unit(TOP_ENTRY + b"\x02" * 5_000_000), abbrev=abbreviations))
        assert any("too many" in note for note in notes)


def test_a_block_of_2_to_the_60_bytes() -> None:
    abbreviations = TOP + b"\x02\x2e\0\x11\x01\x12\x07\x40\x18\0\0" + b"\0"
    entry = b"\x02" + struct.pack("<QQ", 0x1000, 64) + b"\xff" * 8 + b"\x0f"
    asked(program(info=unit(TOP_ENTRY + entry + bytes(100_000)), abbrev=abbreviations))


def test_abbreviations_without_an_end() -> None:
    endless = TOP[:2] + b"\x01" + b"\x11\x01" * 2_000_000
    asked(program(info=unit(TOP_ENTRY) * 2000, abbrev=endless))
    asked(program(info=unit(TOP_ENTRY), abbrev=b"\x80" * 4_000_000))


def test_very_many_units() -> None:
    asked(program(info=unit(b"") * 1_000_000, abbrev=TOP + b"\0"))
    asked(program(info=unit(TOP_ENTRY) * 150_000, abbrev=TOP + b"\0"))


def test_lengths_that_make_no_progress() -> None:
    for word in (0, 1, 0xFFFFFFF0, 0xFFFFFFFF, 0x7FFFFFFF):
        asked(program(info=struct.pack("<I", word) * 64, abbrev=TOP + b"\0"))


def test_range_lists_that_all_units_share() -> None:
    abbreviations = b"\x01\x11\0\x11\x01\x55\x17\0\0" + b"\0"
    top = b"\x01" + struct.pack("<QI", 0, 0)
    ranges = struct.pack("<QQ", 0x1000, 0x1001) * 300_000
    asked(program(info=unit(top) * 1000, abbrev=abbreviations, ranges=ranges))


def test_a_line_table_with_entries_of_no_bytes() -> None:
    abbreviations = b"\x01\x11\0\x11\x01\x12\x07\x10\x17\0\0" + b"\0"
    top = b"\x01" + struct.pack("<QQI", 0x1000, 64, 0)
    head = struct.pack("<HBBI", 5, 8, 0, 64) + bytes((1, 1, 1, 0xFB, 14, 1))
    # One directory format of no fields, and 2^56 directories.
    table = head + b"\0" + b"\xff" * 8 + b"\x01" + bytes(100)
    line = struct.pack("<I", len(table)) + table
    asked(program(info=unit(top), abbrev=abbreviations, line=line))


def test_a_line_program_of_16_million_rows() -> None:
    abbreviations = b"\x01\x11\0\x11\x01\x12\x07\x10\x17\0\0" + b"\0"
    top = b"\x01" + struct.pack("<QQI", 0x1000, 64, 0)
    head = struct.pack("<HI", 2, 10) + bytes((1, 1, 0xFB, 14, 1)) + b"\0a\0\0\0\0\0"
    body = head + b"\x20" * 16_000_000
    line = struct.pack("<I", len(body)) + body
    asked(program(info=unit(top), abbrev=abbreviations, line=line))


def test_a_name_without_an_end() -> None:
    abbreviations = TOP + b"\x02\x2e\0\x03\x0e\x11\x01\x12\x07\0\0" + b"\0"
    entry = b"\x02" + struct.pack("<IQQ", 0, 0x1000, 64)
    data = program(
        info=unit(TOP_ENTRY + entry + b"\0"), abbrev=abbreviations, str=b"x" * 30_000_000
    )
    answer, _ = asked(data)
    assert answer is not None
    assert len(str(answer)) < 500_000


def test_a_section_that_unpacks_to_gigabytes(fixture: Fixture) -> None:
    path = fixture("dwarf/c-gcc-zlib")
    data = bytearray(path.read_bytes())
    section = Image(FileSource(FilePath.plain(str(path)))).section(".debug_info")
    assert section is not None
    struct.pack_into("<Q", data, section.offset + 8, 1 << 40)
    assert info_of(bytes(data)) is None
    # Claims a little, and unpacks to no more than it claims.
    bomb = zlib.compress(bytes(50_000_000), 9)[: section.size - 24]
    struct.pack_into("<Q", data, section.offset + 8, section.size * 90)
    data[section.offset + 24 : section.offset + 24 + len(bomb)] = bomb
    ask_everything(bytes(data), functions(path))
