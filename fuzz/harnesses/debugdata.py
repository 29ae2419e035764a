"""`.gnu_debugdata`: a compressed ELF file inside a file."""

from __future__ import annotations

import lzma
from collections.abc import Iterator

from fuzz import seeds as made
from symprobe.binary import Binary
from tests.elfwriter import (
    SHT_PROGBITS,
    SHT_STRTAB,
    SHT_SYMTAB,
    ElfFile,
    Section,
    Symbol,
    symbol_table,
)

LONGEST = 2048


def seeds() -> Iterator[bytes]:
    rows, strings = symbol_table([Symbol(b"hidden", 0x40, 8), Symbol(b"_Z6hiddenv", 0x48, 8)])
    inner = ElfFile(
        sections=(
            Section(b".symtab", SHT_SYMTAB, rows, link=2, info=1, entsize=24),
            Section(b".strtab", SHT_STRTAB, strings),
        )
    ).to_bytes()
    for content in (inner, b"", bytes(4096)):
        # Without a check sum, what is changed in the stream reaches the reader of what it holds.
        for check_sum in (lzma.CHECK_NONE, lzma.CHECK_CRC32):
            yield lzma.compress(content, lzma.FORMAT_XZ, check_sum, preset=0)
    yield inner


def check(data: bytes) -> None:
    # What is no xz stream is taken as the file inside.
    packed = (
        data
        if data.startswith(b"\xfd7z")
        else lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=_STORED)
    )
    whole = made.elf_around([(b".gnu_debugdata", SHT_PROGBITS, packed)])
    binary = Binary(made.source(whole), debug_roots=("/nonexistent",))
    rows = binary.symbols()
    assert all(row.offset is None or row.offset >= 0 for row in rows)
    assert all(binary.warnings)


_STORED = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 4096}]
