"""Types as C and C++ spell them, and what their bytes are.

Source: DWARF 5 chapter 5. Spelt as gdb does it, but for `char *const`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from symprobe.dwarf import constants as dw
from symprobe.dwarf.entries import Entries, Entry
from symprobe.dwarf.values import Encoding

DW_CC_PASS_BY_REFERENCE = 4
_DEEPEST = 40
_LONGEST = 4096
_MOST_PARAMETERS = 32
_C_LANGUAGES = frozenset((0x01, 0x02, 0x0C, 0x10, 0x1D, 0x2C, 0x3E))
"""DW_LANG_C89, C, C99, ObjC, C11, C17, C23: languages that say `struct` before its name."""
_CPP_LANGUAGES = frozenset((0x04, 0x11, 0x1A, 0x21, 0x2B, 0x3A))
"""DW_LANG_C_plus_plus, ObjC++, C++11, C++14, C++17, C++20."""
_GO = 0x16
_ASSEMBLERS = frozenset((0x8001, 0x0031))

_QUALIFIERS = {
    "DW_TAG_const_type": "const", "DW_TAG_volatile_type": "volatile",
    "DW_TAG_restrict_type": "restrict", "DW_TAG_atomic_type": "_Atomic",
}  # fmt: skip
_POINTERS = {
    "DW_TAG_pointer_type": "*", "DW_TAG_reference_type": "&",
    "DW_TAG_rvalue_reference_type": "&&",
}  # fmt: skip
_AGGREGATES = {
    "DW_TAG_structure_type": "struct", "DW_TAG_class_type": "class",
    "DW_TAG_union_type": "union", "DW_TAG_enumeration_type": "enum",
    "DW_TAG_interface_type": "class",
}  # fmt: skip
_AS_WRITTEN = {
    "long int": "long", "long unsigned int": "unsigned long", "short int": "short",
    "short unsigned int": "unsigned short", "long long int": "long long",
    "long long unsigned int": "unsigned long long",
}  # fmt: skip
"""GCC's names of base types -> as people write them, and gdb."""
_BY_NUMBER = {
    1: Encoding.POINTER, 2: Encoding.BOOL, 3: Encoding.STRUCT, 4: Encoding.FLOAT,
    5: Encoding.SIGNED, 6: Encoding.CHAR, 7: Encoding.UNSIGNED, 8: Encoding.UNSIGNED,
    9: Encoding.FLOAT, 16: Encoding.CHAR, 17: Encoding.CHAR, 18: Encoding.CHAR,
}  # fmt: skip
"""DW_ATE_*: address, boolean, complex, float, signed, signed char, unsigned, unsigned char,
imaginary float, UTF, UCS, ASCII."""


class Types:
    """Spells types and measures them.

    language: DW_LANG_* of the function's unit.  scopes: the names of the namespaces and classes
    around an entry, the outermost first.
    """

    def __init__(
        self, entries: Entries, language: int, scopes: Callable[[Entry], list[str]]
    ) -> None:
        self._entries = entries
        self._c = language in _C_LANGUAGES
        self._scopes = scopes
        self.assembler = language in _ASSEMBLERS
        self.go = language == _GO
        self.c_family = self._c or language in _CPP_LANGUAGES
        """Whether the psABI says where parameters are: other languages order them as they like."""

    def spell(self, entry: Entry | None, inner: str = "", depth: int = 0) -> str:
        """The type as a declaration of `inner` (nothing: the type alone); None is void."""
        if depth > _DEEPEST or len(inner) > _LONGEST:
            return "…"
        if entry is None:
            return _declared("void", inner)
        tag = entry.tag
        if tag in _QUALIFIERS:
            return self._qualified(entry, inner, depth)
        if tag in _POINTERS or tag == "DW_TAG_ptr_to_member_type":
            return self._pointer(entry, inner, depth)
        target = self._entries.follow(entry, "DW_AT_type") if tag != "DW_TAG_typedef" else None
        if tag == "DW_TAG_array_type":
            return self.spell(target, inner + self._bounds(entry), depth + 1)
        if tag == "DW_TAG_subroutine_type":
            return self.spell(target, f"{inner}({self._parameters(entry, depth)})", depth + 1)
        return _declared(self.name(entry), inner)

    def name(self, entry: Entry) -> str:
        """The name of a named type, with `struct` before it in C, its scopes in other languages."""
        definition = entry
        if "DW_AT_signature" in entry and "DW_AT_name" not in entry:
            definition = self._entries.follow(entry, "DW_AT_signature") or entry
        name, kind = definition.text("DW_AT_name"), _AGGREGATES.get(entry.tag, "")
        if not name:
            return f"{kind or 'unknown'} {{...}}"
        if definition.tag == "DW_TAG_base_type":
            return _AS_WRITTEN.get(name, name)
        if self._c:
            return f"{kind} {name}" if kind else name
        # Where the name was declared: a type unit keeps the definition outside its scope.
        declared = self._entries.follow(definition, "DW_AT_specification") or definition
        return "::".join([*self._scopes(declared), name])

    def _qualified(self, entry: Entry, inner: str, depth: int) -> str:
        """Qualifiers stand before a name, but behind the `*` that they qualify."""
        words: list[str] = []
        target: Entry | None = entry
        while target is not None and target.tag in _QUALIFIERS and len(words) < 4:
            words.append(_QUALIFIERS[target.tag])
            target = self._entries.follow(target, "DW_AT_type")
        text = " ".join(sorted(words))
        behind = target is not None and target.tag in _POINTERS and "DW_AT_name" not in target
        if behind:
            space = " " if inner and inner[0] not in "*&" else ""
            return self.spell(target, f"{text}{space}{inner}", depth + 1)
        return f"{text} {self.spell(target, inner, depth + 1)}"

    def _pointer(self, entry: Entry, inner: str, depth: int) -> str:
        if "DW_AT_name" in entry:  # Rust names its pointers: &mut [u8]
            return _declared(entry.text("DW_AT_name"), inner)
        target = self._entries.follow(entry, "DW_AT_type")
        mark = _POINTERS.get(entry.tag, "*")
        if entry.tag == "DW_TAG_ptr_to_member_type":
            owner = self._entries.follow(entry, "DW_AT_containing_type")
            mark = f"{'?' if owner is None else self.name(owner)}::*"
        space = " " if inner[:1].isalpha() and mark.endswith("&") else ""
        inner = f"{mark}{space}{inner}"
        if target is not None and target.tag in ("DW_TAG_array_type", "DW_TAG_subroutine_type"):
            inner = f"({inner})"
        return self.spell(target, inner, depth + 1)

    def _bounds(self, array: Entry) -> str:
        sizes = []
        for bound in islice(self._entries.children(array, dw.DW_TAG_SUBRANGE_TYPE), 8):
            size = bound.number("DW_AT_count")
            upper = bound.number("DW_AT_upper_bound")
            if size is None and upper is not None and upper < 1 << 62:
                size = upper + 1
            sizes.append("[]" if size is None else f"[{size}]")
        return "".join(sizes) or "[]"

    def _parameters(self, function: Entry, depth: int) -> str:
        parts: list[str] = []
        for parameter in self._entries.parameters(function):
            if len(parts) >= _MOST_PARAMETERS:
                parts.append("…")
                break
            if parameter.tag == "DW_TAG_unspecified_parameters":
                parts.append("...")
            else:
                kind = self._entries.follow(parameter, "DW_AT_type")
                parts.append(self.spell(kind, "", depth + 1))
        if not parts:
            return "void" if self._c and function.value("DW_AT_prototyped") else ""
        return ", ".join(parts)

    def prototyped(self, chain: list[Entry]) -> bool:
        """False for a C function declared without its parameters' types, and in assembler."""
        if self.assembler:
            return False
        return not self._c or any(entry.value("DW_AT_prototyped") for entry in chain)

    def peeled(self, entry: Entry | None) -> Entry | None:
        """The type behind typedefs and qualifiers."""
        for _ in range(_DEEPEST):
            if entry is None or (entry.tag != "DW_TAG_typedef" and entry.tag not in _QUALIFIERS):
                return entry
            entry = self._entries.follow(entry, "DW_AT_type")
        return None

    def by_reference(self, entry: Entry | None) -> bool | None:
        """Whether C++ passes the class by its address; None where DWARF doesn't say (GCC)."""
        kind = self.peeled(entry)
        if kind is None or kind.tag not in _AGGREGATES or self._c:
            return False
        convention = kind.number("DW_AT_calling_convention")
        return None if convention is None else convention == DW_CC_PASS_BY_REFERENCE

    def measure(self, entry: Entry | None) -> tuple[int | None, Encoding | None]:
        """(bytes, encoding) of a value of that type; None where DWARF doesn't say."""
        kind = self.peeled(entry)
        if kind is None:
            return None, None
        size = kind.number("DW_AT_byte_size")
        if kind.tag in _POINTERS or kind.tag == "DW_TAG_ptr_to_member_type":
            if kind.tag == "DW_TAG_ptr_to_member_type" and size is None:
                target = self._entries.follow(kind, "DW_AT_type")
                method = target is not None and target.tag == "DW_TAG_subroutine_type"
                size = kind.unit.address_size * (2 if method else 1)
            return size or kind.unit.address_size, Encoding.POINTER
        if kind.tag == "DW_TAG_base_type":
            return size, _BY_NUMBER.get(kind.number("DW_AT_encoding") or 0)
        if kind.tag == "DW_TAG_enumeration_type":
            number = kind.number("DW_AT_encoding")
            below = self._entries.follow(kind, "DW_AT_type")
            encoding = None if number is None else _BY_NUMBER.get(number)
            if below is not None and encoding is None:
                encoding = self.measure(below)[1]
            return size, encoding or Encoding.UNSIGNED
        if kind.tag == "DW_TAG_unspecified_type":  # std::nullptr_t
            return size or kind.unit.address_size, Encoding.POINTER
        if kind.tag in _AGGREGATES or kind.tag == "DW_TAG_array_type":
            if size is None and "DW_AT_signature" in kind:
                definition = self._entries.follow(kind, "DW_AT_signature")
                size = None if definition is None else definition.number("DW_AT_byte_size")
            return size, Encoding.STRUCT
        return size, None


def _declared(name: str, inner: str) -> str:
    return f"{name} {inner}" if inner else name


def squeezed(text: str) -> str:
    """Without spaces: compilers and demanglers put them differently into template arguments."""
    return text.replace(" ", "")


def split_scopes(name: str) -> list[str]:
    """`shapes::Ring<int, 4>::push` in its parts, squeezed; a name without scopes as it is."""
    parts, depth, start = [], 0, 0
    for place, char in enumerate(name):
        depth += (char in "<(") - (char in ">)")
        if not depth and name.startswith("::", place) and place >= start:
            parts.append(squeezed(name[start:place]))
            start = place + 2
    return [*parts, name[start:]]
