"""The code that runs once whenever a file is loaded: a probe there tells a zero from an absence.

"foo was never called" and "no traced process ever loaded the file" look the
same in a count. The entry point of a program, or the initialiser that the
loader runs first in a library, tells them apart, also for processes that have
ended since.
"""

from __future__ import annotations

import struct

from symprobe.elf.constants import PT_INTERP
from symprobe.elf.dynamic import DT_RELA, DT_RELASZ, Dynamic, read_dynamic
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource
from symprobe.errors import SymprobeError
from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.resolve.instructions import unsafe

DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ = 12, 25, 27
_RELATIVE = {62: 8, 183: 1027}
"""R_X86_64_RELATIVE of EM_X86_64, R_AARCH64_RELATIVE of EM_AARCH64."""


def load_mark(file: FilePath) -> FileOffset | None:
    """Where to probe to see the file being loaded, None when nothing certain runs then."""
    try:
        image = Image(FileSource(file))
        address = _runs_first(image, read_dynamic(image))
        offset = None if address is None else image.offset_of(address)
        code = b"" if offset is None else image.source.read_available(offset, 16)
        return offset if code and unsafe(code, image.machine) is None else None
    except SymprobeError:
        return None


def _runs_first(image: Image, dynamic: Dynamic | None) -> VAddr | None:
    """The entry point of a program or of the loader, else a library's first initialiser."""
    soname = dynamic.soname if dynamic is not None else None
    is_loader = soname is not None and soname.startswith("ld") and not image.segment(PT_INTERP)
    if (soname is None or is_loader) and image.header.entry:
        return VAddr(image.header.entry)
    if dynamic is None:
        return None
    init = dynamic.value(DT_INIT)
    if init:
        return VAddr(init)
    array, size = dynamic.value(DT_INIT_ARRAY), dynamic.value(DT_INIT_ARRAYSZ)
    if array is None or not size or image.bits != 64:
        return None
    (stored,) = struct.unpack(f"{image.order}Q", image.read_vaddr(array, 8).ljust(8, b"\0"))
    return VAddr(stored or _addend(image, dynamic, array)) or None


def _addend(image: Image, dynamic: Dynamic, place: int) -> int:
    """What the loader will write at place by a relative relocation; 0 when there is none."""
    address, size = dynamic.value(DT_RELA), dynamic.value(DT_RELASZ)
    wanted = _RELATIVE.get(image.header.machine)
    if address is None or size is None:
        return 0
    table = image.read_vaddr(address, size)
    entries = struct.iter_unpack(f"{image.order}QQq", table[: len(table) // 24 * 24])
    for offset, info, addend in entries:
        if offset == place and info == wanted:
            return int(addend)
    return 0
