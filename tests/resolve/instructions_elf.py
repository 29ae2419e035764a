"""Functions of ELF files as readelf tells of them, with their bytes."""

from __future__ import annotations

import platform
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.conftest import absent
from tests.support.readelf import run

_LOAD = re.compile(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+) 0x\w+ (...)")
_FUNCTION = re.compile(
    r"^ *\d+: ([0-9a-f]+) +(\w+) +I?FUNC +\w+ +\w+ +(?:\[.*\] +)?\d+ (\S+)", re.MULTILINE
)


@dataclass(frozen=True)
class Elf:
    """An ELF file read by readelf."""

    path: Path

    @cached_property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def loads(self) -> list[tuple[int, int, int]]:
        """Executable segments: file offset, address, size in the file."""
        found = _LOAD.findall(run("readelf", "-lW", str(self.path)))
        return [(int(o, 16), int(v, 16), int(n, 16)) for o, v, n, flags in found if "E" in flags]

    @cached_property
    def segments(self) -> list[tuple[int, bytes]]:
        return [(vaddr, self.data[at : at + size]) for at, vaddr, size in self.loads]

    @cached_property
    def functions(self) -> dict[int, tuple[int, str]]:
        """address -> size (the largest that a symbol there has), one name."""
        found: dict[int, tuple[int, str]] = {}
        for value, size, name in _FUNCTION.findall(run("readelf", "-sW", str(self.path))):
            vaddr = int(value, 16)
            if self.offset(vaddr) is not None:
                known = found.get(vaddr, (0, name))
                found[vaddr] = (max(known[0], int(size, 0)), known[1])
        return found

    @cached_property
    def labels(self) -> set[int]:
        """Every address that a symbol of any kind names."""
        found = re.findall(r"^ *\d+: ([0-9a-f]+) ", run("readelf", "-sW", str(self.path)), re.M)
        return {int(value, 16) for value in found}

    def offset(self, vaddr: int) -> int | None:
        for at, start, size in self.loads:
            if start <= vaddr < start + size:
                return vaddr - start + at
        return None

    def code(self, vaddr: int, size: int) -> bytes:
        at = self.offset(vaddr)
        assert at is not None
        return self.data[at : at + size]


def installed(name: str) -> Elf:
    """A program or library of this machine."""
    found = (
        shutil.which(name, path="/usr/bin:/bin")
        or f"/usr/lib/{platform.machine()}-linux-gnu/{name}"
    )
    if not Path(found).exists():
        absent(name)
    return Elf(Path(found).resolve())
