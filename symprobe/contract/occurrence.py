"""What find finds: a name in a file."""

from __future__ import annotations

import os
from typing import NamedTuple


class Occurrence(NamedTuple):
    """A name in a file. member: of an archive, else empty.  defined: here, else imported.  vaddr,
    size: of a definition."""

    member: str
    name: str
    demangled: str
    version: str | None
    default_version: bool
    defined: bool
    kind: str
    bind: str
    size: int
    vaddr: int
    table: str


Key = tuple[int, int, int, int, int]
"""Size, mtime, ctime (nanoseconds), device and inode: when they are the same, so is the file."""
NO_KEY: Key = (0, 0, 0, 0, 0)


def stat_key(info: os.stat_result) -> Key:
    """The Key of a file."""
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_dev, info.st_ino


class Scanned(NamedTuple):
    """One file. key: when it was opened; of what is neither ELF nor an archive only when all names
    are asked for, as is `watched`: whether it is one of them, or likely to become one without its
    directory telling.  error: why it, or a part of it, could not be read."""

    path: str
    key: Key
    build_id: str | None
    occurrences: tuple[Occurrence, ...]
    error: str = ""
    watched: bool = True
