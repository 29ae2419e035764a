"""How a binary was hardened, read with LIEF (imported here, it takes a quarter of a second).

LIEF copies the file and takes 50 MB for itself: what is large, and what is one file of thousands,
is read here from the same tables. A test holds the two to one answer.

Terms as in checksec(1) and the GCC and binutils manuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from symprobe.elf.constants import (
    EM_386,
    EM_AARCH64,
    EM_PPC64,
    EM_X86_64,
    ET_DYN,
    PF_X,
    PT_DYNAMIC,
    PT_GNU_RELRO,
    PT_GNU_STACK,
    PT_INTERP,
)
from symprobe.elf.dynamic import (
    DF_1_NOW,
    DF_1_PIE,
    DF_BIND_NOW,
    DT_FLAGS,
    DT_FLAGS_1,
    DT_TEXTREL,
    read_dynamic,
)
from symprobe.elf.image import Image
from symprobe.elf.notes import gnu_properties
from symprobe.elf.source import FileSource
from symprobe.elf.symbols import read_dynsym, read_symtab

if TYPE_CHECKING:
    import lief

_DT_BIND_NOW = 24
_X86_FEATURE_1_AND, _IBT, _SHSTK = 0xC0000002, 1, 2
_AARCH64_FEATURE_1_AND, _BTI, _PAC = 0xC0000000, 1, 2

_LARGEST = 16 << 20
"""Bytes of a file that LIEF may copy."""
_CHUNK = 4096  # entries of a symbol table at a time
_MOST_SEGMENTS = 2000
"""LIEF's time grows with their square; the kernel takes no program with more than 1,170."""


@dataclass(frozen=True)
class Hardening:
    """relro: none, partial or full.  nx: the stack is not executable.  pie: position independent
    (of a program; None for a library).  canary: calls __stack_chk_fail.  fortify: number of
    distinct __*_chk functions called (in a static program: linked in).  ibt, shstk (x86), bti,
    pac (aarch64): the whole file is marked for it, None on other machines.  textrel: code is
    written to when loaded.
    """

    relro: str
    nx: bool
    pie: bool | None
    canary: bool
    fortify: int
    ibt: bool | None
    shstk: bool | None
    bti: bool | None
    pac: bool | None
    textrel: bool


class _Seen(NamedTuple):
    """used: the names that tell which checks were compiled in."""

    relro: str
    nx: bool
    pie: bool
    used: set[str]
    textrel: bool


def hardening(image: Image, *, program: bool, frugal: bool = False) -> Hardening | None:
    """What LIEF and the GNU property notes say; None when LIEF can't parse the file.

    program: an executable (not a library), so that `pie` means something.  frugal: without LIEF.
    """
    if not isinstance(image.source, FileSource):
        return None
    if frugal or image.source.size > _LARGEST or len(image.segments) > _MOST_SEGMENTS:
        seen = _by_tables(image, program)
    else:
        found = _by_lief(image.source, program)
        if found is None:
            return None
        seen = found
    names = {name.split("@")[0] for name in seen.used}
    checked = {n for n in names if n.startswith("__") and n.endswith("_chk")}
    properties = gnu_properties(image)
    x86 = properties.get(_X86_FEATURE_1_AND, 0) if _is(image, EM_386, EM_X86_64) else None
    arm = properties.get(_AARCH64_FEATURE_1_AND, 0) if _is(image, EM_AARCH64) else None
    return Hardening(
        relro=seen.relro,
        nx=seen.nx,
        pie=seen.pie if program else None,
        canary=bool(names & {"__stack_chk_fail", "__stack_chk_fail_local", "__stack_chk_guard"}),
        fortify=len(checked),
        ibt=None if x86 is None else bool(x86 & _IBT),
        shstk=None if x86 is None else bool(x86 & _SHSTK),
        bti=None if arm is None else bool(arm & _BTI),
        pac=None if arm is None else bool(arm & _PAC),
        textrel=seen.textrel,
    )


def _by_lief(source: FileSource, program: bool) -> _Seen | None:
    import lief

    lief.logging.disable()
    config = lief.ELF.ParserConfig()
    config.parse_overlay = False
    config.parse_notes = False
    config.parse_relocations = False
    binary = lief.ELF.parse(f"/proc/self/fd/{source.fd}", config)
    if binary is None:
        return None
    dynamic = binary.has(lief.ELF.Segment.TYPE.DYNAMIC) and binary.has_interpreter
    used = binary.imported_symbols if dynamic or not program else binary.symbols
    return _Seen(
        _lief_relro(binary),
        bool(binary.has_nx),
        bool(binary.is_pie),
        {str(symbol.name) for symbol in used},
        binary.has(lief.ELF.DynamicEntry.TAG.TEXTREL),
    )


def _by_tables(image: Image, program: bool) -> _Seen:
    """The same by this project's own reader."""
    dynamic = read_dynamic(image)
    linked = image.segment(PT_DYNAMIC) is not None
    interpreted = image.segment(PT_INTERP) is not None
    tables = [read_dynsym(image, dynamic)]
    imports_only = (linked and interpreted) or not program
    if not imports_only or tables == [None]:  # a file of debug information alone
        tables.append(read_symtab(image))
    used = {
        table.name(number)
        for table in tables
        if table is not None and b"_chk" in table.strings
        for columns in table.columns(None, _CHUNK)
        for number, section in zip(columns[0], columns[4], strict=True)
        if not (imports_only and section)
    }
    tags = dict(dynamic.entries) if dynamic is not None else {}
    now = _DT_BIND_NOW in tags
    now |= bool(tags.get(DT_FLAGS, 0) & DF_BIND_NOW or tags.get(DT_FLAGS_1, 0) & DF_1_NOW)
    relro = "full" if now or not (linked or interpreted) else "partial"
    stack = image.segment(PT_GNU_STACK)
    return _Seen(
        relro if image.segment(PT_GNU_RELRO) is not None else "none",
        # Without that segment the kernel decides, for which only this machine says no.
        not stack.flags & PF_X if stack is not None else _is(image, EM_PPC64),
        image.header.type == ET_DYN and (interpreted or bool(tags.get(DT_FLAGS_1, 0) & DF_1_PIE)),
        {name.decode("utf-8", "surrogateescape") for name in used},
        DT_TEXTREL in tags,
    )


def _is(image: Image, *machines: int) -> bool:
    return image.header.machine in machines


def _lief_relro(binary: lief.ELF.Binary) -> str:
    import lief

    if not binary.has(lief.ELF.Segment.TYPE.GNU_RELRO):
        return "none"
    tags = lief.ELF.DynamicEntry.TAG
    if binary.has(tags.BIND_NOW):
        return "full"
    flags = binary.get(tags.FLAGS) if binary.has(tags.FLAGS) else None
    flags_1 = binary.get(tags.FLAGS_1) if binary.has(tags.FLAGS_1) else None
    now = (flags is not None and flags.value & 8) or (flags_1 is not None and flags_1.value & 1)
    static = not binary.has_interpreter and not binary.has(lief.ELF.Segment.TYPE.DYNAMIC)
    return "full" if now or static else "partial"
