"""Our own process keeps out of the files that it probes.

The kernel writes a breakpoint for each probe into every process that has the file mapped, and takes
it out again at the end. We have libc mapped, and by way of BCC libLLVM, whose 34,000 functions take
the kernel ten times as long for that. So the code of such files is replaced by a copy in memory,
as programs do that want their code in large pages: the same bytes at the same addresses.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from contextlib import suppress

from symprobe.probe import ProbeTarget
from symprobe.process import mappings

_WORTH = 1 << 14
"""Bytes that are copied in the time that a breakpoint takes to be written and removed."""
_IN_MEMORY = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
_FAILED = ctypes.c_void_p(-1).value  # MAP_FAILED
_LARGE_PAGE = 2 << 20
"""Of x86-64, and of aarch64 with pages of 4 KiB: a copy in large pages is made faster."""
_MREMAP_MAYMOVE, _MREMAP_FIXED = 1, 2  # linux/mman.h


def keep_out(targets: Iterable[ProbeTarget]) -> None:
    """Have copies of the code of files with many targets, where this process has them mapped.

    Also children that are forked later, until they execute a program, then make calls that no
    probe sees.
    """
    places: dict[tuple[int, int], list[int]] = {}
    for target in targets:
        places.setdefault(target.inode, []).append(target.offset)
    for each in mappings(os.getpid()):
        offsets = places.get(each.inode)
        if offsets is None or each.permissions != "r-xp":
            continue
        first, last = (at // mmap.PAGESIZE * mmap.PAGESIZE for at in (min(offsets), max(offsets)))
        low = max(each.start, each.start + first - each.offset)
        high = min(each.end, each.start + last - each.offset + 2 * mmap.PAGESIZE)
        if 0 < high - low <= len(offsets) * _WORTH:
            _copy(each.start, low, high - low)


def _copy(mapping: int, code: int, size: int) -> None:
    """Put a copy of code in its place, in the mapping that begins there; nothing where the system
    does not allow it."""
    libc = _libc()
    room = libc.mmap(None, size + _LARGE_PAGE, mmap.PROT_READ | mmap.PROT_WRITE, _IN_MEMORY, -1, 0)
    if room == _FAILED:
        return
    copy = -(-room // _LARGE_PAGE) * _LARGE_PAGE
    ctypes.memmove(copy, code, size)
    # A breakpoint that was written meanwhile may be in the copy, where nobody takes it out.
    if mapping in _unchanged() and libc.mprotect(copy, size, mmap.PROT_READ | mmap.PROT_EXEC) == 0:
        libc.mremap(copy, size, size, _MREMAP_MAYMOVE | _MREMAP_FIXED, code)
    libc.munmap(room, size + _LARGE_PAGE)


def _unchanged() -> set[int]:
    """The starts of our own mappings that are as their files have them: no page is a copy of ours,
    with another tracer's breakpoint in it, say. None where the kernel does not tell."""
    found: set[int] = set()
    start = 0
    with suppress(OSError), open("/proc/self/smaps", "rb") as file:
        for line in file:
            if line.startswith((b"Anonymous:", b"Swap:")):
                if line.split()[1] != b"0":
                    found.discard(start)
            elif b"-" in (first := line.split(b" ", 1)[0]) and not first.endswith(b":"):
                start = int(first.split(b"-")[0], 16)
                found.add(start)
    return found


def _libc() -> ctypes.CDLL:
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    libc = ctypes.CDLL(None)
    libc.mmap.argtypes = (pointer, size, number, number, number, ctypes.c_long)
    libc.mremap.argtypes = (pointer, size, size, number, pointer)
    libc.mmap.restype = libc.mremap.restype = pointer
    libc.mprotect.argtypes = (pointer, size, number)
    libc.munmap.argtypes = (pointer, size)
    return libc
