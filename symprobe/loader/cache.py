"""ld.so.cache: from a library's name to its path, as ldconfig has written it down.

Sources: elf/dl-cache.c and sysdeps/generic/dl-cache.h of glibc. Both formats: the old table, the
new one (alone, or behind an old one), and its extension with the names of glibc-hwcaps levels.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from symprobe.elf.source import FileSource
from symprobe.errors import FileError
from symprobe.loader.machine import Machine, native_machine
from symprobe.model import FilePath

_OLD_MAGIC, _NEW_MAGIC = b"ld.so-1.7.0", b"glibc-ld.so.cache1.1"
_OLD_HEADER, _OLD_ENTRY, _NEW_HEADER, _NEW_ENTRY = 16, 12, 48, 24
_EXTENSION_MAGIC, _TAG_HWCAPS = 0xEAA42174, 1
_HWCAP_EXTENSION = 1 << 30
"""DL_CACHE_HWCAP_EXTENSION in the upper half of an entry's hwcap."""
_ISA_MASK = 0x3FF
_CUT = "is cut short: its table of libraries ends past its end"
_MOST_BYTES = 64 << 20
_LEADING_ZEROS = rb"(?<!\d)0+(?=\d)"


class Entry(NamedTuple):
    """One row. hwcap: legacy hardware bits, or (level is not None) only the ISA bit needed.
    level: the glibc-hwcaps name, None for a plain entry."""

    flags: int
    path: str
    hwcap: int
    level: str | None


class LoaderCache:
    """The rows of one cache file, by name.

    problem: what is wrong with the file, a clause; empty: nothing. A loader ignores a cache
    whose tables end past its end, or that is for the other byte order.
    """

    def __init__(self, data: bytes, *, big_endian: bool) -> None:
        self._data = data
        self.problem = ""
        self._order = ">" if big_endian else "<"
        self._big_endian = big_endian
        self._rows: dict[bytes, list[tuple[int, int, int, int]]] = {}
        self._base = 0
        self._levels: list[str] = []
        self._read()

    def entries(self, name: str) -> Iterator[Entry]:
        """The rows of a name, in the file's order."""
        key = _normal(name.encode("utf-8", "surrogateescape"))
        for flags, _, value, hwcap in self._rows.get(key, ()):
            path = self._string(value)
            if path is None:
                continue
            upper = hwcap >> 32
            if upper & ~_ISA_MASK == _HWCAP_EXTENSION:
                index = hwcap & 0xFFFFFFFF
                level = self._levels[index] if index < len(self._levels) else ""
                yield Entry(flags, _text(path), 1 << (upper & _ISA_MASK), level)
            else:
                yield Entry(flags, _text(path), hwcap, None)

    def names(self) -> Iterator[str]:
        """All names, those of equal numbers (`libx.so.01`, `libx.so.1`) together."""
        for rows in self._rows.values():
            yield from dict.fromkeys(_text(self._string(key) or b"") for _, key, _, _ in rows)

    def _read(self) -> None:
        data = self._data
        if data.startswith(_NEW_MAGIC):
            self._read_new(0)
        elif data.startswith(_OLD_MAGIC) and len(data) >= _OLD_HEADER:
            (count,) = struct.unpack_from(self._order + "I", data, 12)
            end = _OLD_HEADER + count * _OLD_ENTRY
            if end > len(data):
                self.problem = _CUT
                return
            new = (end + 7) // 8 * 8
            if data.startswith(_NEW_MAGIC, new):
                self._read_new(new)
            else:
                self._base = end
                self._fill("iII", _OLD_ENTRY, _OLD_HEADER, count)
        else:
            self.problem = "has not the magic number of a loader's cache"

    def _read_new(self, start: int) -> None:
        data = self._data
        if len(data) < start + _NEW_HEADER:
            self.problem = "is cut short within its header"
            return
        endian = data[start + 28]
        if endian and endian & 3 != (3 if self._big_endian else 2):
            self.problem = "is for machines of the other byte order"
            return
        count, _, _, extension = struct.unpack_from(self._order + "IIII", data, start + 20)
        if count > (len(data) - start - _NEW_HEADER) // _NEW_ENTRY:
            self.problem = _CUT
            return
        self._base = start
        self._levels = self._read_levels(extension) if extension else []
        self._fill("iII4xQ", _NEW_ENTRY, start + _NEW_HEADER, count)

    def _fill(self, layout: str, size: int, start: int, count: int) -> None:
        rows, find, base, data = self._rows, self._data.find, self._base, self._data
        end = len(data)
        table = memoryview(data)[start : start + count * size]
        for flags, key, value, *hwcap in struct.Struct(self._order + layout).iter_unpack(table):
            place = base + key
            if place >= end:
                self.problem = "holds names outside the file"
                continue
            name = data[place : find(b"\0", place)]
            if b"0" in name:
                name = _normal(name)
            row = (flags, key, value, hwcap[0] if hwcap else 0)
            if name in rows:
                rows[name].append(row)
            else:
                rows[name] = [row]

    def _read_levels(self, start: int) -> list[str]:
        """The names of the glibc-hwcaps levels; none when the extension is not to be trusted."""
        data, order = self._data, self._order
        if start % 4 or start + 8 > len(data):
            return []
        magic, count = struct.unpack_from(order + "II", data, start)
        if magic != _EXTENSION_MAGIC or start + 8 + count * 16 > len(data):
            return []
        sections = data[start + 8 : start + 8 + count * 16]
        for tag, _, offset, size in struct.iter_unpack(order + "IIII", sections):
            if tag == _TAG_HWCAPS and offset % 4 == 0 and offset + size <= len(data):
                words = data[offset : offset + size // 4 * 4]
                # These strings count from the start of the file, not from the new header.
                return [
                    _text(data[i : data.find(b"\0", i)]) if i < len(data) else ""
                    for (i,) in struct.iter_unpack(order + "I", words)
                ]
        return []

    def _string(self, offset: int) -> bytes | None:
        place = self._base + offset
        if place >= len(self._data):
            return None
        end = self._data.find(b"\0", place)
        return self._data[place : end if end >= 0 else None]


def _normal(name: bytes) -> bytes:
    """Names compare with their digits as numbers: `libx.so.01` is `libx.so.1`."""
    return re.sub(_LEADING_ZEROS, b"", name) if b"0" in name else name


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def read_cache(file: FilePath, *, big_endian: bool) -> LoaderCache | None:
    """A cache file; None when it is not there or can't be opened. Errors: FileError."""
    try:
        source = FileSource(file)
    except FileError:
        return None
    try:
        return LoaderCache(source.read_available(0, _MOST_BYTES), big_endian=big_endian)
    finally:
        source.close()


def library_paths(
    name: str, cache_path: str = "/etc/ld.so.cache", machine: Machine | None = None
) -> list[str]:
    """Paths of this machine's libraries that answer to a name: `libc.so.6` as a loader asks for
    it, `libssl` for the newest `libssl.so…`. Those for `machine` (default: this machine's own
    kind), without a glibc-hwcaps level, come first. Errors: FileError."""
    machine = machine or native_machine()
    cache = read_cache(FilePath.plain(cache_path), big_endian=machine.big_endian)
    if cache is None:
        return []
    names = [name]
    if ".so" not in name:
        longer = [other for other in cache.names() if other.startswith(f"{name}.so")]
        names += sorted(longer, key=_numbers, reverse=True)
    own = machine.cache_flags
    entries = [entry for each in names for entry in cache.entries(each)]
    entries.sort(key=lambda entry: (entry.flags not in own, entry.level is not None))
    return [entry.path for entry in entries]


def _numbers(name: str) -> list[tuple[int, str]]:
    """A key that sorts digits as numbers."""
    return [(int(p) if p.isdigit() else -1, p) for p in re.split(r"(\d+)", name)]
