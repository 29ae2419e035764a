"""From addresses in live and ended processes to names of functions."""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import NamedTuple

from symprobe.binary import Binary
from symprobe.errors import SymprobeError
from symprobe.model import FilePath, Kind
from symprobe.trace.mmaps import Area, MapWatch

_CODE = {Kind.FUNC, Kind.IFUNC, Kind.NOTYPE}


class Frame(NamedTuple):
    """A function on a stack: its name (demangled) and file, empty where they are not known.

    offset: in the file, of the function's first byte where its name is known; the address in the
    process, where the file is not.
    """

    name: str
    path: str
    offset: int


class Names:
    """The functions of one file by their addresses. Errors: as of Binary."""

    def __init__(self, file: FilePath) -> None:
        binary = Binary(file)
        self._image = binary.image
        found: dict[int, tuple[int, str]] = {}
        for symbol in binary.symbols():
            if symbol.kind in _CODE and symbol.offset is not None and symbol.name:
                size, _ = found.get(symbol.vaddr, (-1, ""))
                if symbol.size > size:
                    found[symbol.vaddr] = symbol.size, symbol.demangled
        self._starts = sorted(found)
        self._found = found

    def function(self, offset: int) -> tuple[str, int]:
        """The function at a file offset and where it begins; no name when no symbol covers it."""
        vaddr = self._image.vaddr_of(offset)
        place = -1 if vaddr is None else bisect_right(self._starts, vaddr) - 1
        if vaddr is None or place < 0:
            return "", offset
        start = self._starts[place]
        size, name = self._found[start]
        inside = vaddr < start + size or size == 0
        return (name, offset - (vaddr - start)) if inside else ("", offset)


class Symboliser:
    """Names for the addresses of processes, whose mappings are watched."""

    def __init__(self, maps: MapWatch) -> None:
        self._maps = maps
        self._names: dict[tuple[tuple[int, int], str], Names | None] = {}

    def frame(self, pid: int, address: int) -> Frame | None:
        """The function that an address is in, None when no code is known to be there."""
        area = self._maps.find(pid, address)
        if area is None:
            return None
        offset = address - area.start + area.offset
        names = self._of(pid, area)
        name, start = names.function(offset) if names else ("", offset)
        return Frame(name, area.path, start)

    def _of(self, pid: int, area: Area) -> Names | None:
        key = area.inode, area.path
        if key not in self._names:
            self._names[key] = _names(pid, area)
        return self._names[key]


def _names(pid: int, area: Area) -> Names | None:
    """By the path that the process sees, if it leads to the file that was mapped."""
    for opened in (area.path, f"/proc/{pid}/root{area.path}"):
        try:
            status = os.stat(opened)
            if (status.st_dev, status.st_ino) == area.inode:
                return Names(FilePath(opened, area.path))
        except (OSError, SymprobeError, ValueError):
            continue
    return None
