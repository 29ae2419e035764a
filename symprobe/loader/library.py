"""What a loader reads of one file: its header, its dynamic section, its version tables.

All through program headers: a loader never looks at a section header. Sources: gABI "Dynamic
Section"; elf/dl-load.c, elf/dl-version.c, sysdeps/x86/dl-prop.h of glibc.
"""

import os
from typing import NamedTuple

from symprobe.elf.constants import (
    EM_386,
    EM_X86_64,
    ET_DYN,
    PT_DYNAMIC,
    PT_GNU_PROPERTY,
    PT_NOTE,
)
from symprobe.elf.dynamic import (
    DF_1_PIE,
    DT_AUXILIARY,
    DT_FILTER,
    DT_FLAGS_1,
    DT_NEEDED,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_VERDEF,
    DT_VERNEED,
    Dynamic,
    read_dynamic,
)
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource
from symprobe.errors import MalformedError
from symprobe.loader.machine import Machine
from symprobe.loader.versiontable import definitions, requirements, text

_DT_RELR = 36
_MOST_NEEDED = 20_000
"""Entries of one dynamic section that name a library; real ones have some hundreds at most."""
_MOST_PROPERTIES = 4096
_ISA_1_NEEDED = b"\x02\x80\x00\xc0"
"""GNU_PROPERTY_X86_ISA_1_NEEDED as a file holds it: few files have one."""

Requirement = tuple[str, tuple[tuple[str, bool], ...]]
"""(file, ((version, weak), ...)): one Verneed."""


class Library(NamedTuple):
    """One file as a loader sees it.

    mode: st_mode.  type: ET_EXEC or ET_DYN.  requests: (DT_NEEDED, DT_AUXILIARY or DT_FILTER,
    name) in order.  requirements: the Verneeds.  definitions: version names of DT_VERDEF, the
    file's own among them; None without the table.  isa_needed: the bits of
    GNU_PROPERTY_X86_ISA_1_NEEDED.  unmappable: why glibc's loader refuses a file whose header it
    takes, in its words; empty: it loads it.
    """

    inode: tuple[int, int]
    mode: int
    machine: Machine
    type: int
    soname: str | None
    rpath: str | None
    runpath: str | None
    flags_1: int
    requests: tuple[tuple[int, str], ...]
    requirements: tuple[Requirement, ...]
    definitions: frozenset[str] | None
    isa_needed: int
    has_relr: bool
    unmappable: str


def read_library(source: FileSource) -> Library:
    """Read one file. Errors: NotElfError, MalformedError, FileError."""
    image = Image(source)
    dynamic = read_dynamic(image) if image.segment(PT_DYNAMIC) is not None else None
    dynamic = dynamic or Dynamic((), b"")
    tags = dict(dynamic.entries)  # the last entry of a tag counts, as in the loader
    soname, rpath, runpath = (tags.get(tag) for tag in (DT_SONAME, DT_RPATH, DT_RUNPATH))
    flags_1 = tags.get(DT_FLAGS_1, 0)
    defined = definitions(image, dynamic) if DT_VERDEF in tags else None
    needed = requirements(image, dynamic) if DT_VERNEED in tags else []
    return Library(
        inode=source.inode,
        mode=os.fstat(source.fd).st_mode,
        machine=Machine.of(image),
        type=image.header.type,
        soname=None if soname is None else text(dynamic, soname),
        rpath=None if rpath is None else dynamic.text(rpath),
        runpath=None if runpath is None else dynamic.text(runpath),
        flags_1=flags_1,
        requests=_requests(source, dynamic),
        requirements=tuple(
            (file, tuple((need.name, need.weak) for need in needs)) for file, needs in needed
        ),
        definitions=None if defined is None else frozenset(node.name for node in defined),
        isa_needed=_isa_needed(image),
        has_relr=_DT_RELR in tags,
        unmappable=_unmappable(image, dynamic, flags_1),
    )


def _requests(source: FileSource, dynamic: Dynamic) -> tuple[tuple[int, str], ...]:
    wanted = (DT_NEEDED, DT_AUXILIARY, DT_FILTER)
    found = [(tag, value) for tag, value in dynamic.entries if tag in wanted]
    if len(found) > _MOST_NEEDED:
        what = f"asks for {len(found)} libraries, more than {_MOST_NEEDED}"
        raise MalformedError(what, file=source.path.shown)
    return tuple((tag, text(dynamic, value)) for tag, value in found)


def _unmappable(image: Image, dynamic: Dynamic, flags_1: int) -> str:
    if len(image.segments) < image.header.phnum:
        return "cannot read file data"
    if any((load.vaddr - load.offset) % 4096 for load in image.loads):
        return "ELF load command address/offset not page-aligned"
    if not image.loads:
        return "object file has no loadable segments"
    if image.header.type != ET_DYN:
        return "cannot dynamically load executable"
    if not dynamic.entries:
        return "object file has no dynamic section"
    if flags_1 & DF_1_PIE:
        return "cannot dynamically load position-independent executable"
    if any(load.offset + load.filesz > image.source.size for load in image.loads):
        return "is cut short: a segment ends past its end, the loader would crash"
    return ""


def _isa_needed(image: Image) -> int:
    """The ISA levels that an x86 file needs, as bits; 0 without the property."""
    if image.header.machine not in (EM_386, EM_X86_64):
        return 0
    kind = PT_GNU_PROPERTY if image.segment(PT_GNU_PROPERTY) is not None else PT_NOTE
    for segment in image.segments:
        if segment.type != kind or segment.align != image.bits // 8:
            continue
        size = min(segment.filesz, _MOST_PROPERTIES)
        data = image.source.read_available(segment.offset, size)
        if _ISA_1_NEEDED in data:
            from symprobe.elf.notes import GNU_PROPERTY_X86_ISA_1_NEEDED, gnu_properties

            return gnu_properties(image).get(GNU_PROPERTY_X86_ISA_1_NEEDED, 0)
    return 0
