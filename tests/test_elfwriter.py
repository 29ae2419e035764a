"""The writer of ELF files, judged: by readelf, and by the loader that runs what it wrote."""

from __future__ import annotations

import ctypes
import itertools
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.elfwriter import (
    SHT_NOTE,
    SHT_SYMTAB,
    WEAK,
    ElfFile,
    Section,
    Segment,
    Symbol,
    Version,
    archive,
    note,
    symbol_table,
    verneed,
)
from tests.support.readelf import run, symbol_tables
from tests.support.written import library

Written = Callable[[bytes], Path]
CLASSES = list(itertools.product((32, 64), (False, True)))


@pytest.mark.parametrize("section_headers", [True, False])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the written code is x86-64's")
def test_the_loader_takes_a_written_library_and_its_code_runs(
    written: Written, section_headers: bool
) -> None:
    data = library([b"forty_two", b"another"], section_headers=section_headers).to_bytes()
    loaded = ctypes.CDLL(str(written(data)))
    assert loaded.forty_two() == 42
    assert loaded.another() == 42
    assert not hasattr(loaded, "absent")


@pytest.mark.parametrize(("bits", "big"), CLASSES)
def test_readelf_reads_the_symbols_of_every_class_and_byte_order(
    written: Written, bits: int, big: bool
) -> None:
    machine = 22 if bits == 64 else 8  # S390, MIPS: both exist in big endian
    path = written(library([b"one", b"two"], bits=bits, big=big, machine=machine).to_bytes())
    (table,) = symbol_tables(str(path))
    assert [row.name for row in table.rows] == ["one@@V1", "two@@V1"]
    assert table.rows[1].value - table.rows[0].value == 8
    report = run("readelf", "-hlSdVW", str(path))
    assert f"ELF{bits}" in report
    assert f"{'big' if big else 'little'} endian" in report
    assert "Library soname: [libwritten.so]" in report
    assert "Name: V1" in report


@pytest.mark.parametrize(("bits", "big"), CLASSES)
def test_readelf_reads_symtab_notes_and_version_needs(
    written: Written, bits: int, big: bool
) -> None:
    symbols = [Symbol(b"first", 0x10, 5, shndx=1), Symbol(b"second", 0x20, 6, bind=WEAK, other=2)]
    rows, strings = symbol_table(symbols, bits=bits, big=big)
    needs = verneed(1, [Version(2, 7), Version(3, 1)], big=big)
    build_id = note(b"GNU", 3, bytes.fromhex("00ff1234"), big=big)
    file = ElfFile(
        bits,
        big,
        type=1,
        sections=(
            Section(b".text", data=b"\xc3" * 64),
            Section(b".symtab", SHT_SYMTAB, rows, 0, 3, 1, 24 if bits == 64 else 16),
            Section(b".strtab", 3, strings),
            Section(b".note", SHT_NOTE, build_id, align=4),
            Section(b".gnu.version_r", 0x6FFFFFFE, needs, 2, 3, 1),
        ),
    )
    path = written(file.to_bytes())
    (table,) = symbol_tables(str(path))
    assert [(r.name, r.value, r.size, r.bind, r.visibility, r.index) for r in table.rows] == [
        ("first", 0x10, 5, 1, "default", 1),
        ("second", 0x20, 6, 2, "hidden", 0),
    ]
    report = " ".join(run("readelf", "-nVW", str(path)).split())
    assert "Build ID: 00ff1234" in report
    assert "File: 1 Cnt: 2" in report
    assert "Name index: 7 Flags: none Version: 2" in report


def test_what_is_said_is_written_as_it_stands(written: Written) -> None:
    file = replace(
        library(), header={"e_shnum": 7, "e_phentsize": 3}, segments=(Segment(filesz=1 << 60),)
    )
    report = run("readelf", "-hlW", str(written(file.to_bytes())))
    assert "Number of section headers:         7" in report
    assert "Size of program headers:           3" in report
    fixed = replace(file, header={})
    assert "0x1000000000000000" in run("readelf", "-lW", str(written(fixed.to_bytes())))
    with pytest.raises(KeyError):
        replace(file, header={"e_nonsense": 1}).to_bytes()


def test_ar_reads_a_written_archive(written: Written) -> None:
    members = [(b"//", b"a_name_longer_than_sixteen.o/\n"), (b"/0", b"odd"), (b"two.o/", b"even")]
    path = written(archive(members))
    assert run("ar", "t", str(path)).split() == ["a_name_longer_than_sixteen.o", "two.o"]
    assert run("ar", "p", str(path), "two.o") == "even"
