"""A whole ELF file: header, segments, sections, symbols, versions, dynamic section, notes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from fuzz import seeds as made
from symprobe.binary import Binary
from symprobe.debuginfo import debuglink
from symprobe.elf.hashlookup import HashTable, hashed
from symprobe.elf.notes import gnu_properties
from symprobe.elf.relocations import relocations
from symprobe.errors import SymprobeError
from symprobe.linkage import verdict

LONGEST = 4096
_NAMES = [hashed(name) for name in ("one", "_ZN3two5threeEi", "memcpy", "")]


def seeds() -> Iterator[bytes]:
    yield from made.libraries()
    yield from made.fixtures(
        "mips/tiny", "riscv64/tiny", "armhf/tiny", "oddnames.o", "kmod.ko", "hello-pie-truncated",
        "mips/symbols.o", "powerpc64/symbols.o",
    )  # fmt: skip


def check(data: bytes) -> None:
    binary = Binary(made.source(data), debug_roots=())
    symbols = binary.symbols()
    assert len(binary.symbols("e")) <= len(symbols)
    assert all(s.size >= 0 and (s.offset is None or s.offset >= 0) for s in symbols)
    binary.symbols_at({symbol.vaddr for symbol in symbols[:4]})
    assert sum(binary.symbol_count().values()) <= len(data)
    _ = binary.versions, binary.build_id, binary.usdt_probes, binary.is_go
    gnu_properties(binary.image)
    debuglink(binary.image)
    for _ in relocations(binary.image, binary.dynamic):
        pass
    if binary.dynamic is not None:
        _ = binary.dynamic.needed, binary.dynamic.soname, binary.dynamic.runpath
        table = HashTable(binary.image, binary.dynamic)
        for name in _NAMES:
            list(table.find(name))
    with suppress(SymprobeError):
        verdict(binary.image, binary.dynamic, None)
    assert len(binary.warnings) < 100
    assert all(binary.warnings)
