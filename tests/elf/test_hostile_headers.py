"""Headers that lie: rows that can be trusted, or one clear error, within bounds."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from symprobe.binary import Binary
from symprobe.errors import MalformedError
from symprobe.facts import file_facts
from symprobe.model import FilePath
from tests.elfwriter import (
    PT_LOAD,
    PT_NOTE,
    SHT_DYNSYM,
    SHT_NOBITS,
    SHT_NOTE,
    SHT_STRTAB,
    SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
    ElfFile,
    Section,
    Segment,
    Symbol,
    note,
    symbol_table,
    with_section,
)
from tests.support.bounded import read_whole
from tests.support.readelf import run
from tests.support.written import (
    BARE,
    DYNSYM,
    HUGE,
    PLAIN,
)

Written = Callable[[bytes], Path]


def test_the_files_are_right_before_they_lie(written: Written) -> None:
    for file in (PLAIN, BARE):
        outcome = read_whole(written(file.to_bytes()))
        assert outcome.names == ["one@@V1", "two@@V1"]
        assert (outcome.warnings, outcome.error) == ((), None)


@pytest.mark.parametrize("file", [PLAIN, BARE], ids=["sections", "no-sections"])
def test_cut_short_at_any_byte(written: Written, file: ElfFile) -> None:
    data = file.to_bytes()
    path = written(data)
    for size in range(len(data) - 1, -1, -1):
        os.truncate(path, size)
        outcome = read_whole(path)
        assert outcome.error is not None or set(outcome.names) <= {
            *("one@@V1", "two@@V1"),
            *("one", "two"),  # the versions were cut off
            *("", "o", "on", "t", "tw"),  # a name was: the warning says so
        }
        if size < 64:
            assert outcome.error is not None


@pytest.mark.parametrize(
    "header",
    [
        {"e_phentsize": 0},
        {"e_phentsize": 57},
        {"e_phnum": 0xFFFF},
        {"e_phoff": HUGE},
        {"e_phoff": 2**64 - 1},
        {"e_shentsize": 0},
        {"e_shentsize": 63},
        {"e_shentsize": 0xFFFF},
        {"e_shnum": 0xFFFE},
        {"e_shnum": 0},
        {"e_shoff": HUGE},
        {"e_shoff": 1},
        {"e_shoff": 2**64 - 1},
        {"e_shstrndx": 0xFFFE},
        {"e_shstrndx": 0xFFFF},
        {"e_shnum": 0, "e_shstrndx": 0xFFFF},
        {"e_machine": 0xFFFF},
        {"e_ehsize": 0},
        {"ei_osabi": 255},
    ],
    ids=str,
)
def test_lies_of_the_header(written: Written, header: dict[str, int]) -> None:
    outcome = read_whole(written(replace(PLAIN, header=header).to_bytes()))
    assert outcome.error is None, "the dynamic section or the section headers are still right"
    assert outcome.names in (["one@@V1", "two@@V1"], [])


@pytest.mark.parametrize("header", [{"ei_class": 0}, {"ei_class": 3}, {"ei_data": 9}], ids=str)
def test_an_unknown_class_or_byte_order_is_an_error(
    written: Written, header: dict[str, int]
) -> None:
    with pytest.raises(MalformedError, match="unknown ELF class"):
        Binary(str(written(replace(PLAIN, header=header).to_bytes())))


@pytest.mark.parametrize("class_and_order", [{"ei_class": 1}, {"ei_data": 2}], ids=str)
def test_the_other_class_or_byte_order_is_survived(
    written: Written, class_and_order: dict[str, int]
) -> None:
    read_whole(written(replace(PLAIN, header=class_and_order).to_bytes()))


def first_section_says(file: ElfFile, *, size: int, link: int) -> bytes:
    """Extended numbering: the counts stand in sh_size and sh_link of section 0."""
    data = bytearray(replace(file, header={"e_shnum": 0, "e_shstrndx": 0xFFFF}).to_bytes())
    (start,) = struct.unpack_from("<Q", data, 40)
    struct.pack_into("<Q", data, start + 32, size)
    struct.pack_into("<I", data, start + 40, link)
    return bytes(data)


def test_extended_numbering(written: Written) -> None:
    count = len(PLAIN.sections) + 2
    outcome = read_whole(written(first_section_says(PLAIN, size=count, link=count - 1)))
    assert outcome.names == ["one@@V1", "two@@V1"]
    assert not outcome.warnings
    for size, link in ((HUGE, 1), (2**64 - 1, 0xFFFFFFFF), (3, 0), (0, 0)):
        outcome = read_whole(written(first_section_says(PLAIN, size=size, link=link)))
        assert outcome.error is None


def test_extended_numbering_of_segments(written: Written) -> None:
    """PN_XNUM: the count stands in sh_info of section 0; what it says beyond the file is a lie."""
    file = replace(PLAIN, segments=PLAIN.segments * 40_000, header={"e_phnum": 0xFFFF})
    data = bytearray(file.to_bytes())
    (start,) = struct.unpack_from("<Q", data, 40)
    struct.pack_into("<I", data, start + 44, 80_000)
    path = written(bytes(data))
    assert "Number of program headers:         65535 (80000)" in run("readelf", "-hW", str(path))
    assert len(Binary(str(path)).image.segments) == 80_000
    assert read_whole(path).names == ["one@@V1", "two@@V1"]
    struct.pack_into("<I", data, start + 44, 0xFFFFFFFF)
    binary = Binary(str(written(bytes(data))))
    assert len(binary.image.segments) < 100_000
    assert any("program headers are within the file" in warning for warning in binary.warnings)


@pytest.mark.parametrize("number", range(1, len(PLAIN.sections) + 1))
@pytest.mark.parametrize(
    "lie",
    [
        {"offset": HUGE},
        {"offset": 2**64 - 8},
        {"size": HUGE},
        {"size": 2**64 - 1},
        {"size": 1},
        {"link": 0xFFFFFFFF},
        {"link": DYNSYM},
        {"entsize": 0},
        {"entsize": 7},
        {"entsize": HUGE},
        {"info": 0xFFFFFFFF},
        {"type": SHT_NOBITS},
        {"type": SHT_NOTE},
        {"type": SHT_SYMTAB},
        {"type": SHT_DYNSYM},
    ],
    ids=str,
)
def test_lies_of_a_section_header(written: Written, number: int, lie: dict[str, int]) -> None:
    section = replace(PLAIN.sections[number - 1], **lie)  # type: ignore[arg-type]
    outcome = read_whole(written(with_section(PLAIN, number, section).to_bytes()))
    assert outcome.error is None


@pytest.mark.parametrize(
    "lie",
    [
        {"offset": HUGE},
        {"filesz": HUGE},
        {"filesz": 2**64 - 1},
        {"vaddr": 2**64 - 8},
        {"filesz": 0},
        {"memsz": HUGE},
        {"align": HUGE},
    ],
    ids=str,
)
@pytest.mark.parametrize("number", [0, 1])
def test_lies_of_a_segment(written: Written, number: int, lie: dict[str, int]) -> None:
    segments = list(BARE.segments)
    segments[number] = replace(segments[number], **lie)  # type: ignore[arg-type]
    outcome = read_whole(written(replace(BARE, segments=tuple(segments)).to_bytes()))
    assert outcome.error is None


def test_overlapping_segments(written: Written) -> None:
    """20,000 segments over the same bytes: the first that holds an address gives its offset."""
    rows, strings = symbol_table([Symbol(1, value, 1, shndx=1) for value in range(40_000)])
    file = ElfFile(
        sections=(
            Section(b"", SHT_SYMTAB, rows, 0, 2, 1, 24),
            Section(b"", SHT_STRTAB, strings + b"name", align=1),
        ),
        segments=tuple(
            Segment(PT_LOAD, offset=0, vaddr=20_000 - number // 2, filesz=30_000)
            for number in range(20_000)
        ),
    )
    outcome = read_whole(written(file.to_bytes()))
    assert outcome.error is None
    lowest = 20_000 - 9_999
    assert [(symbol.vaddr, symbol.offset) for symbol in outcome.symbols] == [
        (value, None if value < lowest else max(0, value - 20_000)) for value in range(40_000)
    ]


def test_an_unknown_type_has_symbols_but_no_verdict(written: Written) -> None:
    path = written(replace(PLAIN, header={"e_type": 0xFFFF}).to_bytes())
    assert [symbol.name for symbol in Binary(str(path)).symbols()] == ["one", "two"]
    with pytest.raises(MalformedError, match="ELF type 65535"):
        file_facts(FilePath.plain(str(path)), ())


def test_60_000_note_segments_over_the_same_notes(written: Written) -> None:
    notes = note(b"stapsdt", 3, b"\1" * 24 + b"\0" * 3) * 100_000
    file = ElfFile(
        sections=(Section(b".note", SHT_NOTE, notes, align=4),),
        segments=(Segment(PT_NOTE, section=1, align=4),) * 60_000,
    )
    assert read_whole(written(file.to_bytes())).error is None


def test_60_000_sections_over_the_same_bytes(written: Written) -> None:
    rows, strings = symbol_table([Symbol(b"name", 1, 1, shndx=1)] * 20_000)
    for kind in (SHT_NOTE, SHT_SYMTAB, SHT_DYNSYM, SHT_SYMTAB_SHNDX, SHT_STRTAB):
        again = Section(b"", kind, b"", 0, 2, 1, 24, offset=0x1000, size=len(rows))
        file = ElfFile(
            type=1,
            sections=(
                Section(b"", SHT_SYMTAB, rows, 0, 2, 1, 24),
                Section(b"", SHT_STRTAB, strings),
                *(replace(again, link=1 if kind == SHT_SYMTAB_SHNDX else 2),) * 60_000,
            ),
        )
        assert read_whole(written(file.to_bytes())).error is None
