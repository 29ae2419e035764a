"""Entries of which we read every form ourselves: nearly all that GCC and Clang write.

pyelftools reads any other (entries.py); its import alone takes as long as a whole answer.
Values are those that pyelftools gives. Sources: DWARF 5 sections 7.5.4 to 7.5.6.
"""

from typing import NamedTuple

from symprobe.dwarf import constants as dw
from symprobe.dwarf.abbrev import uleb
from symprobe.dwarf.file import DwarfFile, values_at
from symprobe.dwarf.units import Unit

_ATTRIBUTES = {
    0x02: "location", 0x03: "name", 0x0B: "byte_size", 0x1D: "containing_type", 0x20: "inline",
    0x27: "prototyped", 0x2F: "upper_bound", 0x31: "abstract_origin", 0x36: "calling_convention",
    0x37: "count", 0x3A: "decl_file", 0x3B: "decl_line", 0x3C: "declaration", 0x3E: "encoding",
    0x3F: "external", 0x47: "specification", 0x49: "type", 0x4B: "variable_parameter",
    0x69: "signature", 0x6E: "linkage_name", 0x2007: "MIPS_linkage_name",
}  # fmt: skip
"""The attributes that are asked for; others are left out."""
_TAGS = {
    0x01: "array_type", 0x02: "class_type", 0x04: "enumeration_type", 0x05: "formal_parameter",
    0x0F: "pointer_type", 0x10: "reference_type", 0x13: "structure_type", 0x15: "subroutine_type",
    0x16: "typedef", 0x17: "union_type", 0x18: "unspecified_parameters",
    0x1D: "inlined_subroutine", 0x1F: "ptr_to_member_type", 0x21: "subrange_type",
    0x24: "base_type", 0x26: "const_type", 0x2E: "subprogram", 0x35: "volatile_type",
    0x37: "restrict_type", 0x38: "interface_type", 0x39: "namespace", 0x3B: "unspecified_type",
    0x42: "rvalue_reference_type", 0x47: "atomic_type",
}  # fmt: skip
_NUMBERS = {
    0x01: "addr", 0x05: "data2", 0x06: "data4", 0x07: "data8", 0x0B: "data1", 0x0C: "flag",
    0x0F: "udata", 0x10: "ref_addr", 0x11: "ref1", 0x12: "ref2", 0x13: "ref4", 0x14: "ref8",
    0x15: "ref_udata", 0x17: "sec_offset", 0x21: "implicit_const",
}  # fmt: skip
_TEXTS = frozenset((dw.DW_FORM_STRING, dw.DW_FORM_STRP, dw.DW_FORM_LINE_STRP))


class Attribute(NamedTuple):
    """One attribute, as pyelftools has it."""

    form: str
    value: int | bytes | list[int]
    raw_value: int | bytes


class PlainEntry(NamedTuple):
    """One entry, as pyelftools has it: what Entry takes of it."""

    tag: str
    offset: int
    attributes: dict[str, Attribute]


def plain_entry(file: DwarfFile, unit: Unit, offset: int, data: bytes) -> PlainEntry | None:
    """The entry of `unit` whose bytes begin `data`; None when it holds something not read here.

    Errors: MalformedError; IndexError, KeyError where there is no such entry.
    """
    code, place = uleb(data, 0)
    abbrev = file.abbrevs.whole(unit, code)
    tag = _TAGS.get(abbrev.tag)
    if tag is None:
        return None
    attributes = {}
    for number, (form, raw) in values_at(abbrev, data, place, file.order).items():
        name = _ATTRIBUTES.get(number)
        if name is None:
            continue
        if form in _NUMBERS:
            attribute = Attribute(f"DW_FORM_{_NUMBERS[form]}", raw, raw)
        elif form in _TEXTS:
            text = file.text(unit, form, raw).encode("utf-8", "surrogateescape")
            attribute = Attribute("DW_FORM_string", text, raw)
        elif form == dw.DW_FORM_FLAG_PRESENT:
            attribute = Attribute("DW_FORM_flag_present", True, 1)
        elif form == dw.DW_FORM_EXPRLOC and isinstance(raw, bytes):
            attribute = Attribute("DW_FORM_exprloc", list(raw), raw)
        else:
            return None
        attributes[f"DW_AT_{name}"] = attribute
    return PlainEntry(f"DW_TAG_{tag}", offset, attributes)
