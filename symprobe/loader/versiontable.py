"""The version tables as a loader walks them: by their chains, through the dynamic section.

Sources: Linux Standard Base, "Symbol Versioning"; elf/dl-version.c of glibc, which looks at
neither section headers nor the numbers of entries.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from symprobe.elf.dynamic import DT_VERDEF, DT_VERNEED, Dynamic
from symprobe.elf.image import Image

_MOST_RECORDS, _MOST_BYTES = 8192, 1 << 22
"""Of one file: beyond all real ones (glibc has some 50), against chains that never end."""
_VER_FLG_BASE, _VER_FLG_WEAK = 1, 2
_LONGEST_NAME = 4096
_LAYOUTS = {
    order: tuple(struct.Struct(order + text) for text in ("HHHHIII", "I", "HHIII", "IHHII"))
    for order in "<>"
}
"""Verdef, Verdaux's name, Verneed, Vernaux."""


class Defined(NamedTuple):
    """A Verdef. is_base: it names the file, and is the version of no symbol."""

    number: int
    name: str
    is_base: bool


class Needed(NamedTuple):
    """A Vernaux."""

    number: int
    name: str
    weak: bool


def definitions(image: Image, dynamic: Dynamic) -> list[Defined] | None:
    """The Verdefs; None when the file defines no versions at all."""
    address = dynamic.value(DT_VERDEF)
    if address is None:
        return None
    found: list[Defined] = []
    _read(image, address, lambda data: _walk_definitions(image, dynamic, data, found))
    return found


def requirements(image: Image, dynamic: Dynamic) -> list[tuple[str, tuple[Needed, ...]]]:
    """(file, its Vernauxes) of each Verneed."""
    address = dynamic.value(DT_VERNEED)
    if address is None:
        return []
    found: list[tuple[str, tuple[Needed, ...]]] = []
    _read(image, address, lambda data: _walk_needs(image, dynamic, data, found))
    return found


def version_names(image: Image, dynamic: Dynamic) -> dict[int, str]:
    """Names by index, required and defined, without the file's own: what a symbol's .gnu.version
    entry means to the loader."""
    names = {need.number: need.name for _, needs in requirements(image, dynamic) for need in needs}
    for node in definitions(image, dynamic) or ():
        if not node.is_base:
            names[node.number] = node.name
    return names


def _walk_definitions(image: Image, dynamic: Dynamic, data: bytes, found: list[Defined]) -> None:
    found.clear()
    verdef, verdaux, _, _ = _LAYOUTS[image.order]
    offset = 0
    for _ in range(_MOST_RECORDS):
        _, flags, index, _, _, aux, following = verdef.unpack_from(data, offset)
        (name,) = verdaux.unpack_from(data, offset + aux)
        found.append(Defined(index & 0x7FFF, text(dynamic, name), bool(flags & _VER_FLG_BASE)))
        if following == 0:
            break
        offset += following


def _walk_needs(
    image: Image, dynamic: Dynamic, data: bytes, found: list[tuple[str, tuple[Needed, ...]]]
) -> None:
    found.clear()
    _, _, verneed, vernaux = _LAYOUTS[image.order]
    offset = count = 0
    while count < _MOST_RECORDS:
        _, _, file, aux, following = verneed.unpack_from(data, offset)
        place = offset + aux
        needs = []
        while count < _MOST_RECORDS:
            count += 1
            _, flags, index, name, step = vernaux.unpack_from(data, place)
            needs.append(Needed(index & 0x7FFF, text(dynamic, name), bool(flags & _VER_FLG_WEAK)))
            if step == 0:
                break
            place += step
        found.append((text(dynamic, file), tuple(needs)))
        if following == 0:
            break
        offset += following


def _read(image: Image, address: int, walk: Callable[[bytes], None]) -> None:
    """Read as much of a table without a length as walking through it needs."""
    size = 2048
    while True:
        data = image.read_vaddr(address, size)
        try:
            return walk(data)
        except struct.error:
            if len(data) < size or size >= _MOST_BYTES:
                image.warn("a version table is cut short")
                return None
            size *= 8


def text(dynamic: Dynamic, offset: int) -> str:
    """A name of the dynamic string table; longer ones than a path can be are cut."""
    strings = dynamic.strings
    end = strings.find(b"\0", offset, offset + _LONGEST_NAME)
    raw = strings[offset : end if end >= 0 else offset + _LONGEST_NAME]
    return raw.decode("utf-8", "surrogateescape")
