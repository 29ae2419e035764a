"""How many dynamic symbols a file has when no section header says so.

DT_SYMTAB has no size. DT_HASH's nchain is the count; the symbols of DT_GNU_HASH stand at the
table's end; where none is hashed, relocations reach the undefined ones. The table ends at the
latest where the string table begins, since every linker puts it there. Sources: gABI "Hash
Table"; bfd/elf.c and elf/dl-addr.c of their projects take the same way.
"""

from __future__ import annotations

from array import array

from symprobe.elf.constants import EM_MIPS, EM_S390
from symprobe.elf.dynamic import (
    DT_GNU_HASH,
    DT_HASH,
    DT_MIPS_SYMTABNO,
    DT_STRTAB,
    DT_SYMTAB,
    Dynamic,
)
from symprobe.elf.image import Image
from symprobe.elf.relocations import relocations


def dynamic_symbol_count(image: Image, dynamic: Dynamic) -> int:
    """Number of entries of the table at DT_SYMTAB, the null symbol included; 0 if unknown."""
    exact = dynamic.value(DT_MIPS_SYMTABNO) if image.header.machine == EM_MIPS else None
    if exact is None:
        exact = _sysv_count(image, dynamic)
    if exact is None:
        exact = _gnu_count(image, dynamic)
    count = exact if exact is not None else _relocated_count(image, dynamic)
    return min(count, _bound(image, dynamic))


def _bound(image: Image, dynamic: Dynamic) -> int:
    symbols, strings = dynamic.value(DT_SYMTAB) or 0, dynamic.value(DT_STRTAB) or 0
    size = 24 if image.bits == 64 else 16
    room = strings - symbols if strings > symbols else image.source.size
    return min(room, image.source.size) // size


def _sysv_count(image: Image, dynamic: Dynamic) -> int | None:
    address = dynamic.value(DT_HASH)
    if address is None:
        return None
    # 64-bit s390 (and Alpha) have hash words of 8 bytes.
    wide = image.header.machine in (EM_S390, 0x9026) and image.bits == 64
    head = image.read_vaddr(address, 16 if wide else 8)
    if len(head) < (16 if wide else 8):
        return None
    return image.unpack("QQ" if wide else "II", head)[1]


def _gnu_count(image: Image, dynamic: Dynamic) -> int | None:
    """The number behind the last hashed symbol, with which the table ends; None: none is hashed."""
    address = dynamic.value(DT_GNU_HASH)
    head = image.read_vaddr(address, 16) if address is not None else b""
    if address is None or len(head) < 16:
        return None
    buckets, first, bloom, _ = image.unpack("IIII", head)
    start = address + 16 + bloom * image.bits // 8
    last = max(_words(image, start, buckets), default=0)
    if last < first:
        return None
    position = start + 4 * buckets + 4 * (last - first)
    while True:  # the last chain ends at a word with bit 0 set, or with the segment
        chain = _words(image, position, 1024)
        for word in chain:
            last += 1
            if word & 1:
                return last
        if len(chain) < 1024:
            image.warn("the last chain of DT_GNU_HASH has no end")
            return last
        position += 4096


def _words(image: Image, address: int, count: int) -> array[int]:
    return image.numbers("I", image.read_vaddr(address, min(4 * count, image.source.size)))


def _relocated_count(image: Image, dynamic: Dynamic) -> int:
    """1 + the highest symbol number that a dynamic relocation names."""
    return 1 + max((r.symbol for r in relocations(image, dynamic)), default=0)
