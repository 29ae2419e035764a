"""Single entries in full: attributes by name, strings, references.

Those with nothing unusual in them are read by plain.py, the others through pyelftools.
pyelftools believes what it reads (a block of 2^60 bytes, abbreviations without an end, siblings
that lead back), so each entry is first stepped over by our own reader, within its unit and within
a bound, and children are found by stepping, not by following DW_AT_sibling.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symprobe.dwarf import constants as dw
from symprobe.dwarf.abbrev import step_over, uleb
from symprobe.dwarf.file import ALT, TYPES, DwarfFile
from symprobe.dwarf.plain import plain_entry
from symprobe.dwarf.sections import SectionStream, TextStream
from symprobe.dwarf.units import Unit

_LONGEST_ENTRY = 1 << 13
_LONGEST_SUBTREE = 1 << 20
_MOST_READ = 20_000
"""Entries read for one question."""
_SECTIONS = ("info", "abbrev", "str", "line_str", "str_offsets", "addr", "loclists", "rnglists")
DW_TAG_GNU_FORMAL_PARAMETER_PACK = 0x4108


class Entry:
    """One entry: `tag` as DW_TAG_… text, its place, and its attributes by DW_AT_… name."""

    def __init__(self, file: DwarfFile, unit: Unit, die: Any) -> None:
        self.file = file
        self.unit = unit
        self.tag = str(die.tag)
        self.offset: int = die.offset
        self._attributes: dict[str, Any] = die.attributes

    def __contains__(self, name: str) -> bool:
        return name in self._attributes

    def form(self, name: str) -> str:
        return str(self._attributes[name].form)

    def value(self, name: str) -> Any:
        """The attribute's value as pyelftools translates it; None without one."""
        attribute = self._attributes.get(name)
        return None if attribute is None else attribute.value

    def raw(self, name: str) -> int:
        """The attribute's value as it is in the section."""
        return int(self._attributes[name].raw_value)

    def number(self, name: str) -> int | None:
        value = self.value(name)
        return value if isinstance(value, int) else None

    def text(self, name: str) -> str:
        """A string attribute; empty without one."""
        value = self.value(name)
        return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""


class Entries:
    """The entries of a file and, when there is one, of its supplementary file.

    Errors: MalformedError, and whatever pyelftools raises on broken data.
    """

    def __init__(self, file: DwarfFile) -> None:
        self.file = file
        sides = ((0, file), (ALT, file.alt), (TYPES, file.types))
        self._sides = {side: other for side, other in sides if other is not None}
        self._infos: dict[int, Any] = {}
        self._left = _MOST_READ

    def ask(self) -> None:
        """A new question begins, and may read as much as one may."""
        self._left = _MOST_READ
        self.file.ask()

    def at(self, offset: int, unit: Unit | None = None) -> Entry:
        """The entry at an offset of .debug_info (| ALT: of the supplementary file, | TYPES: of
        .debug_types).

        unit: the unit it is in, when that is known: all units are read to find it otherwise.
        """
        side, offset = offset & (ALT | TYPES), offset & ~(ALT | TYPES)
        file = self._sides.get(side)
        if file is None:
            raise self.file.malformed("an entry in a supplementary file, which was not found")
        if unit is None or not unit.die <= offset < unit.end:
            unit = file.units.containing(offset)
        self._left -= 1
        if self._left < 0:
            raise file.malformed(f"more than {_MOST_READ} entries")
        data = self._checked(file, unit, offset)
        plain = plain_entry(file, unit, offset, data)
        if plain is not None:
            return Entry(file, unit, plain)
        self._checked(file, unit, unit.die)
        cu = self._info(file).get_CU_at(unit.offset)
        cu.cu_die_offset = unit.die  # of a type unit, whose header pyelftools does not know here
        return Entry(file, unit, cu.get_DIE_from_refaddr(offset))

    def side(self, file: DwarfFile) -> int:
        """The mark of offsets into that file."""
        return next(side for side, other in self._sides.items() if other is file)

    def near(self, entry: Entry, offset: int) -> Entry:
        """The entry at an offset of the same file, in the same unit if it is there."""
        return self.at(offset | self.side(entry.file), entry.unit)

    def follow(self, entry: Entry, name: str) -> Entry | None:
        """The entry that an attribute refers to; None without that attribute."""
        if name not in entry:
            return None
        form, raw = entry.form(name), entry.raw(name)
        if form in ("DW_FORM_ref1", "DW_FORM_ref2", "DW_FORM_ref4", "DW_FORM_ref8",
                    "DW_FORM_ref_udata"):  # fmt: skip
            return self.near(entry, entry.unit.offset + raw)
        if form == "DW_FORM_ref_addr":  # into .debug_info, from type units too
            side = self.side(entry.file)
            return self.at(raw | side & ~TYPES, None if side & TYPES else entry.unit)
        if form in ("DW_FORM_GNU_ref_alt", "DW_FORM_ref_sup4", "DW_FORM_ref_sup8"):
            return self.at(raw | ALT)
        if form == "DW_FORM_ref_sig8":
            return self._by_signature(entry.file, raw)
        raise entry.file.malformed(f"{name} is no reference but a {form}")

    def _by_signature(self, file: DwarfFile, signature: int) -> Entry:
        for holder in (file, file.types):
            unit = None if holder is None else holder.units.by_signature.get(signature)
            if holder is not None and unit is not None:
                return self.at(unit.offset + unit.type_offset | self.side(holder), unit)
        raise file.malformed(f"no type unit has the signature {signature:#x}")

    def parameters(self, function: Entry) -> Iterator[Entry]:
        """The parameters of a function, in order, `...` (unspecified_parameters) included; those
        of a parameter pack too."""
        yield from self.children(
            function, dw.DW_TAG_FORMAL_PARAMETER, dw.DW_TAG_UNSPECIFIED_PARAMETERS
        )

    def children(self, entry: Entry, *tags: int) -> Iterator[Entry]:
        """The children of these tags."""
        for offset, found in _children(entry):
            if found in tags:
                yield self.near(entry, offset)

    def _checked(self, file: DwarfFile, unit: Unit, offset: int) -> bytes:
        """The bytes from an entry on; MalformedError unless it is whole and of reasonable size."""
        data = file.info.read_available(offset, min(_LONGEST_ENTRY, unit.end - offset))
        try:
            code, place = uleb(data, 0)
            abbrev = file.abbrevs.table(unit)[code] if code else None
            if abbrev is not None:
                steps = (abbrev.skip,) if isinstance(abbrev.skip, int) else abbrev.skip
                place = step_over(data, place, steps, file.order)
            if not code or place > len(data):
                raise IndexError
        except (IndexError, KeyError):
            raise file.malformed(f"no entry at {offset:#x} of .debug_info") from None
        return data

    def _info(self, file: DwarfFile) -> Any:
        info = self._infos.get(id(file))
        if info is None:
            info = self._infos[id(file)] = _dwarf_info(file)
            if file.alt is not None:
                info.supplementary_dwarfinfo = self._info(file.alt)
        return info


def _dwarf_info(file: DwarfFile) -> Any:
    """pyelftools' DWARFInfo over streams that read when asked, and not the whole sections."""
    import inspect

    from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

    sections = {}
    for name in _SECTIONS:
        source = file.info if name == "info" else file.sections.get(name)
        if source is not None:
            text = name in ("str", "line_str")
            stream: Any = TextStream(source) if text else SectionStream.buffered(source)
            sections[f"debug_{name}_sec"] = DebugSectionDescriptor(
                stream, f".debug_{name}", 0, source.size, 0
            )
    config = DwarfConfig(
        little_endian=file.order == "little",
        machine_arch=file.image.machine,
        default_address_size=file.image.bits // 8,
    )
    asked = inspect.signature(DWARFInfo.__init__).parameters  # more of them in each release
    absent = {name: None for name in asked if name.endswith("_sec")}
    return DWARFInfo(config=config, **{**absent, **sections})


def _children(entry: Entry) -> Iterator[tuple[int, int]]:
    """(offset, tag) of the children of an entry; of parameter packs the children instead."""
    file, unit = entry.file, entry.unit
    size = min(_LONGEST_SUBTREE, unit.end - entry.offset)
    data = file.info.read_available(entry.offset, size)
    table = file.abbrevs.table(unit)
    place, depth, pack = 0, 0, False
    try:
        while place < len(data):
            start = place
            code, place = uleb(data, place)
            if not code:
                depth -= 1
                if depth <= 0:
                    return
                continue
            abbrev = table[code]
            if depth == 1:
                pack = abbrev.tag == DW_TAG_GNU_FORMAL_PARAMETER_PACK
                yield entry.offset + start, abbrev.tag
            elif depth == 2 and pack:
                yield entry.offset + start, abbrev.tag
            steps = (abbrev.skip,) if isinstance(abbrev.skip, int) else abbrev.skip
            place = step_over(data, place, steps, file.order)
            depth += abbrev.children
            if not depth:
                return
    except (IndexError, KeyError):  # cut by our own bound, or broken: what came before holds
        return
