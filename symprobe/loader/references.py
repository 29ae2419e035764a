"""References between the objects: symbols that nothing defines, and who provides the others.

`unresolved` is what `ldd -r` finds by relocating, `imports` answers who would provide a name.

Source: _dl_relocate_object's messages in elf/dl-lookup.c of glibc. The loader meets a symbol
when a relocation asks for it; here it is asked for each undefined entry of the symbol table, so
one that no relocation uses is reported too.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from symprobe.elf.dynamic import DT_SYMTAB, DT_VERSYM
from symprobe.elf.dynsize import dynamic_symbol_count
from symprobe.loader.lookup import Binding, Scope, SymbolFile
from symprobe.loader.values import DependencyGraph

_STB_GLOBAL = 1
_STT_SPARC_REGISTER = 13
_MOST_SYMBOLS = 1 << 20
"""Entries of one table that are looked at."""


class Unresolved(NamedTuple):
    """An undefined symbol that is not weak. version: None without one. needed_by: a shown path."""

    name: str
    version: str | None
    needed_by: str


class Reference(NamedTuple):
    """An undefined symbol of one file."""

    name: str
    version: str | None
    weak: bool


def unresolved(graph: DependencyGraph, scope: Scope) -> list[Unresolved]:
    """Object by object in lookup order. scope: of the graph."""
    wanted: list[Unresolved] = []
    for dependency, file in scope.files():
        shown = graph.file.shown if dependency is None else (dependency.path or "")
        wanted += (Unresolved(r.name, r.version, shown) for r in references(file) if not r.weak)
    missing = scope.undefined({(name, version) for name, version, _ in wanted})
    return [each for each in wanted if (each.name, each.version) in missing]


class Import(NamedTuple):
    """A name as it is asked for, and where that leads. imported_by: shown paths of the objects
    that ask for this version; empty: nobody does, it is what dlsym() would find."""

    name: str
    version: str | None
    imported_by: tuple[str, ...]
    binding: Binding | None


def imports(
    graph: DependencyGraph, scope: Scope, name: str, version: str | None = None
) -> list[Import]:
    """Who would provide a name: one answer for each version in which objects ask for it, or for
    the version given."""
    users: dict[str | None, list[str]] = {}
    for dependency, file in scope.files():
        shown = graph.file.shown if dependency is None else (dependency.path or "")
        for reference in references(file):
            if reference.name == name and version in (None, reference.version):
                users.setdefault(reference.version, []).append(shown)
    if not users:
        found = scope.binding(name, version, newest=version is None)
        return [Import(name, version, (), found)]
    return [Import(name, each, tuple(by), scope.binding(name, each)) for each, by in users.items()]


def references(file: SymbolFile) -> Iterator[Reference]:
    """The undefined symbols of a file, in the order of its table."""
    image, dynamic = file.image, file.dynamic
    address, versym = dynamic.value(DT_SYMTAB), dynamic.value(DT_VERSYM)
    if address is None:
        return
    # All of the table: an undefined function whose address is taken may stand among the hashed.
    count = min(dynamic_symbol_count(image, dynamic), _MOST_SYMBOLS)
    wide = image.bits == 64
    layout = struct.Struct(image.order + ("IBBHQQ" if wide else "IIIBBH"))
    data = image.read_vaddr(address, count * layout.size)
    numbers = image.numbers("H", image.read_vaddr(versym, 2 * count) if versym is not None else b"")
    strings, versions = dynamic.strings, file.versions
    for i, fields in enumerate(layout.iter_unpack(data[: len(data) // layout.size * layout.size])):
        info, section = (fields[1], fields[3]) if wide else (fields[3], fields[5])
        bind = info >> 4
        if section or bind == 0 or info & 15 == _STT_SPARC_REGISTER or not fields[0]:
            continue
        end = strings.find(b"\0", fields[0])
        name = strings[fields[0] : end if end >= 0 else None].decode("utf-8", "surrogateescape")
        version = versions.get(numbers[i] & 0x7FFF) if i < len(numbers) else None
        yield Reference(name, version, bind != _STB_GLOBAL)
