"""From addresses in live and ended processes to names of functions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from symprobe.binary import Binary
from symprobe.elf.image import Image
from symprobe.elf.notes import build_id
from symprobe.elf.source import FileSource
from symprobe.errors import SymprobeError
from symprobe.model import FilePath, Kind, VAddr
from symprobe.process import Mapping, mapping_file, mappings

_CODE = {Kind.FUNC, Kind.IFUNC, Kind.NOTYPE}


class Frame(NamedTuple):
    """A function on a stack: its name (demangled) and file, empty where they are not known."""

    name: str
    path: str
    offset: int
    """In the file; where that is not known, the address in the process."""


class Names:
    """The functions of one file by their addresses."""

    def __init__(self, file: FilePath) -> None:
        binary = Binary(file)
        self.path = file.shown
        self.image = binary.image
        found: dict[int, tuple[int, str]] = {}
        for symbol in binary.symbols():
            if symbol.kind in _CODE and symbol.offset is not None and symbol.name:
                size, _ = found.get(symbol.vaddr, (-1, ""))
                if symbol.size > size:
                    found[symbol.vaddr] = symbol.size, symbol.demangled
        self._starts = sorted(found)
        self._found = found

    def name(self, vaddr: int) -> str:
        """The function that an address is in, empty when no symbol covers it."""
        place = bisect_right(self._starts, vaddr) - 1
        if place < 0:
            return ""
        start = self._starts[place]
        size, name = self._found[start]
        return name if vaddr < start + size or size == 0 else ""


class Symboliser:
    """Names for addresses.  files: those that are likely to be on the stacks."""

    def __init__(self, files: Iterable[FilePath]) -> None:
        self._names: dict[FilePath, Names | None] = {}
        self._by_build_id: dict[str, FilePath] = {}
        self._maps: dict[int, list[tuple[Mapping, FilePath]]] = {}
        for file in files:
            self._learn(file)

    def look(self, pid: int) -> None:
        """Remember what a process has mapped, as long as it lives."""
        try:
            found = [each for each in mappings(pid) if "x" in each.permissions]
            self._maps[pid] = [(each, mapping_file(pid, each)) for each in found]
        except SymprobeError:
            return  # it has ended: what was seen before stays
        for _, file in self._maps[pid]:
            self._learn(file)

    def knows(self, pid: int) -> bool:
        return pid in self._maps

    def by_build_id(self, identity: str, offset: int) -> Frame:
        """The function at a file offset of the file with a build ID."""
        file = self._by_build_id.get(identity)
        if file is None:
            return Frame("", f"build-id:{identity}", offset)
        return self.in_file(file, offset)

    def in_file(self, file: FilePath, offset: int) -> Frame:
        """The function at a file offset."""
        names = self._of(file)
        vaddr = None if names is None else names.image.vaddr_of(offset)
        name = "" if names is None or vaddr is None else names.name(vaddr)
        return Frame(name, file.shown, offset)

    def at(self, file: FilePath, vaddr: int) -> Frame | None:
        """The function at a link-time address of a file, None when it is not code of it."""
        names = self._of(file)
        if names is None or not names.image.is_executable(VAddr(vaddr)):
            return None
        offset = names.image.offset_of(vaddr)
        return None if offset is None else Frame(names.name(vaddr), file.shown, offset)

    def in_process(self, pid: int, address: int) -> Frame:
        """The function at an address of a process."""
        for mapping, file in self._maps.get(pid, ()):
            if mapping.start <= address < mapping.end:
                return self.in_file(file, address - mapping.start + mapping.offset)
        return Frame("", "", address)

    def _learn(self, file: FilePath) -> None:
        if any(known.shown == file.shown for known in self._by_build_id.values()):
            return
        try:
            identity = build_id(Image(FileSource(file)))
        except SymprobeError:
            return
        if identity is not None:
            self._by_build_id.setdefault(identity, file)

    def _of(self, file: FilePath) -> Names | None:
        if file not in self._names:
            try:
                self._names[file] = Names(file)
            except SymprobeError:
                self._names[file] = None
        return self._names[file]
