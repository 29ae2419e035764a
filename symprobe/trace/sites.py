"""Where the probes of one run go: files, held open, and the offsets in each.

A file is opened once and reached through its descriptor from then on, so that
what is probed is the file that was resolved, even when its name has meanwhile
been given to another one.
"""

from __future__ import annotations

import mmap
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from symprobe.elf.source import open_regular
from symprobe.errors import TraceError
from symprobe.model import FileOffset, FilePath
from symprobe.probe import ProbeTarget
from symprobe.resolve.entries import in_blocks
from symprobe.resolve.instructions import ENDBR64, settled_cost

_MANY = 1000
"""Probes of one file, from which on it is not mapped as a whole."""
_MOST_PAGES = 1000
"""A process may have 65,530 mappings (vm.max_map_count)."""


class Site(NamedTuple):
    """One probe: its place in a file, and the slot that its hits are counted in."""

    slot: int
    offset: FileOffset


@dataclass
class OpenFile:
    """A file to probe: its descriptor, and the sites in it by slot."""

    path: FilePath
    inode: tuple[int, int]
    fd: int
    sites: list[Site] = field(default_factory=list)

    @property
    def sure_path(self) -> str:
        """A path that leads to this very file, whatever its name on disk leads to now."""
        return f"/proc/self/fd/{self.fd}"

    @property
    def is_32_bit(self) -> bool:
        """Whether it is a 32-bit ELF file."""
        return os.pread(self.fd, 1, 4) == b"\x01"

    def first_bytes(self, offset: FileOffset) -> bytes:
        """Up to 16 bytes at an offset: the longest x86 instruction has 15."""
        return os.pread(self.fd, 16, offset)


@contextmanager
def open_files(targets: Iterable[ProbeTarget], *, exact_entry: bool) -> Iterator[list[OpenFile]]:
    """The files of the targets with their sites: targets[i] has slot i, equal places share none.

    exact_entry: at the function's first byte always; else at cheap_offset
    where there is one. TraceError: a file is gone or was replaced.
    """
    files: dict[tuple[int, int], OpenFile] = {}
    try:
        for slot, target in enumerate(targets):
            file = files.get(target.inode)
            if file is None:
                file = OpenFile(target.file, target.inode, _open(target))
                files[target.inode] = file
            file.sites.append(Site(slot, probe_offset(target, exact_entry)))
        yield list(files.values())
    finally:
        for file in files.values():
            os.close(file.fd)


def probe_offset(target: ProbeTarget, exact_entry: bool) -> FileOffset:
    """Where the probe of a target goes."""
    if exact_entry or target.cheap_offset is None:
        return target.offset
    return target.cheap_offset


def _open(target: ProbeTarget) -> int:
    shown = target.file.shown
    try:
        fd = open_regular(target.file)
    except OSError as error:
        raise TraceError(f"can't be opened: {error.strerror}", file=shown) from error
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) != target.inode:
        os.close(fd)
        raise TraceError(
            "was replaced by another file", file=shown, next_step="run the same command again"
        )
    return fd


@contextmanager
def mapped(file: OpenFile) -> Iterator[None]:
    """Map the file as the loader would, for as long as probes are put in.

    The kernel looks at the instructions only where some process has the file
    mapped; nobody having it, it would accept anything, and count nothing.
    """
    if file.is_32_bit and sys.maxsize > 1 << 32:
        # The kernel decodes for the process that maps the file: taking 32-bit code for
        # 64-bit code, it would rewrite instructions wrongly, for the traced program too.
        yield
        return
    areas: list[mmap.mmap] = []
    try:
        with suppress(OSError, ValueError):  # on a noexec mount no process can map it either
            for start, size in _to_be_looked_at(file):
                areas.append(
                    mmap.mmap(
                        file.fd,
                        size,
                        flags=mmap.MAP_PRIVATE,
                        prot=mmap.PROT_READ | mmap.PROT_EXEC,
                        offset=start,
                    )
                )
        yield
    finally:
        for area in areas:
            area.close()


def _to_be_looked_at(file: OpenFile) -> list[tuple[int, int]]:
    """(offset, size) of the parts of a file that hold instructions of which we can't be sure; size
    0: to its end.

    The kernel writes a breakpoint for each probe in each page that is mapped, which for all the
    functions of a large library takes longer than all the rest.
    """
    whole = [(0, 0)]
    if len(file.sites) < _MANY or platform.machine() != "x86_64":
        return whole
    pages = sorted({offset // mmap.PAGESIZE for offset in _doubtful(file)})
    if len(pages) > _MOST_PAGES:
        return whole
    return [(page * mmap.PAGESIZE, mmap.PAGESIZE) for page in pages]


def _doubtful(file: OpenFile) -> Iterator[int]:
    """The offsets of instructions whose first bytes don't tell that the kernel takes a probe."""
    settled: dict[bytes, bool] = {}
    offsets = sorted(site.offset for site in file.sites)
    for here, code in in_blocks(offsets, lambda start, size: os.pread(file.fd, size, start)):
        for offset in here:
            first = code[offset - here[0] : offset - here[0] + 4]
            sure = settled.get(first)
            if sure is None:
                sure = first == ENDBR64 or settled_cost(first[:2]) is not None
                settled[first] = sure
            if not sure:
                yield offset
