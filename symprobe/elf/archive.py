"""`ar` archives: the members of a static library, normal and thin.

Source: ar(5); GNU binutils' long names (`//`, `/123`) and thin archives (`!<thin>`); BSD's `#1/N`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from symprobe.elf.constants import ARCHIVE_MAGICS
from symprobe.elf.source import FileSource, Source
from symprobe.errors import FileError, MalformedError
from symprobe.model import FilePath

MAGIC, THIN_MAGIC = ARCHIVE_MAGICS
_INDEXES = {"/", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED", "__.SYMDEF_64"}


def is_archive(source: Source) -> bool:
    """Whether the file begins with an archive's magic number."""
    return source.read_available(0, 8) in ARCHIVE_MAGICS


def members(source: Source) -> Iterator[Source]:
    """Each member as a source named `archive(member)`; the index and name table are left out.

    Members of a thin archive are files beside it: one that can't be opened raises FileError.
    """
    thin = source.read_available(0, 8) == THIN_MAGIC
    long_names = b""
    position = 8
    while position + 60 <= source.size:
        header = source.read(position, 60, "an archive header")
        if header[58:60] != b"`\n":
            raise MalformedError(f"no archive header at {position:#x}", file=source.path.shown)
        raw, size = header[:16].rstrip(), _number(header[48:58])
        if size is None:
            raise MalformedError(f"bad member size at {position:#x}", file=source.path.shown)
        body = position + 60
        name = raw.decode("utf-8", "surrogateescape")
        special = name in _INDEXES or name == "//"
        if name == "//":
            long_names = source.read_available(body, size)
        skip = 0
        if raw.startswith(b"#1/"):
            skip = _number(raw[3:]) or 0
            name = (
                source.read_available(body, skip).rstrip(b"\0").decode("utf-8", "surrogateescape")
            )
            special = name in _INDEXES
        elif raw[:1] == b"/" and raw[1:].isdigit():
            start = int(raw[1:])
            end = long_names.find(b"\n", start)
            name = long_names[start : end if end >= 0 else None].decode("utf-8", "surrogateescape")
        if not special:
            yield _member(source, name.rstrip("/"), body + skip, size - skip, thin=thin)
        stored = special or not thin
        position = body + (size + size % 2 if stored else 0)
    if not source.size <= position <= source.size + 1:  # the last padding byte may be missing
        raise MalformedError("the archive is cut short", file=source.path.shown)


def _member(source: Source, name: str, offset: int, size: int, *, thin: bool) -> Source:
    shown = f"{source.path.shown}({name})"
    if not thin:
        return source.part(offset, size, FilePath(source.path.opened, shown))
    beside = os.path.join(os.path.dirname(source.path.opened), name)
    try:
        return FileSource(FilePath(beside, shown))
    except FileError as error:
        raise FileError(f"thin member: {error.what}", file=shown) from None


def _number(field: bytes) -> int | None:
    text = field.strip()
    return int(text) if text.isdigit() else None
