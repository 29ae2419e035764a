"""Which implementation an IFUNC stands for: the loader has asked its resolver, we look.

Nothing is called: in our own process the C library's dlsym gives what the loader bound
(dlsym of an already resolved IFUNC calls the resolver again, which is the C library's own
code and has no side effect); in another process the slots that the loader filled are read.
Sources: the GNU gABI extension STT_GNU_IFUNC; R_*_IRELATIVE of the psABIs; dlvsym(3).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from symprobe.binary import Binary
from symprobe.elf.constants import EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_S390, EM_X86_64
from symprobe.elf.relocations import relocations
from symprobe.errors import SymprobeError
from symprobe.grep import Grep
from symprobe.model import FileOffset, Symbol
from symprobe.process import Mapping, mapping_file, mappings

IRELATIVE = {
    EM_X86_64: 37, EM_386: 42, EM_AARCH64: 1032, EM_ARM: 160, EM_PPC64: 248, EM_S390: 61,
}  # fmt: skip
_SLOTS = {
    EM_X86_64: (6, 7, 1), EM_386: (6, 7, 1), EM_AARCH64: (1025, 1026, 257),
    EM_ARM: (21, 22, 2), EM_PPC64: (20, 21, 38), EM_S390: (10, 11, 22),
}  # fmt: skip
"""GLOB_DAT, JUMP_SLOT, ABS of each machine: relocations whose slot holds a function's address."""
_MOST = 32
"""Candidates that are named for one IFUNC."""


def own_implementation(binary: Binary, symbol: Symbol) -> FileOffset | None:
    """File offset that this process's loader bound an IFUNC to; None when the same file (device
    and inode) is not mapped here, or does not export the name."""
    maps = [m for m in mappings(os.getpid()) if m.inode == binary.image.source.inode]
    if not maps or symbol.bind == "local":
        return None
    import ctypes

    try:
        library = ctypes.CDLL(maps[0].path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        libc = ctypes.CDLL(None)
        lookup = libc.dlsym if symbol.version is None else libc.dlvsym
    except (OSError, AttributeError):  # not loaded any more; a C library without dlvsym
        return None
    name = symbol.name.encode("utf-8", "surrogateescape")
    version = symbol.version.encode("utf-8", "surrogateescape") if symbol.version else None
    arguments = [ctypes.c_void_p(library._handle), ctypes.c_char_p(name)]
    if version is not None:
        arguments.append(ctypes.c_char_p(version))
    lookup.restype = ctypes.c_void_p
    return offset_in(maps, lookup(*arguments) or 0)


def process_implementation(pid: int, binary: Binary, symbol: Symbol) -> FileOffset | None:
    """File offset that a process's loader bound an IFUNC of this file to, read from its slots:
    the file's own IRELATIVE ones, else those of the files that import the name. None when
    no slot holds an answer (not imported, or not called yet under lazy binding).

    Errors: TargetError when the process can't be read.
    """
    everything = mappings(pid)
    maps = [m for m in everything if m.inode == binary.image.source.inode]
    if not maps:
        return None
    by_file: dict[tuple[int, int], list[Mapping]] = {}
    for mapping in everything:
        by_file.setdefault(mapping.inode, []).append(mapping)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for places in (maps, *(p for i, p in by_file.items() if p is not maps)):
            own = places[0].inode == maps[0].inode
            for slot, size in _slots(pid, places, binary if own else None, symbol):
                try:
                    word = os.pread(memory.fileno(), size, slot)
                except (OSError, OverflowError):
                    continue
                order = "big" if binary.image.big_endian else "little"
                found = offset_in(maps, int.from_bytes(word, order))  # type: ignore[arg-type]
                if found is not None:
                    return found
    return None


def _slots(
    pid: int, places: list[Mapping], own: Binary | None, symbol: Symbol
) -> Iterator[tuple[int, int]]:
    """(runtime address, size) of the slots of one mapped file that hold the function's address."""
    try:
        file = own if own is not None else Binary(mapping_file(pid, places[0]), debug_roots=())
    except SymprobeError:
        return
    image = file.image
    base = load_bias(places, file)
    if base is None:
        return
    machine = image.header.machine
    wanted = _SLOTS.get(machine, ())
    symbols = file.dynsym
    for relocation in relocations(image, file.dynamic):
        if relocation.type == IRELATIVE.get(machine):
            if own is not None and relocation.addend == symbol.value:
                yield base + relocation.vaddr, image.bits // 8
        elif relocation.type in wanted and symbols is not None and relocation.symbol:
            name = symbols.name(relocation.symbol) if relocation.symbol < symbols.count else b""
            if name == symbol.name.encode("utf-8", "surrogateescape"):
                yield base + relocation.vaddr, image.bits // 8


def load_bias(places: list[Mapping], binary: Binary) -> int | None:
    """What was added to link-time addresses when the file was mapped; None if unknown."""
    for mapping in places:
        vaddr = binary.image.vaddr_of(mapping.offset)
        if vaddr is not None:
            return mapping.start - vaddr
    return None


def offset_in(maps: list[Mapping], address: int) -> FileOffset | None:
    """The file offset of a runtime address, when one of these mappings holds it."""
    for mapping in maps:
        if mapping.start <= address < mapping.end and "x" in mapping.permissions:
            return FileOffset(address - mapping.start + mapping.offset)
    return None


class Candidates:
    """Functions that look like implementations by their names: `__strlen_avx2` for strlen."""

    def __init__(self, binary: Binary, ifuncs: Collection[Symbol]) -> None:
        stems = {ifunc.name.lstrip("_") for ifunc in ifuncs}
        wanted = Grep(stems.pop(), fixed=True) if len(stems) == 1 else None
        found = {
            (s.name.lstrip("_"), s.name)
            for s in binary.symbols(wanted, demangle=False)
            if s.defined and s.kind == "func"
        }
        self._names = sorted(found)

    def of(self, names: Iterable[str]) -> list[str]:
        """Of an IFUNC with these names."""
        found: list[str] = []
        for stem in {f"{name.partition('@')[0].lstrip('_')}_" for name in names}:
            first = bisect_left(self._names, (stem, ""))
            for bare, name in islice(self._names, first, None):
                if not bare.startswith(stem) or len(found) == _MOST:
                    break
                found.append(name)
        return sorted(dict.fromkeys(found))
