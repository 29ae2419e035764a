"""A whole shared library, written byte by byte: right in everything, to be spoilt by tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from tests.elfwriter import (
    FUNC,
    GLOBAL,
    PT_DYNAMIC,
    PT_LOAD,
    SHF_ALLOC,
    SHF_EXEC,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_GNU_HASH,
    SHT_HASH,
    SHT_PROGBITS,
    SHT_STRTAB,
    SHT_VERDEF,
    SHT_VERSYM,
    ElfFile,
    Section,
    Segment,
    Symbol,
    Version,
    gnu_hash,
    symbol_table,
    sysv_hash,
    verdef,
    with_data,
)

CODE = b"\xb8\x2a\x00\x00\x00\xc3\x90\x90"
"""x86-64 and i386: `mov eax, 42; ret; nop; nop`."""

TEXT, DYNSYM, DYNSTR, SYSV_HASH, GNU_HASH, VERSYM, VERDEF, DYNAMIC = range(1, 9)
"""Section numbers in what library() makes."""


def library(
    names: Sequence[bytes] = (b"forty_two",),
    *,
    bits: int = 64,
    big: bool = False,
    machine: int = 62,
    section_headers: bool = True,
) -> ElfFile:
    """A shared library that the loader takes: each name a function that returns 42 (on x86),
    all of version V1, with both hash tables. Addresses are file offsets."""
    symbols = [Symbol(name, 0, len(CODE), FUNC, GLOBAL, 0, TEXT) for name in names]
    strings = symbol_table(symbols)[1]
    version_name, soname = len(strings), len(strings) + 3
    strings += b"V1\0" + b"libwritten.so\0"
    order, alloc = ">" if big else "<", SHF_ALLOC
    rows = symbol_table(symbols, bits=bits, big=big)[0]
    versym = struct.pack(f"{order}{1 + len(names)}H", 0, *([2] * len(names)))
    nodes = [Version(1, soname, flags=1), Version(2, version_name)]
    word = "Q" if bits == 64 else "I"
    tags = {5: DYNSTR, 6: DYNSYM, 4: SYSV_HASH, 0x6FFFFEF5: GNU_HASH}
    tags |= {0x6FFFFFF0: VERSYM, 0x6FFFFFFC: VERDEF}
    plain = [(14, soname), (10, len(strings)), (11, 24 if bits == 64 else 16), (0x6FFFFFFD, 2)]
    room = bytes((len(tags) + len(plain) + 1) * (bits // 4))
    file = ElfFile(
        bits, big, machine,
        sections=(
            Section(b".text", SHT_PROGBITS, CODE * max(1, len(names)), alloc | SHF_EXEC),
            Section(b".dynsym", SHT_DYNSYM, rows, alloc, DYNSTR, 1, 24 if bits == 64 else 16),
            Section(b".dynstr", SHT_STRTAB, strings, alloc),
            Section(b".hash", SHT_HASH, sysv_hash(names, big=big), alloc, DYNSYM, 0, 4),
            Section(b".gnu.hash", SHT_GNU_HASH, gnu_hash(names, bits=bits, big=big), alloc, DYNSYM),
            Section(b".gnu.version", SHT_VERSYM, versym, alloc, DYNSYM, 0, 2),
            Section(b".gnu.version_d", SHT_VERDEF, verdef(nodes, big=big), alloc, DYNSTR, 2),
            Section(b".dynamic", SHT_DYNAMIC, room, alloc, DYNSTR, 0, bits // 4),
        ),
        segments=(Segment(PT_LOAD), Segment(PT_DYNAMIC, section=DYNAMIC)),
        section_headers=section_headers,
    )  # fmt: skip
    offsets = file.offsets()
    placed = [
        replace(symbol, value=offsets[TEXT] + i * len(CODE)) for i, symbol in enumerate(symbols)
    ]
    entries = [*((tag, offsets[number]) for tag, number in tags.items()), *plain, (0, 0)]
    dynamic = b"".join(struct.pack(order + 2 * word, *entry) for entry in entries)
    file = with_data(file, DYNSYM, symbol_table(placed, bits=bits, big=big)[0])
    return with_data(file, DYNAMIC, dynamic)


HUGE = 1 << 60
PLAIN = library([b"one", b"two"])
BARE = library([b"one", b"two"], section_headers=False)
"""The same without section headers: what the loader itself reads."""
