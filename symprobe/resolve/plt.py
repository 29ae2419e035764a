"""PLT slots: through which stub a file calls each function that it imports.

Relocations tell which slot of the GOT belongs to which name; the stub that jumps through that slot
is found by its instruction. Source: psABI of x86-64, "Procedure Linkage Table"; of AArch64.
"""

from __future__ import annotations

from itertools import pairwise

from symprobe.binary import Binary
from symprobe.elf.constants import EM_386, EM_AARCH64, EM_X86_64
from symprobe.elf.relocations import relocations
from symprobe.model import VAddr


def plt_slots(binary: Binary) -> dict[str, VAddr]:
    """The address of the PLT stub of each imported name; empty for machines not known here."""
    image = binary.image
    slots = _got_names(binary)
    stubs: dict[str, VAddr] = {}
    for section in image.sections:
        if not section.name.startswith(".plt"):
            continue
        data = image.section_data(section)
        for place, target in _jumps(image.header.machine, data, section.addr):
            name = slots.get(target)
            # .plt.sec is what is called where there is one: it comes last and wins.
            if name is not None:
                stubs[name] = VAddr(place)
    return stubs


def _got_names(binary: Binary) -> dict[int, str]:
    """Names by the address of their GOT slot."""
    symbols = binary.dynsym
    if symbols is None:
        return {}
    return {
        r.vaddr: symbols.name(r.symbol).decode("utf-8", "surrogateescape")
        for r in relocations(binary.image, binary.dynamic)
        if 0 < r.symbol < symbols.count
    }


def _jumps(machine: int, data: bytes, start: int) -> list[tuple[int, int]]:
    """(address of the stub, address of the slot it jumps through)."""
    found = []
    if machine in (EM_X86_64, EM_386):
        place = data.find(b"\xff\x25")
        while place >= 0:
            word = int.from_bytes(data[place + 2 : place + 6], "little", signed=True)
            target = word & 0xFFFFFFFF if machine == EM_386 else start + place + 6 + word
            stub = place
            for prefix in (b"\xf2", b"\xf3\x0f\x1e\xfa", b"\xf3\x0f\x1e\xfb"):  # bnd, endbr64/32
                if data[stub - len(prefix) : stub] == prefix:
                    stub -= len(prefix)
            found.append((start + stub, target))
            place = data.find(b"\xff\x25", place + 6)
    elif machine == EM_AARCH64:
        words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data) - 7, 4)]
        for number, (page, load) in enumerate(pairwise(words)):
            # adrp x16, page; ldr x17, [x16, #offset]
            if page & 0x9F00001F == 0x90000010 and load & 0xFFC003FF == 0xF9400211:
                immediate = (page >> 5 & 0x7FFFF) << 2 | (page >> 29 & 3)
                pages = immediate - (1 << 21) if immediate & (1 << 20) else immediate
                here = start + 4 * number
                target = (here & ~0xFFF) + (pages << 12) + ((load >> 10 & 0xFFF) << 3)
                found.append((here, target))
    return found
