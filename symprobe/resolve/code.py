"""The machine code of functions, by link-time address."""

from __future__ import annotations

from symprobe.elf.constants import EM_PPC64, PF_X
from symprobe.elf.image import Image
from symprobe.model import Kind, Symbol, VAddr

_WHOLE = 256 << 20
"""Segments up to this many bytes are read whole."""
_PATIENCE = 100
"""After so many single reads the segments are read whole."""


class Code:
    """Bytes of an image by link-time address; whole segments once many pieces were asked for."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._segments: list[tuple[int, bytes]] = []
        self._asked = 0

    def at(self, vaddr: int, size: int) -> bytes:
        """Up to `size` bytes at an address; fewer where the file holds no more."""
        self._asked += 1
        if self._asked == _PATIENCE:
            self._segments = executable_segments(self._image)
        for start, data in self._segments:
            if start <= vaddr < start + len(data):
                return data[vaddr - start : vaddr - start + size]
        return self._image.read_vaddr(vaddr, size)


def executable_segments(image: Image) -> list[tuple[int, bytes]]:
    """(address, bytes) of the executable PT_LOADs."""
    return [
        (segment.vaddr, image.segment_data(segment))
        for segment in image.loads
        if segment.flags & PF_X and segment.filesz <= _WHOLE
    ]


def entry_of(image: Image, symbol: Symbol) -> VAddr:
    """Where a call of the function lands: its address, but for 64-bit PowerPC.

    There a symbol of the first ABI is a descriptor whose first word is the code's address, and
    one of the second has a local entry point behind the global one, which calls from
    the same file take (psABI, "Function Descriptors", "Local Entry Point").
    """
    if image.header.machine != EM_PPC64 or symbol.kind not in (Kind.FUNC, Kind.IFUNC):
        return symbol.vaddr
    if symbol.section == ".opd":
        word = image.read_vaddr(symbol.vaddr, 8)
        return VAddr(image.unpack("Q", word)[0]) if len(word) == 8 else symbol.vaddr
    if symbol.note.startswith("local entry point"):
        return VAddr(symbol.vaddr + int(symbol.note.split()[3]))
    return symbol.vaddr
