"""How a binary was hardened, read with LIEF (imported here, it takes a quarter of a second).

Terms as in checksec(1) and the GCC and binutils manuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from symprobe.elf.constants import EM_386, EM_AARCH64, EM_X86_64
from symprobe.elf.image import Image
from symprobe.elf.notes import gnu_properties
from symprobe.elf.source import FileSource

if TYPE_CHECKING:
    import lief

_X86_FEATURE_1_AND, _IBT, _SHSTK = 0xC0000002, 1, 2
_AARCH64_FEATURE_1_AND, _BTI, _PAC = 0xC0000000, 1, 2

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


def hardening(image: Image, *, program: bool) -> Hardening | None:
    """What LIEF and the GNU property notes say; None when LIEF can't parse the file.

    program: an executable (not a library), so that `pie` means something.
    """
    import lief

    lief.logging.disable()
    config = lief.ELF.ParserConfig()
    config.parse_overlay = False
    config.parse_notes = False
    config.parse_relocations = False
    source = image.source
    if not isinstance(source, FileSource) or len(image.segments) > _MOST_SEGMENTS:
        return None
    binary = lief.ELF.parse(f"/proc/self/fd/{source.fd}", config)
    if binary is None:
        return None
    dynamic = binary.has(lief.ELF.Segment.TYPE.DYNAMIC) and binary.has_interpreter
    used = binary.imported_symbols if dynamic or not program else binary.symbols
    names = {str(s.name).split("@")[0] for s in used}
    checked = {n for n in names if n.startswith("__") and n.endswith("_chk")}
    properties = gnu_properties(image)
    x86 = properties.get(_X86_FEATURE_1_AND, 0) if _is(image, EM_386, EM_X86_64) else None
    arm = properties.get(_AARCH64_FEATURE_1_AND, 0) if _is(image, EM_AARCH64) else None
    return Hardening(
        relro=_relro(binary),
        nx=bool(binary.has_nx),
        pie=bool(binary.is_pie) if program else None,
        canary=bool(names & {"__stack_chk_fail", "__stack_chk_fail_local", "__stack_chk_guard"}),
        fortify=len(checked),
        ibt=None if x86 is None else bool(x86 & _IBT),
        shstk=None if x86 is None else bool(x86 & _SHSTK),
        bti=None if arm is None else bool(arm & _BTI),
        pac=None if arm is None else bool(arm & _PAC),
        textrel=binary.has(lief.ELF.DynamicEntry.TAG.TEXTREL),
    )


def _is(image: Image, *machines: int) -> bool:
    return image.header.machine in machines


def _relro(binary: lief.ELF.Binary) -> str:
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
