"""Where else a stripped file's symbols are: .gnu_debugdata, build ID, debug link.

Sources: gdb's manual, "Debugging Information in Separate Files" and "MiniDebugInfo".
"""

import os
import zlib
from typing import NamedTuple

from symprobe.elf.image import Image
from symprobe.elf.notes import build_id
from symprobe.elf.source import FileSource, MemorySource
from symprobe.errors import SymprobeError
from symprobe.model import FilePath

DEFAULT_DEBUG_ROOTS = ("/usr/lib/debug",)
_MOST_DEBUGDATA = 64 << 20
"""Bytes that .gnu_debugdata may unpack to: real ones stay below 10 MiB."""
_MOST_SUMMED = 4 << 30
"""Bytes of a file found by debug link, all of which are read for its CRC."""


class DebugFile(NamedTuple):
    """A file that holds more symbols. found_by: gnu_debugdata, build-id or debuglink."""

    image: Image
    found_by: str

    @property
    def path(self) -> str:
        return self.image.source.path.shown


def debug_files(image: Image, roots: tuple[str, ...]) -> list[DebugFile]:
    """The separate debug file (by build ID, else by debug link with a right CRC) and the
    embedded .gnu_debugdata, the richer one first. What is broken becomes a warning on `image`.

    roots: directories laid out like /usr/lib/debug, searched inside the binary's own root
    directory first (a container's).
    """
    found = [_by_build_id(image, roots) or _by_debuglink(image, roots), _embedded(image)]
    return [file for file in found if file is not None]


def prefixes(image: Image) -> list[str]:
    """What stands before absolute paths: the root of the process that the file was found
    through, then this machine's own root."""
    path = image.source.path
    if path.opened != path.shown and path.opened.endswith(path.shown):
        return [path.opened[: -len(path.shown)], ""]
    return [""]


def _by_build_id(image: Image, roots: tuple[str, ...]) -> DebugFile | None:
    identity = build_id(image)
    if identity is None or len(identity) < 4:
        return None
    relative = f".build-id/{identity[:2]}/{identity[2:]}.debug"
    for prefix in prefixes(image):
        for root in roots:
            shown = os.path.join(root, relative)
            other = open_other(image, FilePath(prefix + shown, shown))
            if other is None:
                continue
            if build_id(other) == identity:
                return DebugFile(other, "build-id")
            image.warn(f"{shown} has another build ID and was not used")
    return None


def debuglink(image: Image) -> tuple[str, int] | None:
    """(file name, CRC-32) of .gnu_debuglink, or None."""
    section = image.section(".gnu_debuglink")
    if section is None:
        return None
    data = image.source.read_available(section.offset, min(section.size, 4096 + 8))
    end = data.find(b"\0")
    place = (end + 4) // 4 * 4
    if end <= 0 or place + 4 > len(data):
        image.warn(".gnu_debuglink is cut short")
        return None
    return data[:end].decode("utf-8", "surrogateescape"), image.unpack("I", data, place)[0]


def _by_debuglink(image: Image, roots: tuple[str, ...]) -> DebugFile | None:
    link = debuglink(image)
    if link is None:
        return None
    name, wanted = link
    if "/" in name or name in (".", ".."):
        image.warn(".gnu_debuglink names a path instead of a file name and was not followed")
        return None
    own = image.source.path
    directory = os.path.dirname(os.path.realpath(own.shown))
    beside = [os.path.join(directory, name), os.path.join(directory, ".debug", name)]
    below = [os.path.join(root, directory.lstrip("/"), name) for root in roots]
    for prefix in prefixes(image):
        for shown in beside + below:
            other = open_other(image, FilePath(prefix + shown, shown))
            if other is None or other.source.inode == image.source.inode:
                continue
            if other.source.size > _MOST_SUMMED:
                image.warn(f"{shown} is larger than {_MOST_SUMMED >> 30} GiB and was not used")
                continue
            found = _crc(other)
            if found == wanted:
                return DebugFile(other, "debuglink")
            image.warn(f"{shown} has CRC {found:#010x}, wanted {wanted:#010x}: not used")
    return None


def _crc(image: Image) -> int:
    """CRC-32 of the whole file (the one of zlib and of .gnu_debuglink)."""
    crc, offset, step = 0, 0, 1 << 20
    while offset < image.source.size:
        crc = zlib.crc32(image.source.read_available(offset, step), crc)
        offset += step
    return crc


def _embedded(image: Image) -> DebugFile | None:
    section = image.section(".gnu_debugdata")
    if section is None:
        return None
    import lzma

    data = image.section_data(section)
    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=128 << 20)
        unpacked = unpacker.decompress(data, max_length=_MOST_DEBUGDATA)
    except (lzma.LZMAError, EOFError) as error:
        image.warn(f".gnu_debugdata can't be unpacked: {error}")
        return None
    if not unpacker.eof:
        image.warn(".gnu_debugdata is cut short or too large, and was not used")
        return None
    path = image.source.path
    shown = f"{path.shown}[.gnu_debugdata]"
    try:
        return DebugFile(
            Image(MemorySource(unpacked, FilePath(path.opened, shown))), "gnu_debugdata"
        )
    except SymprobeError as error:
        image.warn(f".gnu_debugdata: {error.what}")
        return None


def open_other(image: Image, path: FilePath) -> Image | None:
    """Another file that belongs to `image`; None, with a warning on `image` unless it is just not
    there, when it can't be used."""
    if not os.path.exists(path.opened):
        return None
    try:
        return Image(FileSource(path))
    except SymprobeError as error:
        image.warn(f"{path.shown} was not used: {error.what}")
        return None
