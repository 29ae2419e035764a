"""What DWARF says of a function, as values."""

from typing import NamedTuple

from symprobe.model import TextEnum, VAddr


class Encoding(TextEnum):
    """What the bytes of a parameter mean (DWARF 5 section 7.8, DW_ATE_*, and the type tags)."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    FLOAT = "float"
    POINTER = "pointer"
    """Pointers, references, pointers to members, arrays passed as parameters."""
    BOOL = "bool"
    CHAR = "char"
    STRUCT = "struct"
    """Structures, classes, unions, arrays and complex numbers by value."""


class Parameter(NamedTuple):
    """One parameter, `this` included.

    name: empty when the source gives none.  type: spelled as in C or C++, `const char *`.
    byte_size, encoding: None when DWARF doesn't say.  register: where the value is at the
    function's first instruction (rdi, xmm0, x0, v0; x86-64 and AArch64), None when it is in
    memory or not known.
    """

    name: str
    type: str
    byte_size: int | None = None
    encoding: Encoding | None = None
    register: str | None = None


class InlinedCopy(NamedTuple):
    """A place where a function was inlined: the function whose code it is part of, and the
    lowest address of the copy (None when DWARF gives none)."""

    caller: str
    vaddr: VAddr | None


class FunctionInfo(NamedTuple):
    """What DWARF says of one function.

    name: as in the source, with its namespaces and classes where they are known.
    linkage_name: the symbol's name where it differs (C++, Rust).  vaddr: the entry; None when
    there are inlined copies only.  file: joined with the directory of compilation when that is
    known.  line: of the declaration, or of the first instruction when there is none; 0, as the
    file is empty, when DWARF doesn't say.  return_type: empty when it is not known (assembler) or
    none (Go).  variadic: ends in `...`.
    prototyped: False for a C function whose parameters may be others than these (K&R), and in
    assembler.
    declared_inline: the source says inline (or defines it in its class).  inlined: number of
    inlined copies found; copies: the first of them.  inlined_complete: whether all units that
    could hold copies were read, so that `inlined` is the number and not a lower bound.
    """

    name: str
    linkage_name: str | None
    vaddr: VAddr | None
    file: str
    line: int
    parameters: tuple[Parameter, ...]
    return_type: str
    return_size: int | None
    return_encoding: Encoding | None
    variadic: bool
    prototyped: bool
    declared_inline: bool
    inlined: int
    inlined_complete: bool
    copies: tuple[InlinedCopy, ...]
    notes: tuple[str, ...]

    @property
    def only_inlined(self) -> bool:
        """No code of its own in the unit that describes it: a name without a symbol."""
        return self.vaddr is None
