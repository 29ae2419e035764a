"""DWARF: source lines, parameters and inlined copies of functions.

`debug_info(image)` finds the DWARF of a binary, in the file itself or beside it, and answers
through `DebugInfo.function`, `.inlined_only` and `.line_of`.
"""

from __future__ import annotations

import os

from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS, debug_files, open_other, prefixes
from symprobe.dwarf.file import DwarfFile
from symprobe.dwarf.info import DEFAULT_BUDGET, DebugInfo
from symprobe.dwarf.values import Encoding, FunctionInfo, InlinedCopy, Parameter
from symprobe.elf.constants import ET_REL, SHT_NOBITS
from symprobe.elf.image import Image
from symprobe.elf.notes import build_id
from symprobe.errors import SymprobeError
from symprobe.model import FilePath

__all__ = [
    "DEFAULT_BUDGET",
    "DebugInfo",
    "Encoding",
    "FunctionInfo",
    "InlinedCopy",
    "Parameter",
    "debug_info",
]


def debug_info(image: Image, roots: tuple[str, ...] = DEFAULT_DEBUG_ROOTS) -> DebugInfo | None:
    """The debug information of a binary, None when there is none.

    roots: directories laid out like /usr/lib/debug; () looks in the file itself only. What was
    found and can't be used becomes a warning on `image`.
    """
    if image.header.type == ET_REL:
        if _has_dwarf(image):
            image.warn("debug information of an object file is not read before it is linked")
        return None
    found, how = image, "own"
    if not _has_dwarf(image):
        others = debug_files(image, roots) if roots else []
        other = next((file for file in others if _has_dwarf(file.image)), None)
        if other is None:
            return None
        found, how = other.image, other.found_by
    try:
        alt = _supplementary(image, found, roots)
        return DebugInfo(image, DwarfFile(found, alt), how)
    except SymprobeError as error:
        image.warn(f"debug information can't be read: {error.what}")
        return None


def _has_dwarf(image: Image) -> bool:
    section = image.section(".debug_info") or image.section(".zdebug_info")
    return section is not None and section.type != SHT_NOBITS and section.size > 0


def _supplementary(image: Image, found: Image, roots: tuple[str, ...]) -> DwarfFile | None:
    """The file that dwz moved shared entries and strings to (GDB manual, "Separate Debug Files",
    .gnu_debugaltlink): named there, or found by its build ID."""
    section = found.section(".gnu_debugaltlink")
    if section is None:
        return None
    link = found.source.read_available(section.offset, min(section.size, 1 << 13))
    raw, _, identity = link.partition(b"\0")
    name, wanted = os.fsdecode(raw), identity.hex()
    own = os.path.dirname(found.source.path.shown)
    real = os.path.dirname(os.path.realpath(found.source.path.shown))
    shown = [os.path.join(directory, name) for directory in dict.fromkeys((own, real))]
    shown += [os.path.join(r, ".build-id", wanted[:2], f"{wanted[2:]}.debug") for r in roots]
    shown += [os.path.join(r, ".dwz", os.path.basename(name)) for r in roots]
    for prefix in dict.fromkeys([*prefixes(found), *prefixes(image)]):
        for path in shown:
            other = open_other(image, FilePath(prefix + path, path))
            if other is not None and build_id(other) == wanted:
                return DwarfFile(other)
    image.warn(f"the supplementary debug file {name} was not found: names in it are missing")
    return None
