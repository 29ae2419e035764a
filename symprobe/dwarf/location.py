"""In which register a parameter is at a function's first instruction.

Sources: DWARF 5 sections 2.6.2 and 7.7.3 (location lists), 2.6.1.1.3 (register descriptions);
the psABIs of x86-64 (figures 3.36, section 3.2.3) and AArch64 (DWARF register numbers, AAPCS64
section 6.8) for the names of registers and the order of arguments.
"""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.dwarf import constants as dw
from symprobe.dwarf.abbrev import uleb
from symprobe.dwarf.entries import Entry
from symprobe.dwarf.file import DwarfFile, operands_at
from symprobe.dwarf.units import Unit
from symprobe.dwarf.values import Encoding

DW_OP_REG0, DW_OP_REG31, DW_OP_REGX = 0x50, 0x6F, 0x90
_MOST_BYTES = 1 << 12

_NAMES: dict[str, dict[int, str]] = {
    "x86_64": {
        **dict(enumerate(("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"))),
        **{number: f"r{number}" for number in range(8, 16)},
        **{17 + number: f"xmm{number}" for number in range(16)},
    },
    "aarch64": {
        **{number: f"x{number}" for number in range(31)},
        31: "sp",
        **{64 + number: f"v{number}" for number in range(32)},
    },
}
"""Machine -> DWARF register number -> name."""

_ORDER = {
    "x86_64": (("rdi", "rsi", "rdx", "rcx", "r8", "r9"), tuple(f"xmm{i}" for i in range(8))),
    "aarch64": (tuple(f"x{i}" for i in range(8)), tuple(f"v{i}" for i in range(8))),
}
"""Machine -> registers of integer and of floating-point arguments, in order."""


def described(entry: Entry, low: int, machine: str) -> str | None:
    """The register that DW_AT_location names for the instruction at `low`, None for another
    place or none. Errors: MalformedError."""
    value = entry.value("DW_AT_location")
    if isinstance(value, list):
        expression = bytes(byte & 0xFF for byte in value)
    elif isinstance(value, int):
        expression = _listed(entry, value, low)
    else:
        return None
    if not expression:
        return None
    number = None
    if len(expression) == 1 and DW_OP_REG0 <= expression[0] <= DW_OP_REG31:
        number = expression[0] - DW_OP_REG0
    elif expression[0] == DW_OP_REGX and len(expression) == 2:
        number = expression[1]
    return None if number is None else _NAMES.get(machine, {}).get(number)


Located = Iterator[tuple[int, int, bytes]]
"""[low, high) addresses, and the expression that holds for them."""


def _listed(entry: Entry, place: int, low: int) -> bytes:
    """The expression that a location list has for an address; empty when it has none."""
    file, unit = entry.file, entry.unit
    top = file.top(unit).get(dw.DW_AT_LOW_PC)
    base = file.address(unit, top[0], int(top[1])) if top is not None else 0
    new = unit.version >= 5
    data = file.sections.need("loclists" if new else "loc").read_available(place, _MOST_BYTES)
    located = _new_list(data, file, unit, base) if new else _old_list(data, file, unit, base)
    try:
        return next((text for first, last, text in located if first <= low < last), b"")
    except (IndexError, KeyError):  # broken, or longer than is looked at
        return b""


def _old_list(data: bytes, file: DwarfFile, unit: Unit, base: int) -> Located:
    width = unit.address_size
    place = 0
    while place + 2 * width <= len(data):
        first = int.from_bytes(data[place : place + width], file.order)
        last = int.from_bytes(data[place + width : place + 2 * width], file.order)
        place += 2 * width
        if first == last == 0:
            return
        if first == (1 << 8 * width) - 1:
            base = last
            continue
        length = int.from_bytes(data[place : place + 2], file.order)
        place += 2 + length
        yield base + first, base + last, data[place - length : place]


_OPERANDS = {0: "", 1: "u", 2: "uu", 3: "uu", 4: "uu", 5: "", 6: "a", 7: "aa", 8: "au"}
"""DW_LLE_* (end, base_addressx, startx_endx, startx_length, offset_pair, default_location,
base_address, start_end, start_length) -> operands: u for LEB128, a for an address."""


def _new_list(data: bytes, file: DwarfFile, unit: Unit, base: int) -> Located:
    place = 0
    while data[place]:
        kind = data[place]
        operands, place = operands_at(data, place + 1, _OPERANDS[kind], unit, file)
        first, last = (*operands, 0, 0)[:2]
        if kind in (1, 6):
            base = file.indexed_address(unit, first) if kind == 1 else first
            continue
        if kind in (2, 3):
            first = file.indexed_address(unit, first)
        if kind == 2:
            last = file.indexed_address(unit, last)
        elif kind in (3, 8):
            last += first
        elif kind == 4:
            first, last = base + first, base + last
        elif kind == 5:
            first, last = 0, 1 << 64
        length, place = uleb(data, place)
        place += length
        yield first, last, data[place - length : place]


class Convention:
    """Which registers the ABI gives the parameters, asked for in their order.

    Right for scalars; the first structure by value whose registers depend on its members ends
    the counting, and all parameters behind it have None.
    """

    def __init__(self, machine: str) -> None:
        integers, floats = _ORDER.get(machine, ((), ()))
        self._machine = machine
        self._left = {False: list(integers), True: list(floats)}
        self._known = bool(integers)

    def returns(
        self, size: int | None, encoding: Encoding | None, by_reference: bool | None
    ) -> None:
        """Take the register that carries the address of a structure to be returned.

        by_reference: whether C++ hands the structure over by its address whatever its size (it
        has a copy constructor or destructor of its own); None: not known.
        """
        if encoding != Encoding.STRUCT or self._machine != "x86_64":
            return  # AArch64 passes that address in x8, which carries no argument
        if size is not None and (size > 16 or by_reference):
            self._take(False)
        elif size is None or by_reference is None:
            self._known = False

    def next(
        self,
        size: int | None,
        encoding: Encoding | None,
        by_reference: bool | None,
        *,
        long_double: bool = False,
    ) -> str | None:
        """The register of the next parameter; None: in memory, in two, or not known."""
        if encoding is None or size is None:
            self._known = False
        if not self._known or size is None:
            return None
        if encoding == Encoding.STRUCT:
            if by_reference:
                return self._take(False)
            # Above 16 bytes x86-64 copies it to the stack; AArch64 passes its address, unless it
            # is up to four floats.
            self._known = size > 16 and self._machine == "x86_64" and by_reference is False
            return None
        if encoding == Encoding.FLOAT:
            if long_double and self._machine == "x86_64":
                return None  # of the x87, in memory; other floats of 16 bytes are in registers
            return self._take(True)
        if size > 8:  # __int128, a pointer to a method: two registers or none
            self._known = False
            return None
        return self._take(False)

    def _take(self, floating: bool) -> str | None:
        left = self._left[floating]
        return left.pop(0) if left else None
