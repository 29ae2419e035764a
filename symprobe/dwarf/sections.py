"""The .debug_* sections of one file at random access, compressed or not.

Sources: gABI "Section Compression" (SHF_COMPRESSED); binutils' .zdebug_* ("ZLIB" and 8 bytes).
A compressed section is never held whole: zlib's state is kept every megabyte (in small sections
oftener), and reading starts from the nearest one.
"""

from __future__ import annotations

import io
import zlib
from collections import OrderedDict
from typing import BinaryIO, Literal

from symprobe.elf.constants import SHT_NOBITS
from symprobe.elf.image import Image, Section
from symprobe.elf.source import Source
from symprobe.errors import MalformedError, SymprobeError

SHF_COMPRESSED = 0x800
ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD = 1, 2
_SMALLEST_BLOCK, _LARGEST_BLOCK = 1 << 16, 1 << 20
_BLOCKS = 64
"""Into so many blocks a section is divided, as long as they keep to those sizes."""
_FEED = 1 << 14
_KEPT_BYTES = 6 << 20
_LONGEST_TEXT = 1 << 16
_MOST_INFLATED, _MOST_RATIO = 1 << 32, 100
"""Real debug sections shrink to a quarter; deflate's limit is a thousandth."""


class InflatedSource(Source):
    """What a zlib stream unpacks to, read at any place in bounded memory."""

    def __init__(self, packed: Source, size: int) -> None:
        super().__init__(packed.path, size, (0, 0))
        self._packed = packed
        whole = 1 << (size // _BLOCKS).bit_length()
        self._step = min(max(whole, _SMALLEST_BLOCK), _LARGEST_BLOCK)
        self._states = [(0, zlib.decompressobj())]
        """For the start of each block: packed bytes consumed, the decompressor there."""
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def _pread(self, offset: int, size: int) -> bytes:
        step = self._step
        first, last = offset // step, (offset + size - 1) // step
        if first == last:
            return self._block(first)[offset % step : offset % step + size]
        data = b"".join(self._block(number) for number in range(first, last + 1))
        return data[offset - first * step :][:size]

    def _block(self, number: int) -> bytes:
        data = self._kept.get(number)
        if data is not None:
            self._kept.move_to_end(number)
            return data
        for before in range(len(self._states) - 1, number):
            self._inflate(before)
        if number >= len(self._states):  # the stream ended before
            return b""
        data = self._inflate(number)
        self._kept[number] = data
        if len(self._kept) * self._step > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return data

    def _inflate(self, number: int) -> bytes:
        if number >= len(self._states):
            return b""
        fed, kept = self._states[number]
        state = kept.copy()
        parts, wanted = [], self._step
        try:
            while wanted and not state.eof:
                piece = state.unconsumed_tail
                if not piece:
                    piece = self._packed.read_available(fed, _FEED)
                    fed += len(piece)
                part = state.decompress(piece, wanted)
                parts.append(part)
                wanted -= len(part)
                if not piece and not part:
                    break
        except zlib.error as error:
            what = f"a compressed debug section can't be unpacked: {error}"
            raise MalformedError(what, file=self.path.shown) from None
        if not wanted and number + 1 == len(self._states):
            self._states.append((fed, state))
        return b"".join(parts)


class Sections:
    """The debug sections of an image, by their names without `.debug_`.

    `get("info")` is a Source, None when the file has no such section.
    Errors: MalformedError for a compression header that can't be understood.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self._found: dict[str, Source | None] = {}

    def get(self, name: str) -> Source | None:
        if name not in self._found:
            self._found[name] = self._open(name)
        return self._found[name]

    def need(self, name: str) -> Source:
        """The section; MalformedError when the file, which refers to it, has none."""
        source = self.get(name)
        if source is None:
            raise self.malformed(f"there is no .debug_{name}")
        return source

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Exactly these bytes of a section; MalformedError when there are fewer."""
        data = self.need(name).read_available(offset, size)
        if len(data) != size:
            raise self.malformed(f".debug_{name} ends before offset {offset + size:#x}")
        return data

    def number(self, name: str, offset: int, size: int) -> int:
        """An unsigned number of `size` bytes in a section."""
        return int.from_bytes(self.read(name, offset, size), self.byte_order)

    def text(self, name: str, offset: int) -> str:
        """The NUL-terminated string at an offset, 64 KiB of it at most."""
        source = self.need(name)
        for size in (256, 1 << 16):
            data = source.read_available(offset, size)
            end = data.find(b"\0")
            if end >= 0:
                return data[:end].decode("utf-8", "surrogateescape")
        return data.decode("utf-8", "surrogateescape")

    @property
    def byte_order(self) -> Literal["big", "little"]:
        return "big" if self.image.big_endian else "little"

    def malformed(self, what: str) -> SymprobeError:
        return MalformedError(what, file=self.image.source.path.shown)

    def _open(self, name: str) -> Source | None:
        """`gdb_index` and the like, which have no `.debug_` before them, by their full name."""
        full = name if name.startswith(".") else f".debug_{name}"
        section = self.image.section(full)
        if section is not None and section.type != SHT_NOBITS and section.size:
            if section.flags & SHF_COMPRESSED:
                return self._compressed(section)
            source = self.image.source
            return source.part(section.offset, section.size, source.path)
        old = self.image.section(f".zdebug_{name}")
        return None if old is None else self._old_compressed(old)

    def _compressed(self, section: Section) -> Source:
        layout, length = ("IIQQ", 24) if self.image.bits == 64 else ("III", 12)
        head = self.image.source.read(section.offset, length, f"{section.name}'s header")
        fields = self.image.unpack(layout, head)
        kind, size = fields[0], fields[2 if self.image.bits == 64 else 1]
        if kind != ELFCOMPRESS_ZLIB:
            how = "zstd" if kind == ELFCOMPRESS_ZSTD else f"method {kind}"
            raise self.malformed(f"{section.name} is compressed by {how}, which can't be read here")
        return self._inflated(section, length, size)

    def _old_compressed(self, section: Section) -> Source:
        head = self.image.source.read(section.offset, 12, f"{section.name}'s header")
        if head[:4] != b"ZLIB":
            raise self.malformed(f"{section.name} has an unknown compression")
        return self._inflated(section, 12, int.from_bytes(head[4:], "big"))

    def _inflated(self, section: Section, skip: int, size: int) -> Source:
        source = self.image.source
        packed = source.part(section.offset + skip, max(0, section.size - skip), source.path)
        if size > _MOST_INFLATED or size > max(_LARGEST_BLOCK, packed.size * _MOST_RATIO):
            raise self.malformed(f"{section.name} claims to unpack to {size} bytes")
        return InflatedSource(packed, size)


class SectionStream(io.RawIOBase):
    """A Source as the raw stream that pyelftools reads from."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    @classmethod
    def buffered(cls, source: Source) -> BinaryIO:
        return io.BufferedReader(cls(source), 1 << 12)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}
        self._position = max(0, start[whence] + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read_available(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class TextStream:
    """A section of strings for pyelftools, which reads each from its place to its NUL: when there
    is none within 64 KiB, here is one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._start = self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}
        self._start = self._position = start[whence] + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        if self._position - self._start > _LONGEST_TEXT:
            return b"\0"
        data = self._source.read_available(self._position, size if size >= 0 else _LONGEST_TEXT)
        self._position += len(data)
        return data
