"""Line tables: the files of a unit, and the source line of an address.

Source: DWARF 5 section 6.2, and DWARF 4's for the header of versions 2 to 4. Read here and not by
pyelftools, whose header trusts the counts that it finds and whose program takes seconds a unit.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from typing import NamedTuple

from symprobe.dwarf import constants as dw
from symprobe.dwarf.abbrev import step_over, uleb
from symprobe.dwarf.file import DwarfFile
from symprobe.dwarf.units import Unit

_MOST_HEADER, _MOST_PROGRAM = 4 << 20, 4 << 20
_MOST_ENTRIES = 1 << 17
DW_LNCT_PATH, DW_LNCT_DIRECTORY_INDEX = 1, 2


class _Header(NamedTuple):
    version: int
    directories: list[str]
    files: list[tuple[str, int]]
    """(name, number of its directory)."""
    minimum: int
    line_base: int
    line_range: int
    operands: bytes
    """How many LEB128 operands the standard opcodes 1, 2, … have."""
    program: int
    end: int
    width: int


class LineTable:
    """The line table of a unit. Errors: MalformedError for one that makes no sense."""

    def __init__(self, file: DwarfFile, unit: Unit) -> None:
        self._file = file
        self._unit = unit
        self._directory = file.top_text(unit, dw.DW_AT_COMP_DIR)
        self._header = self._read_header(file.base(unit, dw.DW_AT_STMT_LIST))
        self._rows: _Rows | None = None

    def path(self, number: int) -> str:
        """The file of that number (DW_AT_decl_file), empty for none, joined with the directory of
        compilation when it is relative."""
        header = self._header
        place = number if header.version >= 5 else number - 1
        if not 0 <= place < len(header.files):
            return ""
        name, directory = header.files[place]
        if header.version < 5:
            directory -= 1
        inside = header.directories[directory] if 0 <= directory < len(header.directories) else ""
        return os.path.join(self._directory, inside, name)

    def line_of(self, vaddr: int) -> tuple[str, int] | None:
        """(file, line) of the instruction at that address; None when no row says. Line 0 means
        that it belongs to no line."""
        if self._rows is None:
            self._rows = self._run()
        found = self._rows.find(vaddr)
        return None if found is None else (self.path(found[0]), found[1])

    # -- the header

    def _read_header(self, offset: int) -> _Header:
        source = self._file.sections.need("line")
        error: Exception = IndexError()
        for size in (1 << 14, _MOST_HEADER):
            try:
                return self._parse_header(source.read_available(offset, size), offset)
            except (IndexError, ValueError, KeyError) as reason:
                error = reason
        what = f"the line table at {offset:#x} has no proper header: {error}"
        raise self._file.malformed(what)

    def _parse_header(self, data: bytes, offset: int) -> _Header:
        order = self._file.order

        def number(place: int, size: int) -> int:
            if place + size > len(data):
                raise IndexError("it is cut short")
            return int.from_bytes(data[place : place + size], order)

        length, width, place = number(0, 4), 4, 4
        if length == 0xFFFFFFFF:
            length, width, place = number(4, 8), 8, 12
        end = place + length
        version = number(place, 2)
        if not 2 <= version <= 5:
            raise ValueError(f"version {version}")
        place += 2
        address = self._unit.address_size
        if version >= 5:
            address = data[place]
            place += 2
        program = number(place, width) + place + width
        place += width
        minimum = data[place]
        place += 2 if version >= 4 else 1  # maximum operations: 1 but on VLIW machines
        base, line_range, opcodes = number(place + 1, 1), data[place + 2], data[place + 3]
        operands = data[place + 4 : place + 3 + opcodes]
        place += 3 + max(opcodes, 1)
        if not line_range:
            raise ValueError("a line range of 0")
        if version >= 5:
            directories, place = self._entries(data, place, width)
            files, place = self._entries(data, place, width)
        else:
            directories, files = _old_entries(data, place)
        return _Header(
            version,
            [name for name, _ in directories],
            files,
            minimum,
            base - 256 if base > 127 else base,
            line_range,
            operands,
            offset + program,
            offset + end,
            address,
        )

    def _entries(self, data: bytes, place: int, width: int) -> tuple[list[tuple[str, int]], int]:
        """(path, directory) of each entry of a DWARF 5 table, and the place behind the table."""
        count = data[place]
        place += 1
        formats = []
        for _ in range(count):
            kind, place = uleb(data, place)
            form, place = uleb(data, place)
            formats.append((kind, form))
        count, place = uleb(data, place)
        if count > _MOST_ENTRIES:
            raise ValueError(f"{count} entries")
        entries = []
        for _ in range(count):
            path, directory = "", 0
            for kind, form in formats:
                start = place
                place = self._behind(data, place, form, width)
                if kind == DW_LNCT_PATH:
                    path = self._text(data[start:place], form)
                elif kind == DW_LNCT_DIRECTORY_INDEX:
                    directory = self._plain(data[start:place], form)
            entries.append((path, directory))
        return entries, place

    def _behind(self, data: bytes, place: int, form: int, width: int) -> int:
        if form in dw.OFFSET_FORMS:
            place += width
        elif form in dw.FIXED_SIZES:
            place += dw.FIXED_SIZES[form]
        else:
            place = step_over(data, place, (dw.VARIABLE_STEPS[form],), self._file.order)
        if place > len(data):
            raise IndexError("it is cut short")
        return place

    def _plain(self, data: bytes, form: int) -> int:
        return uleb(data, 0)[0] if form == dw.DW_FORM_UDATA else self._number(data)

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, self._file.order)

    def _text(self, data: bytes, form: int) -> str:
        if form == dw.DW_FORM_STRING:
            return self._file.text(self._unit, form, data[:-1])
        value = uleb(data, 0)[0] if form == dw.DW_FORM_STRX else self._number(data)
        return self._file.text(self._unit, form, value)

    # -- the program

    def _run(self) -> _Rows:
        header = self._header
        source = self._file.sections.need("line")
        size = min(header.end - header.program, _MOST_PROGRAM)
        data = source.read_available(header.program, size)
        rows = _Rows()
        try:
            _execute(data, header, self._file.order == "little", rows)
        except IndexError:  # cut short: what stands before is right
            rows.end_sequence(rows.addresses[-1] if rows.addresses else 0)
        return rows


def _old_entries(data: bytes, place: int) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """The directories and files of a header before DWARF 5."""
    directories: list[tuple[str, int]] = []
    while data[place]:
        end = data.index(b"\0", place)
        directories.append((data[place:end].decode("utf-8", "surrogateescape"), 0))
        place = end + 1
    place += 1
    files = []
    while data[place]:
        end = data.index(b"\0", place)
        name = data[place:end].decode("utf-8", "surrogateescape")
        directory, place = uleb(data, end + 1)
        _, place = uleb(data, place)
        _, place = uleb(data, place)
        files.append((name, directory))
    return directories, files


class _Rows:
    """The rows of a line table, in sequences of rising addresses."""

    def __init__(self) -> None:
        self.addresses: array[int] = array("Q")
        self.files: array[int] = array("I")
        self.lines: array[int] = array("I")
        self._lows: array[int] = array("Q")
        self._highs: array[int] = array("Q")
        self._ends: array[int] = array("Q")
        """Of each sequence: its addresses, [low, high), and the row behind its last."""

    def add(self, address: int, file: int, line: int) -> None:
        self.addresses.append(address & (1 << 64) - 1)
        self.files.append(file & 0xFFFFFFFF)
        self.lines.append(line & 0xFFFFFFFF)

    def end_sequence(self, address: int) -> None:
        first = self._ends[-1] if self._ends else 0
        if len(self.addresses) > first:
            self._lows.append(self.addresses[first])
            self._highs.append(address & (1 << 64) - 1)
            self._ends.append(len(self.addresses))

    def find(self, vaddr: int) -> tuple[int, int] | None:
        """(file number, line) of the last row that is not behind the address."""
        first = 0
        for low, high, last in zip(self._lows, self._highs, self._ends, strict=True):
            if low <= vaddr < high and low:
                row = bisect_right(self.addresses, vaddr, first, last) - 1
                return self.files[row], self.lines[row]
            first = last
        return None


def _execute(  # noqa: PLR0912 - a branch an opcode
    data: bytes, header: _Header, little: bool, rows: _Rows
) -> None:
    """Run the line number program (sections 6.2.5.1 to 6.2.5.3)."""
    order = "little" if little else "big"
    first = len(header.operands) + 1
    minimum, base, span = header.minimum, header.line_base, header.line_range
    advance = (255 - first) // span * minimum
    address, file, line = 0, 1, 1
    place, end = 0, len(data)
    while place < end:
        opcode = data[place]
        place += 1
        if opcode >= first:
            opcode -= first
            address += opcode // span * minimum
            line += base + opcode % span
            rows.add(address, file, line)
        elif opcode == 0:
            size, place = uleb(data, place)
            if size and data[place] == 1:  # DW_LNE_end_sequence
                rows.end_sequence(address)
                address, file, line = 0, 1, 1
            elif size and data[place] == 2:  # DW_LNE_set_address
                address = int.from_bytes(data[place + 1 : place + size], order)  # type: ignore[arg-type]
            place += size
        elif opcode == 1:  # DW_LNS_copy
            rows.add(address, file, line)
        elif opcode == 2:  # DW_LNS_advance_pc
            operand, place = uleb(data, place)
            address += operand * minimum
        elif opcode == 3:  # DW_LNS_advance_line
            operand, behind = uleb(data, place)
            bits = 7 * (behind - place)
            line += operand - (1 << bits) if operand >> (bits - 1) & 1 else operand
            place = behind
        elif opcode == 4:  # DW_LNS_set_file
            file, place = uleb(data, place)
        elif opcode == 8:  # DW_LNS_const_add_pc
            address += advance
        elif opcode == 9:  # DW_LNS_fixed_advance_pc
            address += int.from_bytes(data[place : place + 2], order)  # type: ignore[arg-type]
            place += 2
        else:
            for _ in range(header.operands[opcode - 1]):
                _, place = uleb(data, place)
