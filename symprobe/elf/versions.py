"""Symbol versions: .gnu.version, .gnu.version_d, .gnu.version_r.

Source: Linux Standard Base, "Symbol Versioning"; elf/dl-version.c of glibc.
"""

from array import array
from typing import NamedTuple

from symprobe.elf.constants import SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_GNU_VERSYM
from symprobe.elf.dynamic import (
    DT_VERDEF,
    DT_VERDEFNUM,
    DT_VERNEED,
    DT_VERNEEDNUM,
    DT_VERSYM,
    Dynamic,
)
from symprobe.elf.image import Image, text_at

VER_FLG_BASE, VER_FLG_WEAK = 1, 2
HIDDEN = 0x8000


class VersionDefinition(NamedTuple):
    """A Verdef: a version that this file provides; parents are the versions it inherits from."""

    number: int
    name: str
    parents: tuple[str, ...]
    flags: int

    @property
    def is_base(self) -> bool:
        """The base definition names the file itself and is no version of any symbol."""
        return bool(self.flags & VER_FLG_BASE)


class VersionRequirement(NamedTuple):
    """A Vernaux: a version that this file needs of the library `file` (a DT_NEEDED name)."""

    file: str
    version: str
    number: int
    weak: bool


class Versions(NamedTuple):
    """All version information of one file. versym: one number a dynamic symbol."""

    definitions: tuple[VersionDefinition, ...]
    requirements: tuple[VersionRequirement, ...]
    versym: "array[int]"

    def names(self) -> tuple[dict[int, str], dict[int, str]]:
        """(defined, required): version names by index, without the base definition."""
        defined = {d.number: d.name for d in self.definitions if not d.is_base}
        required = {r.number: r.version for r in self.requirements}
        return defined, required


def read_versions(image: Image, dynamic: Dynamic | None, symbol_count: int) -> Versions:
    """Through the section headers, else through the dynamic section; empty when there are none."""
    versym = _bytes(image, dynamic, SHT_GNU_VERSYM, DT_VERSYM, 2 * symbol_count)[0]
    definitions, strings, count = _bytes(image, dynamic, SHT_GNU_VERDEF, DT_VERDEF, 1 << 20)
    requirements, needed_strings, needed_count = _bytes(
        image, dynamic, SHT_GNU_VERNEED, DT_VERNEED, 1 << 20
    )
    return Versions(
        tuple(_definitions(image, definitions, strings, count)),
        tuple(_requirements(image, requirements, needed_strings, needed_count)),
        image.numbers("H", versym),
    )


def _bytes(
    image: Image, dynamic: Dynamic | None, section_type: int, tag: int, limit: int
) -> tuple[bytes, bytes, int]:
    """(table, its strings, number of entries) of one of the three tables."""
    sections = image.sections
    for section in sections:
        if section.type == section_type:
            strings = (
                image.section_data(sections[section.link]) if section.link < len(sections) else b""
            )
            return image.section_data(section), strings, section.info
    if dynamic is None or (address := dynamic.value(tag)) is None:
        return b"", b"", 0
    count_tag = {DT_VERDEF: DT_VERDEFNUM, DT_VERNEED: DT_VERNEEDNUM}.get(tag)
    count = (dynamic.value(count_tag) or 0) if count_tag is not None else 0
    return image.read_vaddr(address, limit), dynamic.strings, count


def _definitions(image: Image, data: bytes, strings: bytes, count: int) -> list[VersionDefinition]:
    result: list[VersionDefinition] = []
    offset = 0
    # Offsets only grow and each step is counted: a hostile chain ends with the table.
    budget = len(data) // 8
    for _ in range(min(count, budget)):
        if offset + 20 > len(data):
            image.warn("the version definitions are cut short")
            break
        _, flags, index, aux_count, _, aux, following = image.unpack("HHHHIII", data, offset)
        names: list[str] = []
        position = offset + aux
        for _ in range(aux_count):
            budget -= 1
            if position + 8 > len(data) or budget < 0:
                image.warn("the version definitions are cut short")
                break
            name, step = image.unpack("II", data, position)
            names.append(text_at(strings, name))
            if step == 0:
                break
            position += step
        if names:
            result.append(VersionDefinition(index & 0x7FFF, names[0], tuple(names[1:]), flags))
        if following == 0:
            break
        offset += following
    return result


def _requirements(
    image: Image, data: bytes, strings: bytes, count: int
) -> list[VersionRequirement]:
    result: list[VersionRequirement] = []
    offset = 0
    budget = len(data) // 16
    for _ in range(min(count, budget)):
        if offset + 16 > len(data):
            image.warn("the version requirements are cut short")
            break
        _, aux_count, file, aux, following = image.unpack("HHIII", data, offset)
        position = offset + aux
        for _ in range(aux_count):
            budget -= 1
            if position + 16 > len(data) or budget < 0:
                image.warn("the version requirements are cut short")
                break
            _, flags, index, name, step = image.unpack("IHHII", data, position)
            result.append(
                VersionRequirement(
                    text_at(strings, file),
                    text_at(strings, name),
                    index & 0x7FFF,
                    bool(flags & VER_FLG_WEAK),
                )
            )
            if step == 0:
                break
            position += step
        if following == 0:
            break
        offset += following
    return result
