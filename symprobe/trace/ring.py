"""The kernel's ring buffer of records, read where it lies in memory.

Source: Documentation/bpf/ringbuf.rst, kernel/bpf/ringbuf.c. Of its pages the first holds the
consumer's position, the second the producer's, and then the data stands twice, so that every record
is whole. A record is a length with two flags, four bytes for the kernel, and the data, to 8 bytes.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=II")
_BUSY = 1 << 31
_DISCARDED = 1 << 30
_POSITION = struct.Struct("=Q")


class Ring:
    """The records of a map of type ringbuf.  size: of its data, in bytes, a power of two."""

    def __init__(self, map_fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        self._mask = size - 1
        self._consumer = mmap.mmap(map_fd, page)
        self._producer = mmap.mmap(map_fd, page + 2 * size, prot=mmap.PROT_READ, offset=page)
        self._page = page

    def records(self) -> Iterator[bytes]:
        """What has come since the last call; the kernel gets the room back at the end."""
        (position,) = _POSITION.unpack_from(self._consumer)
        (end,) = _POSITION.unpack_from(self._producer)
        data, mask, page = self._producer, self._mask, self._page
        try:
            while position < end:
                at = page + (position & mask)
                length, _ = _HEADER.unpack_from(data, at)
                if length & _BUSY:
                    break  # reserved, and not filled in yet
                size = length & ~_DISCARDED
                position += 8 + (size + 7 & ~7)
                if not length & _DISCARDED:
                    yield data[at + 8 : at + 8 + size]
        finally:
            _POSITION.pack_into(self._consumer, 0, position)

    def close(self) -> None:
        self._consumer.close()
        self._producer.close()
