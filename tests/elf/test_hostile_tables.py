"""Tables that lie, loop, overlap or never end: rows that can be trusted, within bounds."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from symprobe.binary import Binary
from symprobe.elf.hashlookup import HashTable, hashed
from tests.elfwriter import (
    PT_DYNAMIC,
    PT_NOTE,
    SHT_NOTE,
    SHT_STRTAB,
    SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
    ElfFile,
    Section,
    Segment,
    Symbol,
    Version,
    note,
    symbol_table,
    verdef,
    verneed,
    with_data,
    with_section,
)
from tests.support.bounded import bounded, read_whole
from tests.support.written import (
    BARE,
    DYNAMIC,
    DYNSTR,
    GNU_HASH,
    HUGE,
    PLAIN,
    SYSV_HASH,
    VERDEF,
)

Written = Callable[[bytes], Path]


def dynamic_with(file: ElfFile, **values: int) -> ElfFile:
    """The file with other values of these dynamic tags (by number: t5=…)."""
    data = bytearray(file.sections[DYNAMIC - 1].data)
    for start in range(0, len(data), 16):
        (tag,) = struct.unpack_from("<Q", data, start)
        if f"t{tag}" in values:
            struct.pack_into("<Q", data, start + 8, values.pop(f"t{tag}"))
    assert not values, "no such tag in the file"
    return with_data(file, DYNAMIC, bytes(data))


@pytest.mark.parametrize("value", [0, 1, 7, 1 << 20, HUGE, 2**64 - 1])
@pytest.mark.parametrize("tag", [4, 5, 6, 10, 11, 14, 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC])
def test_lies_of_the_dynamic_section(written: Written, tag: int, value: int) -> None:
    outcome = read_whole(written(dynamic_with(BARE, **{f"t{tag}": value}).to_bytes()))
    assert outcome.error is None


def test_a_dynamic_section_without_an_end(written: Written) -> None:
    endless = struct.pack("<QQ", 1, 1) * 5000
    outcome = read_whole(written(with_data(PLAIN, DYNAMIC, endless).to_bytes()))
    assert outcome.error is None


def test_strings_without_an_end(written: Written) -> None:
    last = Section(b"", SHT_STRTAB, b"\0first\0endless", align=1)
    rows, _ = symbol_table([Symbol(1), Symbol(7), Symbol(HUGE >> 40), Symbol(14)])
    file = ElfFile(type=1, sections=(Section(b"", SHT_SYMTAB, rows, 0, 2, 1, 24), last))
    outcome = read_whole(written(file.to_bytes()))
    assert outcome.names == ["first", "endless"]
    assert len(outcome.warnings) == 2, "the name without an end, and the names outside"


@pytest.mark.parametrize("step", [0, 1, 4, 16, 28, 0xFFFFFFF0])
def test_cyclic_and_overlapping_version_tables(written: Written, step: int) -> None:
    nodes = [Version(number, 1, next=step) for number in range(1, 5)]
    for data in (verdef(nodes), verneed(1, nodes, step=step), verdef(nodes * 2000)):
        for file in (PLAIN, BARE):
            spoilt = with_data(with_data(file, VERDEF, b"\0" * 56), VERDEF, data)
            outcome = read_whole(written(spoilt.to_bytes()))
            assert outcome.error is None


def test_version_counts_beyond_the_table(written: Written) -> None:
    """vd_cnt and the number of definitions are 2^16 and 2^32 where one stands in the table."""
    data = struct.pack("<HHHHIIIII", 1, 0, 2, 0xFFFF, 0, 20, 1, 1, 0)
    file = with_section(
        with_data(PLAIN, VERDEF, data),
        VERDEF,
        replace(PLAIN.sections[VERDEF - 1], data=data, info=0xFFFFFFFF),
    )
    assert read_whole(written(file.to_bytes())).error is None


@pytest.mark.parametrize(
    ("buckets", "first", "bloom"),
    [
        (0xFFFFFFFF, 0, 1),
        (1, 0xFFFFFFFF, 1),
        (1, 1, 0xFFFFFFFF),
        (0xFFFFFFFF,) * 3,
        (0, 0, 0),
    ],
)
def test_lies_of_the_gnu_hash(written: Written, buckets: int, first: int, bloom: int) -> None:
    data = struct.pack("<4I", buckets, first, bloom, 0) + b"\x02" * 16
    only_gnu = dynamic_with(with_data(BARE, GNU_HASH, data), t4=HUGE)
    assert read_whole(written(only_gnu.to_bytes())).error is None


def test_a_gnu_hash_chain_without_an_end(written: Written) -> None:
    """All hash values even: the chain runs to the end of the segment; the string table ends it."""
    file = with_data(BARE, GNU_HASH, struct.pack("<4IQI", 1, 1, 1, 0, HUGE, 1) + b"\x02" * 4096)
    file = replace(file, sections=(*file.sections, Section(data=b"\x02" * (8 << 20))))
    outcome = read_whole(written(dynamic_with(file, t4=HUGE).to_bytes()))
    assert outcome.error is None
    assert len(outcome.symbols) < 100, "the string table bounds the symbol table"


@pytest.mark.parametrize("count", [0, 1, 0xFFFFFFFF])
def test_lies_of_the_sysv_hash(written: Written, count: int) -> None:
    file = with_data(BARE, SYSV_HASH, struct.pack("<6I", 1, count, 1, 0, 0, 0))
    outcome = read_whole(written(file.to_bytes()))
    assert outcome.error is None
    assert len(outcome.symbols) < 100


def test_a_sysv_hash_chain_that_comes_back(written: Written) -> None:
    """Each of 100 lookups would go round for ever; what names come before the loop is found."""
    loop = with_data(BARE, SYSV_HASH, struct.pack("<6I", 1, 3, 1, 0, 2, 1))
    gnu, other = struct.pack("<Q", 0x6FFFFEF5), struct.pack("<Q", 21)
    dynamic = loop.sections[DYNAMIC - 1].data.replace(gnu, other)
    binary = Binary(str(written(with_data(loop, DYNAMIC, dynamic).to_bytes())))
    assert binary.dynamic is not None
    table = HashTable(binary.image, binary.dynamic)
    with bounded():
        assert [entry.number for entry in islice(table.find(hashed("one")), 2)] == [1, 1]
        for number in range(100):
            assert list(table.find(hashed(f"no-such-name-{number}"))) == []
    assert binary.warnings == ["the hash table's chains are too long to follow"]


@pytest.mark.parametrize("sizes", [(0xFFFFFFFF, 4), (4, 0xFFFFFFFF), (0, 0), (0xFFFFFFFC,) * 2])
def test_lies_of_a_note(written: Written, sizes: tuple[int, int]) -> None:
    lie = struct.pack("<III", *sizes, 3) + b"GNU\0"
    good = note(b"GNU", 3, b"\x12\x34")
    for data in (lie, lie + good, note(b"stapsdt", 3, b"short"), note(b"stapsdt", 3, b"\1" * 24)):
        file = ElfFile(
            sections=(Section(b".note", SHT_NOTE, data, align=4),),
            segments=(Segment(PT_NOTE, section=1, align=4),),
        )
        assert read_whole(written(file.to_bytes())).error is None


def test_two_million_empty_notes(written: Written) -> None:
    file = ElfFile(sections=(Section(b".note", SHT_NOTE, bytes(24_000_000), align=4),))
    assert read_whole(written(file.to_bytes())).error is None


def test_lies_of_the_section_numbers_of_symbols(written: Written) -> None:
    symbols = [Symbol(b"x", shndx=index) for index in (0xFFFF, 0xFF00, 0xFEFF, 0xFFF1, 7)]
    rows, strings = symbol_table(symbols)
    extended = struct.pack("<3I", 0, 0xFFFFFFFF, 9)
    file = ElfFile(
        type=1,
        sections=(
            Section(b".symtab", SHT_SYMTAB, rows, 0, 2, 1, 24),
            Section(b".strtab", SHT_STRTAB, strings, align=1),
            Section(b".shndx", SHT_SYMTAB_SHNDX, extended, 0, 1, 0, 4),
        ),
    )
    outcome = read_whole(written(file.to_bytes()))
    assert [symbol.section_index for symbol in outcome.symbols] == [
        *(0xFFFFFFFF, 0xFF00, 0xFEFF, 0xFFF1, 7)
    ]
    assert all(symbol.offset is None for symbol in outcome.symbols)


def test_a_symbol_table_that_is_its_own_string_table(written: Written) -> None:
    rows, _ = symbol_table([Symbol(number, 1, 1, shndx=1) for number in range(50)])
    file = ElfFile(type=1, sections=(Section(b"", SHT_SYMTAB, rows, 0, 1, 1, 24),))
    assert read_whole(written(file.to_bytes())).error is None


def test_every_symbol_has_the_same_very_long_name(written: Written) -> None:
    """20,000 rows that share one name of a megabyte must not become 20 GB of names."""
    name = b"_Z" + b"N" * (1 << 20)
    for start in (lambda number: 1, lambda number: number):
        symbols = [Symbol(start(number), number) for number in range(1, 20_000)]
        rows, strings = symbol_table([Symbol(name), *symbols])
        file = ElfFile(
            type=1,
            sections=(
                Section(b"", SHT_SYMTAB, rows, 0, 2, 1, 24),
                Section(b"", SHT_STRTAB, strings, align=1),
            ),
        )
        outcome = read_whole(written(file.to_bytes()))
        assert outcome.error is None
        assert outcome.symbols
        assert outcome.warnings


def test_a_dynamic_segment_outside_every_load(written: Written) -> None:
    file = replace(BARE, segments=(Segment(PT_DYNAMIC, section=DYNAMIC),))
    outcome = read_whole(written(file.to_bytes()))
    assert (outcome.names, outcome.error) == ([], None)


def test_a_string_table_of_one_byte(written: Written) -> None:
    outcome = read_whole(written(with_data(PLAIN, DYNSTR, b"\0").to_bytes()))
    assert (outcome.names, outcome.error) == ([], None)
    assert outcome.warnings
