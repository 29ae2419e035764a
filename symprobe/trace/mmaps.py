"""What processes map, as the kernel reports it: known when they are long gone.

A dummy perf event on each CPU carries no samples, only records: of each executable mapping, and
of each new process. Source: perf_event_open(2), include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
from collections.abc import Iterator
from typing import NamedTuple

from symprobe.errors import SymprobeError, TraceError
from symprobe.process import mappings

_SYSCALL_NUMBER = {"x86_64": 298, "aarch64": 241}
"""__NR_perf_event_open"""
_SOFTWARE, _DUMMY = 1, 9
_MMAP, _TASK, _MMAP2 = 1 << 8, 1 << 13, 1 << 23
"""Bits of struct perf_event_attr: executable mappings, new and ended tasks, mappings in detail."""
_CLOSE_ON_EXEC = 8
_LOST_RECORD, _FORK_RECORD, _MMAP2_RECORD = 2, 7, 10
_PAGES = 128
"""Of each CPU's ring: 512 KiB, thousands of mappings between two looks."""
_HEAD_AT, _TAIL_AT = 1024, 1032
"""data_head and data_tail of struct perf_event_mmap_page."""

_libc = ctypes.CDLL(None, use_errno=True)


class Area(NamedTuple):
    """An executable mapping of a file: addresses, the offset in the file, inode and path."""

    start: int
    end: int
    offset: int
    inode: tuple[int, int]
    path: str


class MapWatch:
    """Follows what all processes map, from now on. TraceError: the kernel refuses.

    lost: records that the kernel had no room for.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._areas: dict[int, list[Area]] = {}
        self._parents: dict[int, int] = {}
        self._asked: set[int] = set()
        self._rings: list[tuple[int, mmap.mmap]] = []
        try:
            for cpu in range(os.cpu_count() or 1):
                fd = _open(cpu)
                self._rings.append((fd, mmap.mmap(fd, (_PAGES + 1) * mmap.PAGESIZE)))
        except OSError as error:
            self.close()
            raise TraceError(f"mappings can't be followed: {error.strerror}") from error

    def close(self) -> None:
        """Stop following."""
        for fd, ring in self._rings:
            ring.close()
            os.close(fd)
        self._rings.clear()

    def ask(self, pid: int) -> None:
        """Add what a process that was there before us has mapped; only once, if it lives."""
        if pid in self._asked:
            return
        self._asked.add(pid)
        try:
            found = [each for each in mappings(pid) if "x" in each.permissions]
        except SymprobeError:
            return
        older = [Area(m.start, m.end, m.offset, m.inode, m.path) for m in found]
        self._areas.setdefault(pid, [])[:0] = older

    def find(self, pid: int, address: int) -> Area | None:
        """The mapping that an address of a process is in: the newest, where one replaced another.

        A child has what its parent had.
        """
        seen: set[int] = set()
        while pid not in seen:
            seen.add(pid)
            for area in reversed(self._areas.get(pid, ())):
                if area.start <= address < area.end:
                    return area
            pid = self._parents.get(pid, pid)
        return None

    def look(self) -> None:
        """Take the records that have come."""
        for _, ring in self._rings:
            for kind, record in _records(ring):
                if kind == _MMAP2_RECORD:
                    self._mapped(record)
                elif kind == _FORK_RECORD:
                    pid, parent = struct.unpack_from("=II", record)
                    self._parents[pid] = parent
                elif kind == _LOST_RECORD:
                    self.lost += struct.unpack_from("=QQ", record)[1]

    def _mapped(self, record: bytes) -> None:
        """pid, tid, addr, len, pgoff, maj, min, ino; 16 bytes more, and the path."""
        pid, _, start, size, offset, major, minor, inode = struct.unpack_from("=IIQQQIIQ", record)
        path = record[64:].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        area = Area(start, start + size, offset, (os.makedev(major, minor), inode), path)
        self._areas.setdefault(pid, []).append(area)


def _open(cpu: int) -> int:
    """A dummy event for all processes on a CPU: its file descriptor."""
    number = _SYSCALL_NUMBER.get(platform.machine())
    if number is None:
        raise OSError(38, f"perf_event_open(2) is not known on {platform.machine()}")
    attr = struct.pack("=IIQQQQQ", _SOFTWARE, 112, _DUMMY, 0, 0, 0, _MMAP | _TASK | _MMAP2)
    buffer = ctypes.create_string_buffer(attr.ljust(112, b"\0"), 112)
    fd = int(_libc.syscall(number, buffer, -1, cpu, -1, _CLOSE_ON_EXEC))
    if fd < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return fd


def _records(ring: mmap.mmap) -> Iterator[tuple[int, bytes]]:
    """The kind and the body of each record; the kernel gets the room back at the end."""
    head, tail = struct.unpack_from("=QQ", ring, _HEAD_AT)
    size, base = _PAGES * mmap.PAGESIZE, mmap.PAGESIZE

    def part(start: int, length: int) -> bytes:
        at = start % size
        first = ring[base + at : base + min(at + length, size)]
        return first + ring[base : base + length - len(first)]

    while tail < head:
        kind, _, length = struct.unpack("=IHH", part(tail, 8))
        if length < 8:
            break
        yield kind, part(tail + 8, length - 8)
        tail += length
    struct.pack_into("=Q", ring, _TAIL_AT, head)
