"""The values that all parts of symprobe share: frozen, without behaviour that reads anything.

NamedTuples here, in elf/ and in resolve/, dataclasses elsewhere: `symprobe ls` loads these modules
at every start, and a frozen dataclass costs half a millisecond to define. For the same reason
there is no `from __future__ import annotations`: it would have each field's type compiled.
"""

from enum import Enum
from typing import NamedTuple, NewType

VAddr = NewType("VAddr", int)
"""An address as the linker assigned it, as nm and objdump print it (no load bias)."""

FileOffset = NewType("FileOffset", int)
"""Bytes from the start of the file: what the kernel takes for a uprobe."""

RuntimeAddr = NewType("RuntimeAddr", int)
"""An address in one live process: VAddr + load bias."""


class TextEnum(str, Enum):
    """An enum whose members are, print as, hash as, and serialise as their text."""

    __str__ = str.__str__
    __hash__ = str.__hash__
    __format__ = str.__format__  # type: ignore[assignment]


class Kind(TextEnum):
    """Symbol types (gABI figure 4-16, STT_*), by the names used on the command line."""

    NOTYPE = "notype"
    OBJECT = "object"
    FUNC = "func"
    SECTION = "section"
    FILE = "file"
    COMMON = "common"
    TLS = "tls"
    IFUNC = "ifunc"


class Bind(TextEnum):
    """Symbol bindings (gABI figure 4-15, STB_*)."""

    LOCAL = "local"
    GLOBAL = "global"
    WEAK = "weak"
    UNIQUE = "unique"


class Visibility(TextEnum):
    """Symbol visibility (gABI figure 4-17, STV_*)."""

    DEFAULT = "default"
    INTERNAL = "internal"
    HIDDEN = "hidden"
    PROTECTED = "protected"


class FilePath(NamedTuple):
    """A file under two names: the one that is opened, and the one that the user should read.

    They differ for a process in a container (`/proc/7/root/usr/lib/libc.so.6`
    is opened, `/usr/lib/libc.so.6` is shown), a deleted file (`/proc/7/exe`)
    and a `--root` directory.
    """

    opened: str
    shown: str

    @classmethod
    def plain(cls, path: str) -> "FilePath":
        return cls(path, path)


class Symbol(NamedTuple):
    """One row of a symbol table (a NamedTuple, because a listing makes 200,000 of them).

    name: as in the string table without its version; bytes that are not UTF-8 are
    surrogate escapes.  demangled: the name itself where no demangler takes it.
    vaddr: st_value with a Thumb or MIPS16 mode bit cleared (section offset in
    an object file, alignment for COMMON, offset in the TLS block for TLS).
    size: bytes, 0 = unknown.  offset: file offset of the first byte, None when
    the symbol has none (undefined, .bss, TLS, absolute).  kind, bind,
    visibility: a Kind, Bind, Visibility member, or a decimal number when the
    table holds a value that no member names.  section: its name, or UND, ABS,
    COM, or the index as text.  section_index: st_shndx after extended numbering.
    tables: which tables hold it (dynsym, symtab, gnu_debugdata, debuglink, build-id).
    """

    name: str
    demangled: str
    version: str | None
    default_version: bool
    vaddr: VAddr
    size: int
    offset: FileOffset | None
    kind: str
    bind: str
    visibility: str
    section: str
    section_index: int
    defined: bool
    tables: tuple[str, ...]
    value: int
    """st_value untouched: what readelf prints."""
    note: str = ""
    """What is special about the value: Thumb code, a function descriptor, a local entry point."""

    @property
    def versioned_name(self) -> str:
        """The name as nm prints it: `exit@@GLIBC_2.2.5`, or bare without a version."""
        return self.name + self._suffix

    @property
    def readable_name(self) -> str:
        """The name as nm -C prints it: demangled, with its version."""
        return self.demangled + self._suffix

    @property
    def _suffix(self) -> str:
        if self.version is None:
            return ""
        return f"{'@@' if self.default_version else '@'}{self.version}"
